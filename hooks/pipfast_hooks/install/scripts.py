"""Scripts of a wheel: entry points, rewritten first lines, their bytecode."""

from __future__ import annotations

import compileall
import contextlib
import importlib.metadata
import importlib.util
import io
import os
import warnings
from typing import TYPE_CHECKING, Any

from pip._internal.metadata import FilesystemWheel, get_wheel_distribution, select_backend
from pip._internal.operations.install import wheel as pip_wheel
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import logger
from pipfast_hooks.install.request import EntryPoints, Ready, Request, Scripts

if TYPE_CHECKING:
    from pipfast.install.plan import Plan


class LeftToPip(Exception):
    """Something that pip does otherwise, or has its own error for."""


class _EntryPointsOnly(importlib.metadata.Distribution):
    """Just enough of a distribution for its entry points to be read by the standard library."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "entry_points.txt" else None

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(path)


def read_entry_points(request: Request, text: str | None) -> EntryPoints:
    """Return the entry points that become scripts, as this pip reads them.

    :param text: the wheel's ``entry_points.txt``; None if it has none.
    :raises ValueError: pkg_resources refuses an entry, with which pip began to read metadata (Python 3.10).
    """
    if text is None:
        return EntryPoints({}, {})
    if select_backend().Distribution.__module__.endswith("pkg_resources"):
        wheel = FilesystemWheel(request.wheel_path)
        return EntryPoints(*pip_wheel.get_entrypoints(
            get_wheel_distribution(wheel, canonicalize_name(request.name))
        ))
    groups: dict[str, dict[str, str]] = {"console_scripts": {}, "gui_scripts": {}}
    for entry_point in _EntryPointsOnly(text).entry_points:
        if entry_point.group in groups:
            groups[entry_point.group][entry_point.name] = entry_point.value
    return EntryPoints(groups["console_scripts"], groups["gui_scripts"])


def make_scripts(request: Request, ready: Ready) -> Scripts:
    """Rewrite the wheel's own scripts, and generate those of entry points with pip's own maker.

    :raises LeftToPip: a script could not be made: what pip leaves then is pip's.
    """
    plan = ready.plan
    maker = pip_wheel.PipScriptMaker(None, request.scheme.scripts)
    if request.script_executable is not None:
        maker.executable = request.script_executable
    maker.clobber = True
    maker.variants = {""}
    maker.set_mode = True
    try:
        changed = frozenset(plan.installed[each] for each, path in plan.scripts if pip_wheel.fix_script(path))
        if request.pycompile:
            _compile_rewritten(plan, ready.lib_dir)
        console = list(maker.make_multiple(pip_wheel.get_console_script_specs(ready.entry_points.console)))
        gui = [f"{name} = {value}" for name, value in ready.entry_points.gui.items()]
        return Scripts(changed, console, list(maker.make_multiple(gui, {"gui": True})))
    except Exception as error:
        raise LeftToPip from error


def _compile_rewritten(plan: Plan, lib_dir: str) -> None:
    """Byte-compile Python scripts where they are: their first line was perhaps rewritten."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), warnings.catch_warnings():
        warnings.filterwarnings("ignore")
        for path in sorted(plan.uncompiled):
            if compileall.compile_file(path, force=True, quiet=True):
                pyc = importlib.util.cache_from_source(path)
                relative = os.path.relpath(pyc, lib_dir).replace(os.path.sep, "/")
                plan.installed[pyc] = relative
    logger.debug(said.getvalue())
