"""Answers of indexes that are kept for times without network."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pipfast.index.kept import (
    Answer,
    answer_key,
    content_of,
    find_answer,
    find_metadata,
    has_metadata,
    keep_answer,
    keep_metadata,
    without_user,
)
from pipfast.store.names import ANSWERS
from pipfast.upkeep.inventory import entries
from pipfast.upkeep.worth import cheap

if TYPE_CHECKING:
    from pipfast.store.layout import Layout

KEY = answer_key("https://index/simple/six/", "text/html")
PAGE = Answer(200, "", "text/html", b"", 1000.0)


def times(layout: Layout) -> dict[str, int]:
    return {entry.path.name: entry.path.stat().st_mtime_ns for entry in entries(layout)}


def test_what_was_kept_is_found(layout: Layout) -> None:
    keep_answer(layout, KEY, PAGE, lambda: b"page" * 1000)
    found = find_answer(layout, KEY)
    assert found is not None and replace(found, digest=b"") == PAGE
    assert content_of(layout, found) == b"page" * 1000
    assert find_answer(layout, answer_key("https://index/simple/six/", "application/json")) is None


def test_that_there_is_none_is_an_answer(layout: Layout) -> None:
    keep_answer(layout, KEY, replace(PAGE, status=404), lambda: pytest.fail("it has no content"))
    found = find_answer(layout, KEY)
    assert found is not None and found.status == 404 and content_of(layout, found) == b""


def test_the_newest_counts_and_an_unchanged_one_is_written_once_an_hour(layout: Layout) -> None:
    keep_answer(layout, KEY, PAGE, lambda: b"one")
    before = times(layout)
    keep_answer(layout, KEY, replace(PAGE, asked=500.0), lambda: pytest.fail("it is older"))
    keep_answer(layout, KEY, replace(PAGE, asked=2000.0), lambda: b"one")
    assert times(layout) == before
    keep_answer(layout, KEY, replace(PAGE, asked=9000.0), lambda: b"one")
    assert len([name for name, time in times(layout).items() if before.get(name) != time]) == 1
    keep_answer(layout, KEY, replace(PAGE, asked=9001.0), lambda: b"two")
    found = find_answer(layout, KEY)
    assert found is not None and content_of(layout, found) == b"two"


def test_users_and_fragments_are_no_part_of_an_address() -> None:
    assert without_user("https://me:secret@index:80/a?b#c") == "https://index:80/a?b"
    assert answer_key("https://me:secret@index/a", "") == answer_key("https://index/a", "")


def test_damage_is_no_answer(layout: Layout) -> None:
    keep_answer(layout, KEY, PAGE, lambda: b"page" * 1000)
    found = find_answer(layout, KEY)
    assert found is not None
    for entry in entries(layout):
        content = entry.path.read_bytes()
        entry.path.write_bytes(content[:-3])
    assert content_of(layout, found) is None and find_answer(layout, KEY) is None


def test_metadata_is_found_by_its_digest_alone(layout: Layout) -> None:
    digest = "7509e5bda0c72444e4d0eb1dc8b5c5b9c1ee1c8a3c9b5d5d0f2b2e1f0b6f8a11"
    keep_metadata(layout, digest, b"Name: six")
    assert not has_metadata(layout, digest) and find_metadata(layout, digest) is None
    digest = hashlib.sha256(b"Name: six").hexdigest()
    keep_metadata(layout, digest, b"Name: six")
    assert has_metadata(layout, digest) and find_metadata(layout, digest) == b"Name: six"


def test_a_ci_cache_does_without(layout: Layout) -> None:
    keep_answer(layout, KEY, PAGE, lambda: b"page")
    found = list(entries(layout))
    assert found and {entry.bucket for entry in found} == {ANSWERS}
    assert list(cheap(found, set())) == found
