"""Why nothing new can be kept in the store: it is full or read-only, seen by looking, or met in writing."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from pipfast.store.folder import ELSEWHERE

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout

FULL_BYTES = 1 << 20
"""Bytes free (1 MiB) below which a filesystem counts as full: less than most wheels."""

SCARCE_BYTES = 64 << 20
"""Bytes free (64 MiB) below which many a wheel has no room unpacked: worth a word where somebody asks."""

_FULL = "is on a filesystem that is full"
_READ_ONLY = "is read-only"
_HINTS = {
    _FULL: f"make room, or {ELSEWHERE}",
    _READ_ONLY: f"make it writable, or {ELSEWHERE}",
}
_ANSWERS = {errno.ENOSPC: _FULL, errno.EROFS: _READ_ONLY}
if hasattr(errno, "EDQUOT"):
    _ANSWERS[errno.EDQUOT] = _FULL


class Condition:
    """What is wrong with a store that can be read.

    Written out: each command that opens a store loads this, and to make a dataclass takes half a millisecond.

    :param how: the end of a sentence about the store.
    :param what: is not kept, therefore.
    """

    __slots__ = ("hint", "how", "root", "what")

    def __init__(self, root: Path, how: str, hint: str, what: str = "what is not in it yet") -> None:
        self.root = root
        self.how = how
        self.hint = hint
        self.what = what

    def __str__(self) -> str:
        return f"the store {self.root} {self.how}: {self.what} is not kept"


def find_condition(root: Path) -> Condition | None:
    """Look whether anything new can be kept.

    :raises OSError: that cannot be told.
    """
    if not os.access(root / "tmp", os.W_OK | os.X_OK):
        return _condition(root, _READ_ONLY)
    free = free_bytes(root)
    return _condition(root, _FULL) if free is not None and free < FULL_BYTES else None


def free_bytes(root: Path) -> int | None:
    """Return how many bytes this user may still write, 0 where no file can be made; None where nobody knows.

    :raises OSError: that cannot be told.
    """
    if not hasattr(os, "statvfs"):
        return None
    found = os.statvfs(root)
    # Some filesystems count no inodes.
    return 0 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize


def scarce(root: Path, free: int | None) -> Condition | None:
    """Return what is wrong where there is little room, if there is."""
    if free is None or free >= SCARCE_BYTES:
        return None
    return Condition(root, "is on a filesystem that is nearly full", _HINTS[_FULL], "what is large")


def take_refusal(layout: Layout) -> Condition | None:
    """Return why the filesystem refused something in this run: the last reason, once."""
    numbers = [number for number in layout.refusals if number in _ANSWERS]
    layout.refusals.clear()
    return _condition(layout.root, _ANSWERS[numbers[-1]]) if numbers else None


def _condition(root: Path, how: str) -> Condition:
    return Condition(root, how, _HINTS[how])
