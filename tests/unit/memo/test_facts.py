from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from pipfast.memo.facts import changed, is_settled, look

if TYPE_CHECKING:
    from pathlib import Path

LATER_NS = 10**12


def test_looks_tell_one_file_from_another(tmp_path: Path) -> None:
    """Size, time, mode, inode: each alone is a change, of a file that has several names."""
    path = tmp_path / "file"
    path.write_bytes(b"one")
    (tmp_path / "link").hardlink_to(path)
    seen = look(str(path), "f")
    assert changed([(str(path), seen)]) == ""
    found = path.stat()
    path.write_bytes(b"four")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert changed([(str(path), seen)]) == str(path)
    path.write_bytes(b"one")
    assert changed([(str(path), seen)]) == str(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert changed([(str(path), seen)]) == ""
    path.chmod(0o600)
    assert changed([(str(path), seen)]) == str(path)
    path.chmod(found.st_mode)
    path.rename(tmp_path / "aside")
    path.write_bytes(b"one")
    (tmp_path / "another").hardlink_to(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert changed([(str(path), seen)]) == str(path)


@pytest.mark.parametrize("way", ["f", "l", "n"])
def test_a_time_that_is_put_back_is_a_change(tmp_path: Path, way: str) -> None:
    """Whoever writes a file in place, or into a folder, cannot put back when that was."""
    path = tmp_path / "place"
    if way == "n":
        path.mkdir()
    else:
        path.write_bytes(b"one")
    seen, found = look(str(path), way), path.stat()
    time.sleep(0.02)
    if way == "n":
        (path / "new").touch()
    else:
        path.write_bytes(b"two")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.stat().st_mtime_ns == found.st_mtime_ns
    assert look(str(path), way) != seen


def test_what_is_not_there_is_a_fact(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for way in ("f", "l", "n", "a4"):
        seen = look(str(path), way)
        path.mkdir()
        assert look(str(path), way) != seen
        path.rmdir()
        assert look(str(path), way) == seen
    assert look("a\0b", "f") == "f ?"
    assert look(str(tmp_path / "file" / "below"), "f") == "f 2"


def test_a_folder_is_another_one_with_other_names_only_for_who_has_read_them(tmp_path: Path) -> None:
    plain, names = look(str(tmp_path), "f"), look(str(tmp_path), "n")
    time.sleep(0.02)
    (tmp_path / "new").touch()
    assert look(str(tmp_path), "f") == plain
    assert look(str(tmp_path), "n") != names


def test_a_link_leads_elsewhere(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).touch()
    link = tmp_path / "link"
    link.symlink_to("one")
    followed, itself = look(str(link), "f"), look(str(link), "l")
    link.unlink()
    link.symlink_to("two")
    assert look(str(link), "f") != followed
    assert look(str(link), "l") != itself


def test_a_change_of_just_now_may_have_come_after_the_reader(tmp_path: Path) -> None:
    """Two changes can have one time; a folder that is only there does not depend on it."""
    path = tmp_path / "file"
    path.touch()
    for way in ("f", "l"):
        assert not is_settled(path.stat(), way, time.time_ns())
        assert is_settled(path.stat(), way, time.time_ns() + LATER_NS)
    assert is_settled(tmp_path.stat(), "f", time.time_ns())
    assert not is_settled(tmp_path.stat(), "n", time.time_ns())
