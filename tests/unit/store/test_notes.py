"""Notes are read whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from pipfast.store.layout import Layout, open_layout
from pipfast.store.names import PAGES
from pipfast.store.notes import is_whole, keep_note, load_note, note_key, read_note, write_note
from pipfast.upkeep.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

KEY = "ab" * 32


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return open_layout(tmp_path / "store")


def kept(layout: Layout) -> Path:
    return layout.root / PAGES / KEY[:2] / KEY


def test_what_was_written_is_read_again(layout: Layout) -> None:
    write_note(layout, PAGES, KEY, b"one\ntwo")
    write_note(layout, PAGES, KEY, b"three\nfour")
    assert read_note(layout, PAGES, KEY) == b"three\nfour"
    assert is_whole(kept(layout).read_bytes())
    assert not list((layout.root / "tmp").iterdir())


def test_what_was_never_written_is_nothing(layout: Layout) -> None:
    assert read_note(layout, PAGES, KEY) is None


@pytest.mark.parametrize("damage", [
    lambda content: content[:-1],
    lambda content: content[:20],
    lambda content: b"",
    lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    lambda content: bytes([content[0] ^ 1]) + content[1:],
    lambda content: content.replace(b"note-1", b"note-0"),
    lambda content: b"x" * len(content),
], ids=["short", "cut in its head", "empty", "a bit of its end", "a bit of its start", "another format", "other"])
def test_a_damaged_entry_is_thrown_away_and_made_again(layout: Layout, damage: object) -> None:
    write_note(layout, PAGES, KEY, b"payload")
    kept(layout).write_bytes(damage(kept(layout).read_bytes()))  # type: ignore[operator]
    assert read_note(layout, PAGES, KEY) is None
    assert not kept(layout).exists()
    write_note(layout, PAGES, KEY, b"payload")
    assert read_note(layout, PAGES, KEY) == b"payload"


def test_a_store_that_cannot_be_written_keeps_nothing(layout: Layout) -> None:
    (layout.root / PAGES / KEY[:2]).write_bytes(b"in the way")
    write_note(layout, PAGES, KEY, b"payload")
    assert read_note(layout, PAGES, KEY) is None
    assert not list((layout.root / "tmp").iterdir())


def test_use_is_noted_for_prune(layout: Layout) -> None:
    write_note(layout, PAGES, KEY, b"payload")
    os.utime(kept(layout), (0, 0))
    assert read_note(layout, PAGES, KEY) == b"payload"
    assert abs(kept(layout).stat().st_mtime - time.time()) < 60


def test_verify_takes_damaged_entries_away(layout: Layout) -> None:
    write_note(layout, PAGES, KEY, b"payload")
    assert not verify(layout).damages
    kept(layout).write_bytes(kept(layout).read_bytes() + b"!")
    assert [damage.path for damage in verify(layout).damages] == [kept(layout)]
    assert not kept(layout).exists()


def test_a_key_is_the_digest_of_its_parts() -> None:
    """A store's notes are found by every version of pipfast: the keys are the ones they were kept under."""
    described = ["cpython-311", {"b": 1, "a": None}, "\udcff", "é"]
    as_json = json.dumps(described, sort_keys=True).encode("ascii")
    assert note_key(described) == hashlib.sha256(as_json).hexdigest()
    assert note_key("fresh ", described) == hashlib.sha256(b"fresh " + as_json).hexdigest()
    assert note_key(b"\x00\xff", "é\n") == hashlib.sha256(b"\x00\xff" + "é\n".encode()).hexdigest()


def test_what_is_kept_is_loaded(layout: Layout) -> None:
    keep_note(layout, PAGES, KEY, {"a": ["\udcff", 1.5]})
    assert load_note(layout, PAGES, KEY, json.loads) == {"a": ["\udcff", 1.5]}


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError])
def test_what_its_reader_cannot_read_is_removed(layout: Layout, error: type[Exception]) -> None:
    def read(payload: bytes) -> None:
        raise error(payload)

    write_note(layout, PAGES, KEY, b"payload")
    assert load_note(layout, PAGES, KEY, read) is None
    assert read_note(layout, PAGES, KEY) is None
