"""Folder of a session's downloads: in the store, so that keeping a file is a rename."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipfast.store.layout import Nowhere
from pipfast_hooks.downloads.job import Scratch, move
from support.stores import new_store


def test_files_of_the_same_name_have_folders_of_their_own_in_the_store(tmp_path: Path) -> None:
    layout, scratch = new_store(tmp_path / "store"), Scratch()
    scratch.close()
    assert not any((layout.root / "tmp").iterdir())
    first, second = scratch.new_folder(layout), scratch.new_folder(layout)
    assert first != second and first.parent == second.parent and first.parent.parent == layout.root / "tmp"
    (first / "file").touch()
    scratch.close()
    assert not any((layout.root / "tmp").iterdir())


@pytest.mark.parametrize("why", ["no store", "no room"])
def test_downloads_go_on_where_the_store_takes_none(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    layout = Nowhere() if why == "no store" else new_store(tmp_path / "store")
    if why == "no room":
        (layout.root / "locks").rmdir()
        (layout.root / "locks").touch()
    scratch = Scratch()
    folder = scratch.new_folder(layout)
    assert folder.parent.parent == tmp_path and folder.parent.name.startswith("pipfast-")
    scratch.close()
    assert not folder.parent.exists()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_file_is_moved_to_another_filesystem_too(
    elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    if elsewhere:
        monkeypatch.setattr(Path, "replace", refuse)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"content")
    target.write_bytes(b"of an earlier download")
    move(source, target)
    assert target.read_bytes() == b"content" and not source.exists()
