"""Text that is safe on a terminal, and the terminal's width."""

from __future__ import annotations

import os
import re
import shutil
from typing import Any

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Escape sequences: colours, titles, cursor movements (ECMA-48, section 5)."""

_NOT_PLAIN = re.compile(r"[^ -~]")
"""Characters that may take no column, two columns, or move the cursor."""


def plain(line: str) -> str:
    """Return ``line`` without escape sequences, each character one column wide."""
    # A carriage return hides what stands before it.
    return _NOT_PLAIN.sub("?", _ESCAPES.sub("", line.rstrip().rpartition("\r")[2].replace("\t", " "))).strip()


def columns(file: Any) -> int:
    """Return the width of the terminal that ``file`` writes to.

    The terminal is asked first: an exported COLUMNS stays as it was when the window is resized.
    """
    try:
        found = os.get_terminal_size(file.fileno()).columns
    except (AttributeError, OSError, ValueError):
        found = 0
    return found or shutil.get_terminal_size().columns
