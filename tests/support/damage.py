"""Damage to the store's notes about pages and metadata."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class HasStore(Protocol):
    """Whatever knows where the store is."""

    @property
    def store(self) -> Path:
        """The store's root."""


def notes(places: HasStore) -> Iterator[Path]:
    """Yield the entries that the resolution has left in the store."""
    entries = [path for path in places.store.glob("pages-v*/*/*") if path.is_file()]
    assert entries, "nothing is kept that could be damaged"
    yield from entries


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[HasStore], None]:
    def rewrite(places: HasStore) -> None:
        for path in notes(places):
            path.write_bytes(change(path.read_bytes()))

    return rewrite


def flipped(content: bytes) -> bytes:
    middle = len(content) - 3
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


def into_folders(places: HasStore) -> None:
    for path in notes(places):
        path.unlink()
        (path / "x").mkdir(parents=True)


def emptied(places: HasStore) -> None:
    shutil.rmtree(next(notes(places)).parents[1])


DAMAGES: dict[str, Callable[[HasStore], None]] = {
    "truncated": rewritten(lambda content: content[: len(content) // 2]),
    "nothing-in-them": rewritten(lambda content: b""),
    "flipped-bits": rewritten(flipped),
    "another-version": rewritten(lambda content: content.replace(b"pipfast-note-1", b"pipfast-note-2", 1)),
    "folders": into_folders,
    "gone": emptied,
}
