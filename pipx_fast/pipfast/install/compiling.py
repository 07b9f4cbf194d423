"""Bytecode of sources that only this environment has."""

from __future__ import annotations

import compileall
import contextlib
import io
import os
import warnings
from importlib.util import cache_from_source
from typing import TYPE_CHECKING

from pipfast.report import logger

if TYPE_CHECKING:
    from pipfast.install.plan import Plan


def compile_rewritten(plan: Plan, lib_dir: str) -> None:
    """Byte-compile Python scripts where they are: their first line was perhaps rewritten."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), warnings.catch_warnings():
        warnings.filterwarnings("ignore")
        for path in sorted(plan.uncompiled):
            if compileall.compile_file(path, force=True, quiet=True):
                pyc = cache_from_source(path)
                relative = os.path.relpath(pyc, lib_dir).replace(os.path.sep, "/")
                plan.installed[pyc] = relative
    logger.debug(said.getvalue())


def bytecode_of_rewritten(plan: Plan) -> list[str]:
    """Return the full paths of what ``compile_rewritten`` has written, or may write."""
    return [cache_from_source(path) for path in plan.uncompiled]
