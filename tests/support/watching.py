"""Everything that happens in a folder, in order (inotify)."""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODIFY, _ATTRIB, _MOVED, _CREATE, _DELETE = 0x2, 0x4, 0xC0, 0x100, 0x200
_CHANGES = _MODIFY | _ATTRIB | _MOVED | _CREATE | _DELETE
_OVERFLOW = 0x4000
_NONBLOCK = 0x800
_HEAD = struct.Struct("iIII")


class Watch:
    """Notes each change of a file, a folder, a link, a mode or a time below a folder as it was at the start."""

    def __init__(self, root: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(_NONBLOCK)
        self._folders: dict[int, Path] = {}
        for folder, _, _ in os.walk(root):
            number = libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _CHANGES)
            if number < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", folder)
            self._folders[number] = Path(folder)

    def changed(self) -> list[Path]:
        """Return what has changed since the last call, in order."""
        found: list[Path] = []
        while True:
            try:
                events = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return found
            while events:
                number, mask, _, length = _HEAD.unpack_from(events)
                assert not mask & _OVERFLOW
                name = events[_HEAD.size : _HEAD.size + length].rstrip(b"\0")
                if number in self._folders:
                    found.append(self._folders[number] / os.fsdecode(name))
                events = events[_HEAD.size + length :]

    def close(self) -> None:
        """Watch no more."""
        os.close(self._descriptor)


@contextmanager
def watching(root: Path) -> Iterator[Watch]:
    """Watch for the length of the block."""
    watch = Watch(root)
    try:
        yield watch
    finally:
        watch.close()
