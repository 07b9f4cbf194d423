"""Ledger of the store's entries: sizes and last uses.

It is kept from one command to the next. A folder whose time is the same has the same entries, and an entry never
changes: only what is new is measured. How much of an entry environments share does change; its largest linked file
tells, by its number of names. Clones cannot be told: they count as the store's own.
"""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pipfast.report import logger
from pipfast.store.names import BUCKETS, BYTECODE
from pipfast.store.reading import read_file
from pipfast.upkeep.inventory import FAN_NAME, is_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast.store.layout import Layout

NAME = "sizes"
"""The ledger's file in the store."""

_MOST_BYTES = 64 << 20
"""Bytes beyond which a file cannot be one of ours: an entry takes some 120."""

_GRAIN_NS = 2_000_000_000
"""Nanoseconds by which a folder's time may lag: it may change once more in the same tick."""

_UNSEEN = 0
"""Time of a folder that has to be looked at again."""


class Row(NamedTuple):
    """One entry. Sizes are bytes on the disk."""

    used: float
    """Seconds since the epoch, noted at most once a day."""
    own: int
    """What only the store holds: removing the entry frees that."""
    shared: int
    """What has names outside the store."""
    files: int
    told_by: str
    """The file, below the entry, that tells whether it is shared; empty where it cannot be."""

    @property
    def is_mostly_shared(self) -> bool:
        """Tell whether removing the entry frees less than half of it."""
        return self.shared > self.own


class Ledger:
    """What is known of all entries; folder and name are relative to the store."""

    def __init__(self, layout: Layout) -> None:
        self._root = os.fspath(layout.root)
        self._folders: dict[str, tuple[int, int, dict[str, Row]]] = {}
        """Of each folder of entries: its time in ns, its own bytes, its entries."""
        self._next = ""
        """The folder at which the next look at shares begins."""
        self.written = 0.0
        """When the ledger was written, in seconds since the epoch; 0 if this is a new one."""
        self.gained = 0
        """Bytes of the store's own in entries that are newer than that."""
        with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
            self._read()

    def _read(self) -> None:
        written, following, folders = json.loads(read_file(os.path.join(self._root, NAME), _MOST_BYTES))
        for folder, (mtime, size, noted) in folders.items():
            rows = {name: Row(*row) for name, row in noted.items() if _is_ours(folder, name)}
            self._folders[folder] = int(mtime), int(size), rows
        self.written, self._next = float(written), str(following)

    def write(self, layout: Layout) -> None:
        """Keep the ledger for the next command; never fails."""
        document = json.dumps([time.time(), self._next, self._folders], separators=(",", ":"))
        try:
            layout.replace_file(layout.root / NAME, document.encode("ascii"))
        except OSError as error:
            logger.debug("pipfast: sizes are not kept: %r", error)

    @property
    def own(self) -> int:
        """Return the bytes that only the store holds, as far as they were measured."""
        return sum(size + sum(row.own for row in rows.values()) for _, size, rows in self._folders.values())

    @property
    def shared(self) -> int:
        """Return the bytes that environments have, too, as far as they were measured."""
        return sum(row.shared for _, _, row in self.rows())

    def rows(self) -> Iterator[tuple[str, str, Row]]:
        """Yield folder, name and row of all entries."""
        for folder, (_, _, rows) in self._folders.items():
            for name, row in rows.items():
                yield folder, name, row

    def look(self, deadline: float) -> None:
        """Measure what is new.

        :param deadline: of ``time.monotonic()``; the rest waits for the next command.
        """
        there = set()
        for folder in self._folders_now():
            there.add(folder)
            self._look_at(folder, deadline)
        for folder in self._folders.keys() - there:
            del self._folders[folder]

    def look_at_shares(self, deadline: float) -> None:
        """Measure again what environments have taken or given up; where this ends, the next command begins."""
        folders = sorted(self._folders)
        begin = next((place for place, folder in enumerate(folders) if folder >= self._next), 0)
        for folder in folders[begin:] + folders[:begin]:
            self._next = folder
            if time.monotonic() > deadline:
                return
            for name, row in list(self._folders[folder][2].items()):
                if row.told_by:
                    self.refresh(folder, name)
        self._next = ""

    def refresh(self, folder: str, name: str) -> Row | None:
        """Return an entry's row as it is now; None if the entry is gone, and the row with it."""
        rows = self._folders[folder][2]
        row, path = rows.get(name), f"{self._root}/{folder}/{name}"
        if row is None:
            return None
        try:
            if row.told_by and (os.lstat(f"{path}/{row.told_by}").st_nlink > 1) != (row.shared > 0):
                rows[name] = measure(path)
            else:
                rows[name] = row._replace(used=os.lstat(path).st_mtime)
        except OSError:
            self.drop(folder, name)
        return rows.get(name)

    def drop(self, folder: str, name: str) -> None:
        """Forget an entry that was removed."""
        _, size, rows = self._folders[folder]
        rows.pop(name, None)
        # Removing it has changed the folder's time, and so may another process have done.
        self._folders[folder] = _UNSEEN, size, rows

    def bytecode_of(self, fan: str, tree: str) -> list[tuple[str, str]]:
        """Return folder and name of the bytecode of a tree."""
        return [(folder, name) for folder, (_, _, rows) in self._folders.items()
                if folder.startswith(f"{BYTECODE}/{fan}/{tree}-") for name in rows]

    def _folders_now(self) -> Iterator[str]:
        for bucket in BUCKETS:
            for fan in _names(f"{self._root}/{bucket}"):
                if not FAN_NAME.fullmatch(fan):
                    continue
                yield f"{bucket}/{fan}"
                if bucket == BYTECODE:
                    yield from (f"{bucket}/{fan}/{tree}" for tree in _names(f"{self._root}/{bucket}/{fan}")
                                if is_entry(BYTECODE, tree))

    def _look_at(self, folder: str, deadline: float) -> None:
        path = f"{self._root}/{folder}"
        try:
            found = os.lstat(path)
            known, _, before = self._folders.get(folder, (_UNSEEN, 0, {}))
            if known == found.st_mtime_ns:
                return
            names = os.listdir(path) if stat.S_ISDIR(found.st_mode) else []
        except OSError:
            self._folders.pop(folder, None)
            return
        rows: dict[str, Row] = {}
        seen = found.st_mtime_ns if time.time_ns() - found.st_mtime_ns > _GRAIN_NS else _UNSEEN
        for name in names:
            row = before.get(name)
            if not _is_ours(folder, name):
                continue
            # A note may have been replaced; to measure it is one look.
            if row is None or not row.told_by:
                if row is None and time.monotonic() > deadline:
                    seen = _UNSEEN
                    continue
                try:
                    row = measure(f"{path}/{name}")
                except OSError:
                    continue
                if name not in before and self.written and row.used > self.written:
                    self.gained += row.own
            rows[name] = row
        self._folders[folder] = seen, _blocks(found), rows


