"""The store's folder: who may use it, and its tag."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from pipfast import dependencies
from pipfast.store import folder
from pipfast.store.folder import ELSEWHERE, TAG, StoreUnusable, default_root, has_tag, is_usable, write_tag
from pipfast.store.layout import open_layout

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55\n"


def test_new_store_is_private_and_tagged(tmp_path: Path) -> None:
    layout = open_layout(tmp_path / "a" / "store")
    assert layout.root.stat().st_mode & 0o777 == 0o700
    assert (layout.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert open_layout(layout.root).root == layout.root


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_folder_that_others_can_write_is_refused(mode: int, tmp_path: Path) -> None:
    root = open_layout(tmp_path / "store").root
    root.chmod(mode)
    with pytest.raises(StoreUnusable, match="others can write") as caught:
        open_layout(root)
    assert caught.value.hint == f"chmod 700 {root}"


def test_nobody_is_told_to_change_a_folder_that_is_no_store(tmp_path: Path) -> None:
    """PIPFAST_STORE=/tmp was answered with "chmod 700 /tmp"."""
    tmp_path.chmod(0o1777)
    with pytest.raises(StoreUnusable) as caught:
        open_layout(tmp_path)
    assert "chmod" not in str(caught.value.hint) and "PIPFAST_STORE=" in str(caught.value.hint)


def test_bucket_that_others_can_write_is_refused(tmp_path: Path) -> None:
    root = open_layout(tmp_path / "store").root
    (root / "trees-v1").chmod(0o777)
    with pytest.raises(StoreUnusable, match="others can write") as caught:
        open_layout(root)
    assert caught.value.hint == f"chmod 700 {root / 'trees-v1'}"


def test_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = open_layout(tmp_path / "store").root
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StoreUnusable, match="another user"):
        open_layout(root)


def test_linked_bucket_is_refused(tmp_path: Path) -> None:
    root = open_layout(tmp_path / "store").root
    (root / "trees-v1").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "trees-v1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnusable, match="symbolic link"):
        open_layout(root)


@pytest.mark.parametrize("root", ["store", "store/below", os.devnull])
def test_file_in_the_stores_place_is_refused(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No owner and no mode makes a folder of it: the hint says what does help."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreUnusable) as caught:
        open_layout(tmp_path / root)
    assert caught.value.hint == 'export PIPFAST_STORE="$HOME/.pipfast"'


@pytest.mark.parametrize("home", ["", "/proc/nothing", "/dev/null", "relative", "{}/taken", "{}/itself"])
def test_home_that_can_have_no_store_is_not_proposed(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, no folder, relative, in use, or the folder that was refused."""
    home = home.format(tmp_path)
    for name in ("taken", "itself"):
        (tmp_path / name / ".pipfast").mkdir(parents=True)
    (tmp_path / "taken" / ".pipfast" / "mine").touch()
    (tmp_path / "itself" / ".pipfast").chmod(0o777)
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", home)
    refused = tmp_path / "itself" / ".pipfast"
    with pytest.raises(StoreUnusable) as caught:
        open_layout(refused if "itself" in home else tmp_path / "file")
    assert caught.value.hint == ELSEWHERE


def test_without_a_home_there_is_no_default_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's arbitrary user id: no HOME, and no line in the password file."""

    def unknown(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(dependencies.load("platformdirs"), "user_cache_dir", unknown)
    with pytest.raises(StoreUnusable, match="home directory"):
        default_root()


@pytest.mark.parametrize("name", ["notes.txt", "tmp", "trees-v0", ".pipfast-x", "CACHEDIR.TAG"])
def test_folder_in_use_is_refused_and_left_as_it_is(name: str, tmp_path: Path) -> None:
    """PIPFAST_STORE may name anything: the home folder, a project."""
    (tmp_path / name).mkdir()
    with pytest.raises(StoreUnusable) as caught:
        open_layout(tmp_path)
    assert name in str(caught.value) and "PIPFAST_STORE" in str(caught.value.hint)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert not is_usable(tmp_path)


@pytest.mark.parametrize("tag", ["", f"{SIGNATURE}# another\n", f"{SIGNATURE}# The store of pipfast, format 7\n"])
def test_tag_that_is_not_ours_or_of_a_later_format_is_refused(tag: str, tmp_path: Path) -> None:
    (tmp_path / "CACHEDIR.TAG").write_text(tag)
    with pytest.raises(StoreUnusable, match="is not that of a store"):
        open_layout(tmp_path)
    assert (tmp_path / "CACHEDIR.TAG").read_text() == tag


def test_tag_that_is_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "CACHEDIR.TAG")
    assert not is_usable(tmp_path)


