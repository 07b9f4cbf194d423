"""Entries that are worth their place in a CI job's cache.

Such a cache is fetched no faster than the index is, so it pays only for what takes longer to make than to fetch.
By measurement that is bytecode, with the tree it belongs to, and wheels of rescued builds. Other archives, and
pages, take as long from the index, and a tree without bytecode is unpacked as fast as it is fetched.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pipfast.store.manifest import Damaged, Folder, read_bytecode_manifest, read_tree_manifest
from pipfast.store.names import ANSWERS, ARCHIVES, BYTECODE, TREES, URLS
from pipfast.store.urls import read_address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Set

    from pipfast.upkeep.inventory import Entry

LEAST_BYTECODE = 0.05
"""Part of a wheel's unpacked bytes, bytecode included, that is bytecode: a wheel with less (large libraries, few
sources) is unpacked and compiled about as fast as it is fetched."""


def cheap(entries: Collection[Entry], rescued: Set[str]) -> Iterator[Entry]:
    """Yield the entries that the next job gets or makes as fast as its cache gives them.

    :param rescued: digests of wheels that rescued builds made.
    """
    compiled: dict[str, int] = {}
    for entry in entries:
        if entry.bucket == BYTECODE:
            with suppress(OSError, Damaged):
                size = _size(read_bytecode_manifest(entry.path))
                compiled[_tree_of(entry)] = compiled.get(_tree_of(entry), 0) + size
    for entry in entries:
        if entry.bucket == ANSWERS or (entry.bucket == ARCHIVES and entry.digest not in rescued):
            yield entry
        elif entry.bucket == TREES:
            code = compiled.get(entry.path.name, 0)
            with suppress(OSError, Damaged):
                if code <= LEAST_BYTECODE * (code + _size(read_tree_manifest(entry.path).folders)):
                    yield entry


def bereft(entries: Iterable[Entry], gone: Collection[Entry]) -> Iterator[Entry]:
    """Yield bytecode whose tree goes, and addresses whose archive goes."""
    trees = {entry.path.name for entry in gone if entry.bucket == TREES}
    archives = {entry.digest for entry in gone if entry.bucket == ARCHIVES}
    for entry in entries:
        if entry.bucket == BYTECODE and _tree_of(entry) in trees:
            yield entry
        elif entry.bucket == URLS:
            with suppress(OSError, ValueError):
                if read_address(entry.path)[0] in archives:
                    yield entry


def _tree_of(bytecode: Entry) -> str:
    """Return the name of the folder of a bytecode's tree."""
    return bytecode.path.parent.name.rpartition("-")[0]


def _size(folders: Iterable[Folder]) -> int:
    return sum(file.size for folder in folders for file in folder.files)
