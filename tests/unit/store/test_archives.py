"""Archives come and go by their digest."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.store.archives import add_archive, find_archive, hand_out, is_sound
from support.stores import keep
from support.wheels import wheel

if TYPE_CHECKING:
    from pipfast.store.layout import Layout


def umask_of(path: Path) -> int:
    return 0o666 & ~path.stat().st_mode


@pytest.mark.parametrize("move", [True, False])
def test_what_is_kept_is_found(move: bool, layout: Layout, tmp_path: Path) -> None:
    archive = wheel("demo")
    source = tmp_path / archive.filename
    source.write_bytes(archive.data)
    kept = add_archive(layout, source, archive.sha256, archive.filename, move=move)
    assert kept is not None and kept == find_archive(layout, archive.sha256)
    assert kept.path.read_bytes() == archive.data
    assert source.exists() is not move


def test_copy_with_another_digest_is_not_kept(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"other")
    assert add_archive(layout, tmp_path / "x", "a" * 64, "x", move=False) is None
    assert find_archive(layout, "a" * 64) is None


def test_edited_in_place_is_thrown_away(
    layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = wheel("edited")
    path = keep(layout, archive, tmp_path)
    with path.open("ab") as file:
        file.write(b"more")
    assert find_archive(layout, archive.sha256) is None
    assert not path.exists()
    assert "changed in place" in capsys.readouterr().err


def test_a_path_that_an_index_calls_a_digest_is_left_alone(layout: Layout, tmp_path: Path) -> None:
    """`#sha256=/home/me/.profile` finds nothing and, above all, throws nothing away."""
    file = tmp_path / "precious"
    file.write_text("mine", encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "note.json").write_text("[]", encoding="utf-8")
    for path in (file, folder):
        for name in (str(path), os.path.relpath(path, layout.archive(".."))):
            assert find_archive(layout, name) is None
            assert path.exists()


def test_poisoned_with_size_and_time_put_back_is_not_read(layout: Layout, tmp_path: Path) -> None:
    archive = wheel("poisoned")
    path = keep(layout, archive, tmp_path)
    found = path.stat()
    data = bytearray(archive.data)
    data[40] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    kept = find_archive(layout, archive.sha256)
    assert kept is not None and not is_sound(layout, kept)
    assert not path.exists()


@pytest.mark.parametrize("move", [True, False])
def test_damaged_archive_gives_way_to_the_same_file(move: bool, layout: Layout, tmp_path: Path) -> None:
    """What was fetched anew, because its index has no digests, is not replaced by a damaged copy."""
    archive = wheel("poisoned")
    data = bytearray(archive.data)
    data[40] ^= 1
    keep(layout, archive, tmp_path).write_bytes(data)
    source = tmp_path / archive.filename
    source.write_bytes(archive.data)
    kept = add_archive(layout, source, archive.sha256, archive.filename, move=move)
    assert kept is not None and kept.path.read_bytes() == archive.data


@pytest.mark.parametrize("note", ["", "[]", "{", '{"size": "x"}'])
def test_unreadable_note(note: str, layout: Layout, tmp_path: Path) -> None:
    archive = wheel("demo")
    path = keep(layout, archive, tmp_path)
    (path.parent / "note.json").write_text(note)
    assert find_archive(layout, archive.sha256) is None
    assert not path.exists()


@pytest.mark.parametrize("missing", ["bytes", "note.json"])
def test_gutted_entry_is_kept_again(missing: str, layout: Layout, tmp_path: Path) -> None:
    archive = wheel("demo")
    path = keep(layout, archive, tmp_path)
    (path.parent / missing).unlink()
    assert find_archive(layout, archive.sha256) is None
    assert keep(layout, archive, tmp_path).read_bytes() == archive.data


@pytest.mark.parametrize("name", ["out-1.0.whl", "out-1.0.tar.gz", "out-1.0.tar.bz2", "out-1.0.zip"])
def test_handed_out_across_filesystems_outlives_the_entry(
    name: str, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip reads the file long after it was handed out; `prune` may have come by. It looks at that file's name."""
    archive = wheel("demo")
    path = keep(layout, archive, tmp_path)
    found = find_archive(layout, archive.sha256)
    assert found is not None
    link = os.link

    def refuse(source: Any, target: Any, **options: Any) -> None:
        if Path(target).parent == tmp_path:
            raise OSError(errno.EXDEV, "another filesystem")
        link(source, target, **options)

    monkeypatch.setattr(os, "link", refuse)
    hand_out(found, tmp_path / name, umask_of(found.path))
    layout.discard(path.parent)
    assert (tmp_path / name).read_bytes() == archive.data
    assert os.path.realpath(tmp_path / name).endswith(name.removeprefix("out-1.0"))


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_handed_out_with_the_mode_of_todays_umask(umask: int, layout: Layout, tmp_path: Path) -> None:
    """pip copies modes from there to the user's folders; the store's own file keeps its mode."""
    before = os.umask(0o027)
    try:
        path = keep(layout, wheel("demo"), tmp_path)
        found = find_archive(layout, wheel("demo").sha256)
        assert found is not None
        os.umask(umask)
        hand_out(found, tmp_path / "out.whl", umask)
    finally:
        os.umask(before)
    assert (tmp_path / "out.whl").stat().st_mode & 0o7777 == 0o666 & ~umask
    assert path.stat().st_mode & 0o7777 == 0o640


def test_handed_out_where_nothing_can_be_linked(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that cannot be written, on another filesystem, still gives what it has."""
    archive = wheel("demo")
    keep(layout, archive, tmp_path)
    found = find_archive(layout, archive.sha256)
    assert found is not None

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(os, "link", refuse)
    hand_out(found, tmp_path / "out.whl", umask_of(found.path))
    assert (tmp_path / "out.whl").read_bytes() == archive.data
    assert not (tmp_path / "out.whl").is_symlink()
    assert list((layout.root / "tmp").iterdir()) == []


def test_an_archive_that_another_process_pruned_is_not_called_damaged(
    layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(layout, wheel("demo"), tmp_path)
    found = find_archive(layout, wheel("demo").sha256)
    assert found is not None
    layout.discard(found.path.parent)
    assert not is_sound(layout, found)
    assert capsys.readouterr() == ("", "")
    keep(layout, wheel("demo"), tmp_path)
    found.path.unlink()
    found.path.mkdir()
    assert not is_sound(layout, found)
    assert "cannot be read" in capsys.readouterr().err


def test_another_time_is_no_damage(layout: Layout, tmp_path: Path) -> None:
    """A store that was restored from an archive; the bytes are hashed before they are used."""
    path = keep(layout, wheel("demo"), tmp_path)
    os.utime(path, (1, 1))
    found = find_archive(layout, wheel("demo").sha256)
    assert found is not None and is_sound(layout, found)
