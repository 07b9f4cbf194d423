"""The program's name and sizes of files, as pip shows them."""

from __future__ import annotations

import sys
from pathlib import Path


def program() -> str:
    """Return what the user typed: ``pipfast``, or ``python -m pipfast``."""
    name = Path(sys.argv[0]).name if sys.argv else ""
    return f"{Path(sys.executable).name} -m pipfast" if name in ("", "-c", "__main__.py") else name


def display_size(size: int) -> str:
    """Return a number of bytes as pip shows one: units are powers of ten."""
    if size > 1000 * 1000:
        return f"{size / 1_000_000:.1f} MB"
    if size > 10 * 1000:
        return f"{size // 1000} kB"
    if size > 1000:
        return f"{size / 1000:.1f} kB"
    return f"{size} bytes"
