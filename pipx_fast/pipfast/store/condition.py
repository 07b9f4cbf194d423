"""Reasons why the store keeps nothing new: full or read-only."""

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
"""Bytes free (64 MiB) below which large wheels find no room; `doctor` warns of it."""

_MAKE_ROOM = f"make room, or {ELSEWHERE}"
_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class Condition:
    """A reason why a store that can be read keeps nothing new.

    No dataclass: making one takes half a millisecond, and each command that opens a store loads this.

    :param how: the end of a sentence about the store.
    :param what: the files that are not kept.
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
    """Return why nothing new can be kept, or None if it can. Raises OSError: that cannot be told."""
    if not os.access(root / "tmp", os.W_OK | os.X_OK):
        return _read_only(root)
    free = free_bytes(root)
    return _full(root) if free is not None and free < FULL_BYTES else None


def free_bytes(root: Path) -> int | None:
    """Return the bytes that this user may still write: 0 if no file can be made, None without a count."""
    if not hasattr(os, "statvfs"):
        return None
    found = os.statvfs(root)
    # Some filesystems count no inodes.
    return 0 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize


def scarce(root: Path, free: int | None) -> Condition | None:
    """Return the condition of a store with little room or none; None where there is enough."""
    if free is None or free >= SCARCE_BYTES:
        return None
    if free < FULL_BYTES:
        return _full(root)
    return Condition(root, "is on a filesystem that is nearly full", _MAKE_ROOM, "what is large")


def take_refusal(layout: Layout) -> Condition | None:
    """Return why the filesystem refused something in this run: the last reason, once."""
    numbers = [number for number in layout.refusals if number in (*_NO_ROOM, errno.EROFS)]
    layout.refusals.clear()
    if not numbers:
        return None
    return _read_only(layout.root) if numbers[-1] == errno.EROFS else _full(layout.root)


def _full(root: Path) -> Condition:
    return Condition(root, "is on a filesystem that is full", _MAKE_ROOM)


def _read_only(root: Path) -> Condition:
    return Condition(root, "is read-only", f"make it writable, or {ELSEWHERE}")
