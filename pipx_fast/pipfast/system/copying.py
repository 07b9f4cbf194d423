"""Copies of the content of files."""

from __future__ import annotations

import os
from contextlib import suppress

_BLOCK = 1 << 20
"""Bytes copied at once. A file that is no larger is read and written in less time than it is cloned."""


def copy_bytes(read: int, written: int, size: int) -> None:
    """Copy an open file, of some ``size`` bytes; a large one shares its extents where the filesystem can."""
    if size > _BLOCK and hasattr(os, "copy_file_range"):
        with suppress(OSError):
            # Both positions move, so the loop below goes on where this fails.
            while os.copy_file_range(read, written, 1 << 30):
                pass
    while block := os.read(read, min(size + 1, _BLOCK)):
        view = memoryview(block)
        while view:
            view = view[os.write(written, view):]
