"""Pruning and purging of the store.

Entries are renamed aside before they are removed, so that nobody reads half of one. A process that loses an entry
makes it again; files that are open or linked stay whole.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.errors import PipfastError
from pipfast.store.folder import TAG, has_tag, write_tag
from pipfast.store.names import BUCKETS, BYTECODE, LOCKS, OUTDATED, SECONDS, TMP, TREES
from pipfast.upkeep.boots import NAME as BOOTS
from pipfast.upkeep.inventory import entries, in_use, leftovers, orphans, usage_of

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout
    from pipfast.upkeep.inventory import Entry

_FOLDERS = (*BUCKETS, *OUTDATED, SECONDS, TMP, LOCKS)
"""All folders of ours in a store."""


class NotAStore(PipfastError):
    """A folder that was to be purged has no tag of ours."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root
        self.hint = "look at PIPFAST_STORE, or delete the folder yourself"

    def __str__(self) -> str:
        return f"{self.root} is not a store of pipfast (it has no {TAG} of ours); nothing was removed"


@dataclass(slots=True)
class Freed:
    """Counts and sizes of removed entries."""

    entries: int = 0
    orphans: int = 0
    leftovers: int = 0
    leftover_bytes: int = 0
    bytes: int = 0
    """Freed disk space, with that of leftovers; files that environments share stay on the disk."""
    shared: int = 0
    """Bytes of these shared files."""
    in_use: int = 0
    """Folders of running processes, which stay."""

    def take(self, path: Path) -> int:
        """Count something that is about to be removed, and return the bytes that it frees."""
        usage = usage_of(path)
        self.bytes += usage.bytes - usage.shared
        self.shared += usage.shared
        return usage.bytes - usage.shared


def prune(layout: Layout, *, max_size: int | None = None, older_than: float | None = None) -> Freed:
    """Remove leftovers and orphans, then the entries that were not used for longest.

    :param max_size: bytes that may stay; None: all.
    :param older_than: remove entries not used for so many seconds.
    """
    freed = Freed(in_use=len(in_use(layout)))
    _take_leftovers(layout, freed)
    for bucket in OUTDATED:
        _take_bucket(layout, bucket, freed)
    for orphan in orphans(layout):
        freed.orphans += _take_away(layout, orphan, freed)
    if max_size is None and older_than is None:
        return freed
    left = sorted(entries(layout), key=lambda entry: (entry.last_use, entry.path))
    # A size costs a look at each file of an entry.
    sizes = {entry.path: usage_of(entry.path).bytes for entry in left} if max_size is not None else {}
    total = sum(sizes.values())
    gone: set[tuple[str, str]] = set()
    now = time.time()
    for entry in left:
        too_old = older_than is not None and now - entry.last_use > older_than
        too_much = max_size is not None and total > max_size
        if (too_old or too_much) and _take_away(layout, entry, freed):
            freed.entries += 1
            total -= sizes.get(entry.path, 0)
            if entry.bucket == TREES:
                gone.add((entry.digest, entry.detail))
    if gone:
        # Bytecode is worth nothing without its tree.
        for orphan in orphans(layout):
            freed.orphans += _take_away(layout, orphan, freed)
    return freed


def purge(layout: Layout) -> Freed:
    """Remove everything of ours in the store's folder, and the folder itself if nothing else is in it.

    The files of running processes in tmp/ stay: pip may be about to read one.

    :raises NotAStore: the folder has no tag of ours.
    """
    if not has_tag(layout.root):
        raise NotAStore(layout.root)
    freed = Freed(in_use=len(in_use(layout)))
    freed.entries = sum(1 for _ in entries(layout))
    _take_leftovers(layout, freed)
    for bucket in (*BUCKETS, *OUTDATED):
        _take_bucket(layout, bucket, freed)
    layout.discard(layout.root / SECONDS)
    _remove_root(layout)
    return freed


def _take_bucket(layout: Layout, bucket: str, freed: Freed) -> None:
    path = layout.root / bucket
    if path.is_symlink():
        path.unlink()
        return
    freed.take(path)
    layout.discard(path)


def _remove_root(layout: Layout) -> None:
    root = layout.root
    with suppress(OSError):
        (root / TMP).rmdir()
        layout.release()
        (root / LOCKS).rmdir()
        # The tag goes last: without it the folder is no store, whatever another process makes in it meanwhile.
        rest = [name for name in os.listdir(root) if name in _FOLDERS]
        if not rest:
            (root / BOOTS).unlink(missing_ok=True)
            (root / TAG).unlink()
            root.rmdir()
    if root.is_dir() and any((root / name).is_dir() for name in _FOLDERS) and not has_tag(root):
        write_tag(root)


def _take_leftovers(layout: Layout, freed: Freed) -> None:
    for path in leftovers(layout):
        freed.leftover_bytes += freed.take(path)
        layout.remove_leftover(path)
        freed.leftovers += 1
    # And the locks of dead processes.
    layout.sweep()


def _take_away(layout: Layout, entry: Entry, freed: Freed) -> bool:
    before = freed.bytes, freed.shared
    freed.take(entry.path)
    if not layout.discard(entry.path):
        freed.bytes, freed.shared = before
        return False
    if entry.bucket == BYTECODE:
        with suppress(OSError):
            entry.path.parent.rmdir()
    return True
