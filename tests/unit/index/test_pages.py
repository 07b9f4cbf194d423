"""Freshness of pages in pip's cache."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pipfast.index.pages import FreshPage, find_fresh, keep_fresh, looks_of
from pipfast.store.names import PAGES
from pipfast.store.notes import note_key, write_note
from support.stores import new_store

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout

KEY = "b" * 64
LOOKS = ((1, 2, 3, 4), (5, 6, 7, 8))
PAGE = FreshPage(1000.5, LOOKS, "https://x/simple/a/", "text/html", None, bytes(range(32)))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return new_store(tmp_path / "store")


def test_it_is_worth_something_until_its_time_and_no_longer(layout: Layout) -> None:
    keep_fresh(layout, KEY, PAGE)
    assert find_fresh(layout, KEY, LOOKS, 0.0) == PAGE
    assert find_fresh(layout, KEY, LOOKS, 1000.4) == PAGE
    assert find_fresh(layout, KEY, LOOKS, 1000.5) is None


@pytest.mark.parametrize("number", range(8))
def test_other_files_are_another_page(number: int, layout: Layout) -> None:
    """Whichever of inode, size and times is another."""
    keep_fresh(layout, KEY, PAGE)
    facts = [list(each) for each in LOOKS]
    facts[number // 4][number % 4] += 1
    first, second = (tuple(each) for each in facts)
    assert find_fresh(layout, KEY, (first, second), 0.0) is None  # type: ignore[arg-type]


def test_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "entry"
    path.write_bytes(b"x")
    before = looks_of([path])
    assert looks_of([path]) == before
    found = path.stat()
    path.write_bytes(b"y")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert looks_of([path]) != before
    with pytest.raises(FileNotFoundError):
        looks_of([path, tmp_path / "none"])


@pytest.mark.parametrize("payload", [
    b"", b"[]", b"7", b'[1e999, [], "u", "t", null, "00"]', b'[1, [[1]], "u", "t", null, "zz"]',
    b'[NaN, [], "u", "t", null, "' + b"00" * 32 + b'"]', b'["x", 1, "u", "t", null, "' + b"00" * 32 + b'"]',
], ids=range(7))
def test_what_is_no_page_is_thrown_away(payload: bytes, layout: Layout) -> None:
    write_note(layout, PAGES, KEY, payload)
    assert find_fresh(layout, KEY, LOOKS, 0.0) is None
    assert not list((layout.root / PAGES).glob("*/*"))


def test_keys_are_of_everything_that_is_sent() -> None:
    keys = {note_key("fresh ", ("26.3", "u", [["Accept", value]], "p")) for value in ("a", "b")}
    assert len(keys) == 2 and all(len(key) == 64 for key in keys)