def test_new_filesystem_is_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / f".pipfast-{16 * 'a'}").touch()
    assert is_usable(open_layout(tmp_path).root)


def test_store_is_tagged_before_it_has_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands that make it at once find a tag, or nothing."""
    def is_tagged(folder: Path) -> None:
        assert has_tag(folder.parent)

    monkeypatch.setattr("pipfast.store.folder._make_bucket", is_tagged)
    open_layout(tmp_path / "store")


def test_tag_is_on_the_disk_before_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut, a folder with our entries and no tag is taken for somebody else's, for ever."""
    synced = []

    def sync(descriptor: int) -> None:
        path = tmp_path.joinpath(f"/proc/self/fd/{descriptor}").resolve()
        synced.append((path, [each.name for each in root.iterdir()]))

    root = tmp_path / "store"
    monkeypatch.setattr(os, "fsync", sync)
    open_layout(root)
    (file, before), (folder, after) = synced
    assert (file.parent, before) == (root, [file.name])
    assert (folder, after) == (root, [TAG])
    open_layout(root)
    assert len(synced) == 2


def test_many_processes_make_one_store(tmp_path: Path) -> None:
    script = ("import sys; from pathlib import Path; from pipfast.store.layout import open_layout;"
              "sys.stdin.read(1); open_layout(Path(sys.argv[1]))")
    processes = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "store")], stdin=subprocess.PIPE)
                 for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait() for process in processes] == [0, 0, 0, 0]


@pytest.mark.parametrize("made_before", [False, True])
def test_stored_files_inherit_nothing(tmp_path: Path, made_before: bool) -> None:
    """A home with a default access list, or setgid, says nothing of files that environments elsewhere get."""
    home = tmp_path / "home"
    home.mkdir()
    if made_before:
        open_layout(home / "store")
    # Owner rwx, group r-x, user 4321 rwx, mask rwx, others nothing (acl(5), version 2).
    rows = [(1, 7, -1), (2, 7, 4321), (4, 5, -1), (0x10, 7, -1), (0x20, 0, -1)]
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *row) for row in rows)
    try:
        for folder in (home, *(home.rglob("tmp"))):
            os.setxattr(folder, "system.posix_acl_default", packed)
            folder.chmod(0o2700)
    except (OSError, AttributeError):
        pytest.skip("no access lists here")
    with open_layout(home / "store").staging() as staging:
        (staging / "plain").touch()
        (tmp_path / "plain").touch()
        assert (staging / "plain").stat().st_mode == (tmp_path / "plain").stat().st_mode
        assert not staging.stat().st_mode & stat.S_ISGID
        assert "system.posix_acl_access" not in os.listxattr(staging / "plain")


def test_store_that_is_being_purged_gets_its_tag_again(tmp_path: Path) -> None:
    """Who opens it in that moment waits; a folder that stays without a tag is refused."""
    root = tmp_path / "store"
    (root / "locks").mkdir(mode=0o700, parents=True)
    root.chmod(0o700)
    with pytest.raises(StoreUnusable, match="locks is in it"):
        open_layout(root)
    writer = threading.Timer(0.05, write_tag, (root,))
    writer.start()
    assert open_layout(root).root == root
    writer.join()


def test_folder_that_comes_after_the_look_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared folder another user can take away what is there and make it anew, between any two calls."""
    root, original = tmp_path / "store", folder._refuse_unsafe

    def look(path: Path) -> None:
        path.rmdir()
        try:
            original(path)
        finally:
            path.mkdir()

    monkeypatch.setattr(folder, "_refuse_unsafe", look)
    with pytest.raises(StoreUnusable):
        open_layout(root)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("step", ["_refuse_unsafe", "_refuse_in_use", "write_tag", "_make_bucket"])
def test_store_that_is_purged_meanwhile(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made again by who makes one, and not there for who looks; no command says a word of it."""
    root, original = tmp_path / "store", getattr(folder, step)
    purges: list[Path] = []

    def purged(path: Path) -> None:
        if not purges:
            purges.append(path)
            shutil.rmtree(root)
        original(path)

    monkeypatch.setattr(folder, step, purged)
    open_layout(root)
    assert has_tag(root)
    if step.startswith("_refuse"):
        purges.clear()
        (root / TAG).unlink()
        assert not folder.look_at(root)
