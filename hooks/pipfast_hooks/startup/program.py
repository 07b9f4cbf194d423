"""The program's name in usage lines: what the user typed."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from pipfast_hooks.seams import PROGRAM_NAME


def name_program() -> None:
    """Have pip call itself ``python -m pipfast`` where that was typed.

    Replaced without wrapt, whose import would delay ``list`` and ``--help``. Call this before pip's modules are
    imported: they copy the name.
    """
    if not sys.argv or os.path.basename(sys.argv[0]) != "__main__.py":
        return
    if os.path.basename(os.path.dirname(sys.argv[0])) == "pip":
        # pip's own, in an attached environment.
        return
    module, function = PROGRAM_NAME
    misc: Any = import_module(module)
    original = getattr(misc, function, None)
    if not callable(original):
        return

    def get_prog() -> str:
        name: str = original()
        return f"{sys.executable} -m pipfast" if name == f"{sys.executable} -m pip" else name

    setattr(misc, function, get_prog)
