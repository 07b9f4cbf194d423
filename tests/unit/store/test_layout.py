"""Which folders may be a store, and how entries come and go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pipfast.store.layout import TMP, Layout, StoreUnusable, default_root, note_use, open_layout

if TYPE_CHECKING:
    from pathlib import Path


def test_new_store_is_private_and_tagged(tmp_path: Path) -> None:
    layout = open_layout(tmp_path / "a" / "store")
    assert layout.root.stat().st_mode & 0o777 == 0o700
    assert (layout.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert open_layout(layout.root) == layout


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_folder_that_others_can_write_is_refused(mode: int, tmp_path: Path) -> None:
    root = open_layout(tmp_path / "store").root
    root.chmod(mode)
    with pytest.raises(StoreUnusable, match="others can write") as caught:
        open_layout(root)
    assert "chmod 700" in str(caught.value.hint)


def test_bucket_that_others_can_write_is_refused(tmp_path: Path) -> None:
    root = open_layout(tmp_path / "store").root
    (root / "trees-v0").chmod(0o777)
    with pytest.raises(StoreUnusable, match="others can write") as caught:
        open_layout(root)
    assert f"chmod 700 {root / 'trees-v0'}," in str(caught.value.hint)


def test_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = open_layout(tmp_path / "store").root
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StoreUnusable, match="another user"):
        open_layout(root)


def test_linked_bucket_is_refused(tmp_path: Path) -> None:
    root = open_layout(tmp_path / "store").root
    (root / "trees-v0").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "trees-v0").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnusable, match="symbolic link"):
        open_layout(root)


@pytest.mark.parametrize("root", ["store", "store/below", os.devnull])
def test_file_in_the_stores_place_is_refused(root: str, tmp_path: Path) -> None:
    """No owner and no mode makes a folder of it: the hint says what does help."""
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreUnusable) as caught:
        open_layout(tmp_path / root)
    assert caught.value.hint == "set PIPFAST_STORE to a folder of your own"


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
    layout.discard(layout.root / "trees-v0")
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


def test_without_a_home_there_is_no_default_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's arbitrary user id: no HOME, and no line in the password file."""

    def unknown(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_cache_dir", unknown)
    with pytest.raises(StoreUnusable, match="home directory"):
        default_root()


DAY_S = 86_400.0


def aged(path: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def leave(layout: Layout, owner: int, seconds: float, name: str = "x") -> Path:
    """Leave a folder in tmp/ that a process has made some time ago."""
    path = layout.root / TMP / f"{owner}-{name}"
    (path / "below").mkdir(parents=True)
    return aged(path, seconds)


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_old_leftovers_of_the_dead_are_swept(layout: Layout) -> None:
    dead = dead_process()
    old, new = leave(layout, dead, 2 * DAY_S, "old"), leave(layout, dead, DAY_S / 2, "new")
    ours = leave(layout, os.getpid(), 2 * DAY_S)
    file = layout.root / TMP / f"{dead}-file"
    file.write_text("")
    aged(file, 2 * DAY_S)
    aged(layout.root / "CACHEDIR.TAG", 2 * DAY_S)
    layout.sweep()
    assert (old.exists(), file.exists(), new.exists(), ours.exists()) == (False, False, True, True)


def test_sweeping_is_done_once_a_day(layout: Layout) -> None:
    """A new store's turn comes after a day."""
    old = leave(layout, dead_process(), 2 * DAY_S)
    layout.sweep()
    assert old.exists()
    aged(layout.root / "CACHEDIR.TAG", 2 * DAY_S)
    layout.sweep()
    assert not old.exists()
    old.mkdir()
    aged(old, 2 * DAY_S)
    layout.sweep()
    assert old.exists()


def test_links_in_tmp_are_not_followed(layout: Layout, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = layout.root / TMP / "x"
    link.symlink_to(outside)
    os.utime(link, (1, 1), follow_symlinks=False)
    aged(layout.root / "CACHEDIR.TAG", 2 * DAY_S)
    layout.sweep()
    assert outside.is_dir() and not link.is_symlink()


def test_store_that_has_gone_is_not_swept(layout: Layout) -> None:
    shutil.rmtree(layout.root)
    layout.sweep()
    assert not layout.root.exists()