def _is_ours(folder: str, name: str) -> bool:
    """Tell whether this is an entry. Nothing else is ever removed, whatever the ledger's file says."""
    bucket, _, fan = folder.partition("/")
    if bucket == BYTECODE:
        # Its entries are one folder lower.
        fan, _, tree = fan.partition("/")
        return bool(is_entry(bucket, tree) and FAN_NAME.fullmatch(fan) and "/" not in name and name.strip("."))
    return bool(bucket in BUCKETS and FAN_NAME.fullmatch(fan) and is_entry(bucket, name))


def measure(path: str) -> Row:
    """Measure an entry. Raises OSError: it is gone."""
    found = os.lstat(path)
    own, shared, files = _blocks(found), 0, 1
    if not stat.S_ISDIR(found.st_mode):
        return Row(found.st_mtime, own, shared, files, "")
    largest, told_by, folders = (False, -1), "", [path]
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                each = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(each.st_mode):
                    own += _blocks(each)
                    folders.append(entry.path)
                    continue
                files += 1
                size, is_shared = _blocks(each), each.st_nlink > 1
                if is_shared:
                    shared += size
                else:
                    own += size
                if (is_shared, size) > largest:
                    largest, told_by = (is_shared, size), entry.path[len(path) + 1 :]
    return Row(found.st_mtime, own, shared, files, told_by)


def _blocks(found: os.stat_result) -> int:
    blocks = getattr(found, "st_blocks", None)
    return found.st_size if blocks is None else int(blocks) * 512


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
