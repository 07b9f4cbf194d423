"""Entries of the store that come and go."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from pipfast.store.archives import add_archive, find_archive
from pipfast.store.layout import Layout, Nowhere, note_use
from pipfast.store.names import BUILT, PAGES, TMP
from pipfast.store.notes import drop_note, has_notes, read_note, write_note
from pipfast.store.urls import Origin, find_origin, note_url

if TYPE_CHECKING:
    from pathlib import Path


def entry(layout: Layout, content: str) -> Path:
    staging = layout.new_staging()
    (staging / "manifest").write_text(content)
    return staging


def test_first_one_stays(layout: Layout) -> None:
    target = layout.tree("a" * 64, 0o022)
    assert layout.settle(entry(layout, "first"), target)
    assert not layout.settle(entry(layout, "second"), target)
    assert (target / "manifest").read_text() == "first"
    assert not list((layout.root / TMP).iterdir())


def test_gutted_entry_gives_way(layout: Layout) -> None:
    """An entry that lost its manifest would otherwise never be made again."""
    target = layout.tree("a" * 64, 0o022)
    layout.settle(entry(layout, "first"), target)
    (target / "manifest").rename(target / "other")
    assert layout.settle(entry(layout, "second"), target)
    assert (target / "manifest").read_text() == "second"


def test_settle_after_the_bucket_was_purged(layout: Layout) -> None:
    staging = entry(layout, "first")
    layout.discard(layout.root / "trees-v1")
    assert layout.settle(staging, layout.tree("a" * 64, 0o022))


def test_discard_tells_whether_there_was_anything(layout: Layout) -> None:
    target = layout.tree("a" * 64, 0o022)
    assert not layout.discard(target)
    layout.settle(entry(layout, "first"), target)
    assert layout.discard(target)
    assert not target.exists() and not list((layout.root / TMP).iterdir())


def test_use_is_noted_once_a_day(tmp_path: Path) -> None:
    hour_ago, long_ago = time.time() - 3600, time.time() - 10 * 86_400
    os.utime(tmp_path, (hour_ago, hour_ago))
    note_use(tmp_path)
    assert tmp_path.stat().st_mtime == pytest.approx(hour_ago)
    os.utime(tmp_path, (long_ago, long_ago))
    note_use(tmp_path)
    assert tmp_path.stat().st_mtime == pytest.approx(time.time(), abs=60)


def test_links_in_tmp_are_not_followed(layout: Layout, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = layout.root / TMP / f"1-{16 * '0'}"
    link.symlink_to(outside)
    os.utime(link, (1, 1), follow_symlinks=False)
    layout.sweep()
    assert outside.is_dir() and not link.is_symlink()


def test_store_that_has_gone_is_not_swept(layout: Layout) -> None:
    shutil.rmtree(layout.root)
    layout.sweep()
    assert not layout.root.exists()


def test_nothing_is_found_and_nothing_is_kept(tmp_path: Path) -> None:
    """Whoever reads or writes need not ask whether there is a store."""
    digest = hashlib.sha256(b"bytes").hexdigest()
    source = tmp_path / "archive.whl"
    source.write_bytes(b"bytes")
    layout = Nowhere()
    assert not layout.keeps
    write_note(layout, PAGES, digest, b"note")
    drop_note(layout, PAGES, digest)
    note_url(layout, "https://example.org/archive.whl", digest, Origin(True, True))
    assert add_archive(layout, source, digest, source.name, move=True) is None
    assert source.exists()
    assert read_note(layout, PAGES, digest) is None
    assert find_archive(layout, digest) is None
    assert find_origin(layout, "https://example.org/archive.whl", digest) is None
    assert not has_notes(layout, BUILT)
    assert not layout.discard(layout.archive(digest))
    assert not layout.root.exists()


def test_no_folder_is_made() -> None:
    with pytest.raises(OSError, match="no store"):
        Nowhere().new_staging()
    with pytest.raises(OSError, match="no store"):
        Nowhere().make_folder("folder")
