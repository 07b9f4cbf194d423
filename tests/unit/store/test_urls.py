"""Notes about addresses."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from pipfast.store.names import URLS
from pipfast.store.urls import Origin, find_origin, note_url
from pipfast.upkeep.inventory import orphans

if TYPE_CHECKING:
    from pipfast.store.layout import Layout

URL = "https://user:password@files.test/demo-1.0-py3-none-any.whl?token=1"
DIGEST, OTHER = "a" * 64, "b" * 64
ORIGINS = [Origin(kept, sized) for kept, sized in itertools.product((True, False), repeat=2)]


@pytest.mark.parametrize("origin", ORIGINS, ids=str)
def test_origin_of_one_archive_only(layout: Layout, origin: Origin) -> None:
    assert find_origin(layout, URL, DIGEST) is None
    note_url(layout, URL, DIGEST, origin)
    assert find_origin(layout, URL, DIGEST) == origin
    assert find_origin(layout, URL, OTHER) is None
    assert find_origin(layout, URL + "2", DIGEST) is None


def test_last_note_counts(layout: Layout) -> None:
    for origin in ORIGINS:
        note_url(layout, URL, DIGEST, origin)
        assert find_origin(layout, URL, DIGEST) == origin


def test_address_is_not_readable(layout: Layout) -> None:
    note_url(layout, URL, DIGEST, ORIGINS[0])
    noted = [path for path in (layout.root / URLS).rglob("*") if path.is_file()]
    assert len(noted) == 1
    assert "password" not in str(noted[0]) + noted[0].read_text(encoding="ascii")


@pytest.mark.parametrize("origin", ORIGINS, ids=str)
def test_orphaned_with_its_archive(layout: Layout, origin: Origin) -> None:
    layout.archive(DIGEST).mkdir(parents=True)
    note_url(layout, URL, DIGEST, origin)
    note_url(layout, URL + "2", OTHER, origin)
    assert len([entry for entry in orphans(layout) if entry.bucket == URLS]) == 1
