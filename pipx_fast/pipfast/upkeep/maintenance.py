"""Pruning and purging of the store.

Entries are renamed aside before they are removed, so that nobody reads half of one. A process that loses an entry
makes it again; files that are open or linked stay whole.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipfast.errors import PipfastError
from pipfast.store.folder import TAG, has_tag, write_tag
from pipfast.store.names import BUCKETS, BYTECODE, LOCKS, OUTDATED, SECONDS, TMP
from pipfast.upkeep.boots import NAME as BOOTS
from pipfast.upkeep.bound import FULL
from pipfast.upkeep.inventory import Entry, entries, in_use, leftovers, orphans, usage_of
from pipfast.upkeep.ledger import NAME as LEDGER
from pipfast.upkeep.worth import bereft, cheap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set
    from pathlib import Path

    from pipfast.store.layout import Layout

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
    dry_run: bool = False
    """Nothing is removed, only counted."""
    removed: list[tuple[Entry, int]] = field(default_factory=list)
    """The entries, orphans too, each with the bytes that it frees."""
    kept: list[Entry] = field(default_factory=list)
    """The entries that `prune` leaves."""

    def take(self, path: Path) -> int:
        """Count something that is about to be removed, and return the bytes that it frees."""
        usage = usage_of(path)
        self.bytes += usage.bytes - usage.shared
        self.shared += usage.shared
        return usage.bytes - usage.shared


def prune(
    layout: Layout, *, max_size: int | None = None, older_than: float | None = None,
    rescued: Set[str] | None = None, bound: int | None = None, dry_run: bool = False,
) -> Freed:
    """Remove leftovers and orphans, then what a CI job's cache need not have, then what was not used for longest.

    :param max_size: bytes that may stay; None: all.
    :param older_than: remove entries not used for so many seconds.
    :param rescued: prune for the cache of a CI job, which keeps the archives of these digests only; None: do not.
    :param bound: bytes that may stay of what only the store holds, as a command's end leaves them; None: all.
    :param dry_run: only count.
    """
    freed = Freed(in_use=len(in_use(layout)), dry_run=dry_run)
    _take_leftovers(layout, freed)
    for bucket in OUTDATED:
        _take_bucket(layout, bucket, freed)
    lost = orphans(layout)
    for orphan in lost:
        freed.orphans += _take_away(layout, orphan, freed)
    left = {entry.path: entry for entry in entries(layout)}
    for orphan in lost:
        left.pop(orphan.path, None)

    def take(gone: Iterable[Entry]) -> None:
        taken = [entry for entry in gone if _take_away(layout, left.pop(entry.path), freed)]
        freed.entries += len(taken)
        for entry in list(bereft(left.values(), taken)):
            freed.orphans += _take_away(layout, left.pop(entry.path), freed)

    if rescued is not None:
        take(list(cheap(left.values(), rescued)))
    if max_size is not None or older_than is not None:
        take(_longest_unused(left.values(), max_size, older_than))
    if bound is not None:
        take(_beyond(left.values(), bound))
    freed.kept = list(left.values())
    return freed


def _longest_unused(left: Iterable[Entry], max_size: int | None, older_than: float | None) -> Iterator[Entry]:
    """Yield what was not used for too long and, until the rest is small enough, what was not used for longest."""
    ordered = sorted(left, key=lambda entry: (entry.last_use, entry.path))
    # A size costs a look at each file of an entry.
    sizes = {entry.path: usage_of(entry.path).bytes for entry in ordered} if max_size is not None else {}
    total = sum(sizes.values())
    now = time.time()
    for entry in ordered:
        too_old = older_than is not None and now - entry.last_use > older_than
        if too_old or (max_size is not None and total > max_size):
            total -= sizes.get(entry.path, 0)
            yield entry


def _beyond(left: Iterable[Entry], bound: int) -> Iterator[Entry]:
    """Yield what goes until nine tenths of the bound are left; what environments share mostly is the last."""
    usages = {entry: usage_of(entry.path) for entry in left}
    own = sum(usage.bytes - usage.shared for usage in usages.values())
    ordered = sorted(usages, key=lambda entry: (
        2 * usages[entry].shared > usages[entry].bytes, entry.last_use, entry.path))
    for entry in ordered:
        if own <= bound * FULL:
            return
        own -= usages[entry].bytes - usages[entry].shared
        yield entry


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
        if not freed.dry_run:
            path.unlink()
        return
    freed.take(path)
    if not freed.dry_run:
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
            for name in (BOOTS, LEDGER):
                (root / name).unlink(missing_ok=True)
            (root / TAG).unlink()
            root.rmdir()
    if root.is_dir() and any((root / name).is_dir() for name in _FOLDERS) and not has_tag(root):
        write_tag(root)


def _take_leftovers(layout: Layout, freed: Freed) -> None:
    for path in leftovers(layout):
        freed.leftover_bytes += freed.take(path)
        freed.leftovers += 1
        if not freed.dry_run:
            layout.remove_leftover(path)
    if not freed.dry_run:
        # And the locks of dead processes.
        layout.sweep()


def _take_away(layout: Layout, entry: Entry, freed: Freed) -> bool:
    before = freed.bytes, freed.shared
    size = freed.take(entry.path)
    if not freed.dry_run and not layout.discard(entry.path):
        freed.bytes, freed.shared = before
        return False
    freed.removed.append((entry, size))
    if entry.bucket == BYTECODE and not freed.dry_run:
        with suppress(OSError):
            entry.path.parent.rmdir()
    return True
