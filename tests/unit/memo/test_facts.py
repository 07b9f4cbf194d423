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
    """Size, time, mode, inode: each alone is a change."""
    path = tmp_path / "file"
    path.write_bytes(b"one")
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
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert changed([(str(path), seen)]) == str(path)


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


@pytest.mark.parametrize(("way", "kept"), [("f", False), ("n", True), ("l", False), ("a4", True)])
def test_a_change_of_just_now_may_have_come_after_the_reader(tmp_path: Path, way: str, kept: bool) -> None:
    """Two changes can have one time; access to a folder, and a folder that is only there, do not depend on it."""
    path = tmp_path / "file"
    path.touch()
    assert is_settled(str(path), way, time.time_ns()) is (way == "a4")
    assert is_settled(str(path), way, time.time_ns() + LATER_NS)
    assert is_settled(str(tmp_path), "f", time.time_ns())
    assert is_settled(str(tmp_path / "none"), way, time.time_ns())
    assert kept is (way in ("n", "a4"))
