"""Copies of what files hold."""

from __future__ import annotations

import os
from contextlib import suppress

_BLOCK = 1 << 20
"""Bytes copied at once; what is no larger is read and written sooner than it is cloned."""


def copy_bytes(read: int, written: int, size: int) -> None:
    """Copy what an open file holds; large ones share their extents where the filesystem can.

    :param size: how large it most likely is.
    """
    if size > _BLOCK and hasattr(os, "copy_file_range"):
        with suppress(OSError):
            # From where both are: what fails half-way is gone on with below.
            while os.copy_file_range(read, written, 1 << 30):
                pass
    while block := os.read(read, min(size + 1, _BLOCK)):
        view = memoryview(block)
        while view:
            view = view[os.write(written, view):]
