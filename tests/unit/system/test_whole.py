"""Files that are replaced whole: what is there before survives whatever ends the writing."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast.system import whole
from pipfast.system.whole import replace_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGE = b"new" * 100_000


@pytest.fixture
def full() -> Iterator[None]:
    """Let no file grow beyond some blocks: the error comes amid the writing, as that of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets a folder take no new file, as one on a read-only mount: root writes anywhere."""
    def open_old(path: str, mode: str) -> object:
        if "x" in mode:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return Path(path).open(mode)

    return lambda: monkeypatch.setattr(whole, "open", open_old, raising=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_and_old_files(tmp_path: Path) -> None:
    """An old one keeps its mode."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"longer than the new one")
    old.chmod(0o640)
    replace_files({old: b"1", new: b"2"})
    assert (old.read_bytes(), new.read_bytes(), names(tmp_path)) == (b"1", b"2", ["new", "old"])
    assert old.stat().st_mode & 0o777 == 0o640


def test_name_of_the_most_letters(tmp_path: Path) -> None:
    replace_files({tmp_path / ("x" * 255): b"1"})
    assert (tmp_path / ("x" * 255)).read_bytes() == b"1"


def test_full_disk_leaves_all_as_it_was(tmp_path: Path, full: None) -> None:
    """Also the file that had been written aside already; the error names the one that is meant."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"old")
    large.write_bytes(b"old")
    with pytest.raises(OSError, match="large") as caught:
        replace_files({small: b"new", large: LARGE})
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(large))
    assert (small.read_bytes(), large.read_bytes(), names(tmp_path)) == (b"old", b"old", ["large", "small"])


def test_killed_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    """The process is gone after its first written byte."""
    page = tmp_path / "page"
    page.write_bytes(b"old")
    program = (
        "import os, pathlib, signal, sys\nfrom pipfast.system import whole\n"
        "def shortly(path, mode):\n"
        "    file = open(path, mode)\n    file.write(b'n')\n    file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "whole.open = shortly\nwhole.replace_files({pathlib.Path(sys.argv[1]): b'new'})\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(page)], timeout=60, check=False)
    assert (ended.returncode, page.read_bytes()) == (-signal.SIGKILL, b"old")


def test_interrupted_it_leaves_nothing_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_files({tmp_path / "page": b"new"})
    assert names(tmp_path) == []


def test_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    """Wherever that is, and before it is there."""
    there = tmp_path / "there"
    there.mkdir()
    page = tmp_path / "page"
    page.symlink_to(there / "real")
    for content in (b"1", b"2"):
        replace_files({page: content})
        assert page.is_symlink() and (there / "real").read_bytes() == content
    assert (names(tmp_path), names(there)) == (["page", "there"], ["real"])


def test_folder_that_takes_no_file(tmp_path: Path, sealed: Callable[[], None]) -> None:
    """The file there may be writable all the same."""
    page = tmp_path / "page"
    page.write_bytes(b"longer than the new one")
    sealed()
    replace_files({page: b"new"})
    assert page.read_bytes() == b"new"
    with pytest.raises(OSError, match="other") as caught:
        replace_files({tmp_path / "other": b"new"})
    assert (caught.value.errno, caught.value.filename) == (errno.EROFS, str(tmp_path / "other"))


def test_full_disk_below_such_a_folder(tmp_path: Path, sealed: Callable[[], None], full: None) -> None:
    """Room is asked for before anything is written over."""
    page = tmp_path / "page"
    page.write_bytes(b"old")
    sealed()
    with pytest.raises(OSError, match="page"):
        replace_files({page: LARGE})
    assert page.read_bytes() == b"old"


def test_file_that_is_mounted_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be replaced: `docker run -v $PWD/page.html:/page.html`."""
    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    page = tmp_path / "page"
    page.write_bytes(b"old")
    number = page.stat().st_ino
    monkeypatch.setattr(os, "replace", busy)
    replace_files({page: b"new"})
    assert (page.read_bytes(), page.stat().st_ino, names(tmp_path)) == (b"new", number, ["page"])
