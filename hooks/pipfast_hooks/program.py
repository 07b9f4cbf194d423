"""The program's name in usage lines: what the user typed."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any


def name_program() -> None:
    """Have pip call itself ``python -m pipfast`` where that was typed.

    A plain replacement: ``list`` and ``--help`` should not wait for wrapt. pip's modules take the
    name when they are imported, so this comes before them.
    """
    if not sys.argv or os.path.basename(sys.argv[0]) != "__main__.py":
        return
    misc: Any = import_module("pip._internal.utils.misc")
    original = getattr(misc, "get_prog", None)
    if not callable(original):
        return

    def get_prog() -> str:
        name: str = original()
        return f"{sys.executable} -m pipfast" if name == f"{sys.executable} -m pip" else name

    misc.get_prog = get_prog
