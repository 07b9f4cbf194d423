"""Entries of the store: sizes, last uses, orphans."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipfast.store.manifest import Damaged, read_tree_manifest
from pipfast.store.names import BUCKETS, BYTECODE, TMP, TREES, URLS
from pipfast.store.sessions import survey
from pipfast.store.urls import read_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipfast.store.layout import Layout

_TREE_NAME = re.compile(r"([0-9a-f]{64})-([0-7]{3})")
_BYTECODE_NAME = re.compile(r"([0-9a-f]{64})-([0-7]{3})-([0-9a-f]{8,64})")
_ARCHIVE_NAME = re.compile(r"[0-9a-f]{64}")
FAN_NAME = re.compile(r"[0-9a-f]{2}")
"""Folders of a bucket, in which entries are: the first digits of their names."""


@dataclass(slots=True)
class Usage:
    """Disk use; a file that has several names counts once."""

    bytes: int = 0
    shared: int = 0
    """Of these, bytes of files that have a name outside the store: in environments."""
    files: int = 0
    _names: dict[tuple[int, int], list[int]] = field(default_factory=dict, repr=False)

    def add(self, path: Path | str) -> None:
        """Count a file, or a folder with its content; what vanishes meanwhile counts nothing."""
        with suppress(OSError):
            found = os.lstat(path)
            self._count(found)
            if stat.S_ISDIR(found.st_mode):
                self._add_folder(os.fspath(path))

    def _add_folder(self, path: str) -> None:
        with suppress(OSError), os.scandir(path) as entries:
            for entry in entries:
                with suppress(OSError):
                    self._count(entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        self._add_folder(entry.path)

    def _count(self, found: os.stat_result) -> None:
        blocks = getattr(found, "st_blocks", None)
        size = found.st_size if blocks is None else blocks * 512
        if stat.S_ISDIR(found.st_mode):
            self.bytes += size
            return
        names = self._names.setdefault((found.st_dev, found.st_ino), [0, found.st_nlink, size])
        names[0] += 1
        if names[0] == 1:
            self.bytes += size
            self.files += 1
            if found.st_nlink > 1:
                self.shared += size
        elif names[0] == names[1]:
            # All its names are in the store after all.
            self.shared -= size


def usage_of(path: Path | str) -> Usage:
    """Return the disk use of a file, or of a folder with its content."""
    usage = Usage()
    usage.add(path)
    return usage


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a bucket."""

    bucket: str
    digest: str
    """Of the archive; of the address in the bucket of addresses."""
    path: Path
    last_use: float
    """Seconds since the epoch, noted at most once a day."""
    detail: str = ""
    """A tree's umask; the kind of bytecode."""
    tree_id: str = ""


def entries(layout: Layout) -> Iterator[Entry]:
    """Yield every entry whose name is one of ours."""
    for bucket in BUCKETS:
        for path in _grandchildren(layout.root / bucket):
            yield from _entries_at(bucket, path)


def unknown(layout: Layout) -> Iterator[Path]:
    """Yield the paths in buckets that have no name of ours."""
    for bucket in BUCKETS:
        for fan in _children(layout.root / bucket):
            if not FAN_NAME.fullmatch(fan.name) or fan.is_symlink() or not fan.is_dir():
                yield fan
                continue
            for path in _children(fan):
                if _match(bucket, path.name) is None or not path.name.startswith(fan.name):
                    yield path


def orphans(layout: Layout) -> list[Entry]:
    """Return trees without a readable manifest, bytecode without its tree, addresses of missing archives."""
    ids: set[tuple[str, str]] = set()
    found: list[Entry] = []
    others: list[Entry] = []
    for entry in entries(layout):
        if entry.bucket == TREES:
            try:
                ids.add((entry.digest, read_tree_manifest(entry.path).tree_id))
            except (OSError, Damaged):
                found.append(entry)
        else:
            others.append(entry)
    for entry in others:
        if entry.bucket == BYTECODE and (entry.digest, entry.tree_id) not in ids:
            found.append(entry)
        elif entry.bucket == URLS and not _archive_is_there(layout, entry.path):
            found.append(entry)
    return found


def leftovers(layout: Layout) -> list[Path]:
    """Return the leftovers of dead processes in tmp/."""
    return [layout.root / TMP / name for name in survey(str(layout.root)).leftovers]


def in_use(layout: Layout) -> list[Path]:
    """Return the paths in tmp/ of processes that live, or may live."""
    return [layout.root / TMP / name for name in survey(str(layout.root)).in_use]


def is_entry(bucket: str, name: str) -> bool:
    """Tell whether this is the name of an entry of a bucket; of bytecode, of the folder of one tree's."""
    return _match(bucket, name) is not None


def _entries_at(bucket: str, path: Path) -> Iterator[Entry]:
    match = _match(bucket, path.name)
    if match is None:
        return
    if bucket != BYTECODE:
        detail = match[2] if bucket == TREES else ""
        with suppress(OSError):
            yield Entry(bucket, match[0][:64], path, path.lstat().st_mtime, detail)
        return
    for kind in _children(path):
        with suppress(OSError):
            yield Entry(bucket, match[1], kind, kind.lstat().st_mtime, kind.name, match[3])


def _match(bucket: str, name: str) -> re.Match[str] | None:
    pattern = {TREES: _TREE_NAME, BYTECODE: _BYTECODE_NAME}.get(bucket, _ARCHIVE_NAME)
    return pattern.fullmatch(name)


def _archive_is_there(layout: Layout, address: Path) -> bool:
    try:
        digest, _ = read_address(address)
    except (OSError, ValueError):
        return False
    return layout.archive(digest).exists()


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _grandchildren(folder: Path) -> Iterator[Path]:
    for child in _children(folder):
        if not child.is_symlink():
            yield from _children(child)
