"""A command without a store."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from pipfast.store.archives import add_archive, find_archive
from pipfast.store.names import BUILT, PAGES
from pipfast.store.notes import drop_note, has_notes, read_note, write_note
from pipfast.store.nowhere import Nowhere
from pipfast.store.urls import Origin, find_origin, note_url

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = hashlib.sha256(b"bytes").hexdigest()


def test_nothing_is_found_and_nothing_is_kept(tmp_path: Path) -> None:
    """Whoever reads or writes need not ask whether there is a store."""
    source = tmp_path / "archive.whl"
    source.write_bytes(b"bytes")
    layout = Nowhere()
    assert not layout.keeps
    write_note(layout, PAGES, DIGEST, b"note")
    drop_note(layout, PAGES, DIGEST)
    note_url(layout, "https://example.org/archive.whl", DIGEST, Origin(True, True))
    assert add_archive(layout, source, DIGEST, source.name, move=True) is None
    assert source.exists()
    assert read_note(layout, PAGES, DIGEST) is None
    assert find_archive(layout, DIGEST) is None
    assert find_origin(layout, "https://example.org/archive.whl", DIGEST) is None
    assert not has_notes(layout, BUILT)
    assert not layout.discard(layout.archive(DIGEST))
    assert not layout.root.exists()


def test_no_folder_is_made() -> None:
    with pytest.raises(OSError, match="no store"):
        Nowhere().new_staging()
    with pytest.raises(OSError, match="no store"):
        Nowhere().make_folder("folder")
