"""Stores, homes, targets and disks that cannot be used."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.outputs import normalized
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box, Ended

pytestmark = pytest.mark.many


def assert_installed_without_store(box: Box, ended: Ended) -> None:
    """The installation is right, and why there is no store was said once, with a hint."""
    assert ended.status == 0
    assert ended.err.count("pipfast: not using the store ") == 1
    assert len(ended.err.splitlines()) == 2
    assert ended.err.splitlines()[1].startswith("hint: ")
    assert {"app", "library"} <= set(box.installed())
    assert box.leftovers() == []


def _is_a_file(store: Path) -> Path:
    store.write_text("mine", encoding="utf-8")
    return store


def _is_below_a_file(store: Path) -> Path:
    return _is_a_file(store) / "store"


def _is_open_to_others(store: Path) -> Path:
    store.mkdir()
    store.chmod(0o777)
    return store


def _has_a_bucket_open_to_others(store: Path) -> Path:
    bucket = store / "trees-v1"
    bucket.mkdir(parents=True, mode=0o700)
    store.chmod(0o700)
    bucket.chmod(0o777)
    return store


def _has_a_linked_bucket(store: Path) -> Path:
    store.mkdir(mode=0o700)
    (store.parent / "elsewhere").mkdir(mode=0o700)
    (store / "archives-v0").symlink_to(store.parent / "elsewhere")
    return store


def _is_a_dangling_link(store: Path) -> Path:
    store.symlink_to(store.parent / "nowhere" / "store")
    return store


def _is_another_users(store: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    store.mkdir(mode=0o700)
    os.chown(store, 12345, 12345)
    return store


@pytest.mark.parametrize("make", [
    _is_a_file, _is_below_a_file, _is_open_to_others, _has_a_bucket_open_to_others, _has_a_linked_bucket,
    _is_a_dangling_link, _is_another_users,
], ids=lambda make: make.__name__.strip("_").replace("_", " "))
def test_store_that_cannot_be_used(box: Box, index: Index, make: Callable[[Path], Path]) -> None:
    """The store is said to be unusable, nothing is put into it, and the installation goes on."""
    store = make(box.store)
    before = sorted(path.relative_to(box.root) for path in box.root.glob("store*/**/*"))
    assert_installed_without_store(box, box.pipfast("install", *index.args, "app", PIPFAST_STORE=str(store)))
    assert sorted(path.relative_to(box.root) for path in box.root.glob("store*/**/*")) == before
    assert not list(box.root.glob("elsewhere/*"))


def test_home_that_is_missing(box: Box, index: Index) -> None:
    """A home that is not there yet is made by those who need it: the store goes below it."""
    home = box.root / "no" / "home"
    ended = box.pipfast("install", *index.args, "app", HOME=str(home), PIPFAST_STORE="")
    assert (ended.status, ended.err) == (0, "")
    assert (home / ".cache" / "pipfast" / "archives-v0").is_dir()


def test_home_that_cannot_be_written(box: Box, index: Index) -> None:
    """As for a store that cannot be used; pip has its own warning about its cache."""
    home = _is_below_a_file(box.root / "file")
    variables = {"HOME": str(home), "PIPFAST_STORE": ""}
    expected = box.pip("install", "--target", str(box.root / "pip"), *index.args, "app", **variables)
    ended = box.pipfast("install", "--target", str(box.root / "pipfast"), *index.args, "app", **variables)
    assert (ended.status, expected.status) == (0, 0)
    assert ended.out == expected.out
    ours = [line for line in ended.err.splitlines() if line not in expected.err.splitlines()]
    assert len(ours) in (0, 2)
    assert sum(line.startswith("pipfast: ") for line in ours) <= 1


@pytest.mark.parametrize("option", ["--target", "--prefix", "--root"])
def test_target_that_cannot_be_written(box: Box, index: Index, option: str) -> None:
    """pip's own error and exit code; the store is whole and serves the next installation."""
    target = _is_below_a_file(box.root / "file")
    arguments = ["install", option, str(target), "--ignore-installed", *index.args, "app"]
    expected, ended = box.pip(*arguments), box.pipfast(*arguments)
    assert expected.status != 0
    assert ended.status == expected.status
    assert ended.err.splitlines()[-1] == expected.err.splitlines()[-1]
    assert box.leftovers() == []
    assert box.broken_entries() == []
    assert box.pipfast("install", *index.args, "app").status == 0


def test_package_folder_that_cannot_be_written(box: Box, index: Index) -> None:
    """A file stands where the package's folder should be: the error names it, as under pip."""
    ends = {}
    for program in ("pip", "pipfast"):
        (box.site_packages / "app").write_text("a file", encoding="utf-8")
        ended = box.run("-m", program, "install", "--no-deps", *index.args, "app")
        ends[program] = (ended.status, ended.err)
        assert box.leftovers() == []
        (box.site_packages / "app").unlink(missing_ok=True)
        box.run("-m", "pip", "uninstall", "-y", "app")
    assert ends["pipfast"] == ends["pip"]
    assert box.broken_entries() == []


def test_temporary_folder_that_is_missing(box: Box, index: Index) -> None:
    """Where TMPDIR is not there, Python takes another folder, and so do we."""
    ended = box.pipfast("install", *index.args, "app", TMPDIR=str(box.root / "none"))
    assert (ended.status, ended.err) == (0, "")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system of ``size`` at ``folder``; the test is skipped where that is not allowed."""
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


@pytest.fixture(scope="module")
def bulky() -> Iterator[Index]:
    """Serve a wheel of 6 MB that hardly packs."""
    files: dict[str, str | bytes] = {f"bulky/data{number}.bin": os.urandom(1 << 20) for number in range(6)}
    files["bulky/__init__.py"] = ""
    with serving() as server:
        index = server.index()
        index.add(Wheel("bulky", files=files).build())
        yield index


@pytest.mark.parametrize("size", ["64k", "2m", "7m"])
def test_full_disk_under_the_store(box: Box, bulky: Index, size: str) -> None:
    """What cannot be kept is installed all the same; no half of it stays in the store."""
    with small_disk(box.store, size):
        ended = box.pipfast("install", *bulky.args, "bulky")
        assert ended.status == 0, ended.err
        assert "bulky" in box.installed()
        assert box.broken_entries() == []
        assert box.leftovers() == []


def test_full_disk_under_the_environment(box: Box, bulky: Index) -> None:
    """pip's error about the full disk, its exit code, and a store that is whole."""
    ends = {}
    with small_disk(box.root / "disk", "4m") as disk:
        for program in ("pip", "pipfast"):
            ended = box.run("-m", program, "install", "--prefix", str(disk / program), *bulky.args, "bulky")
            ends[program] = (ended.status, ended.err)
            subprocess.run(["rm", "-rf", str(disk / program)], check=True)
            assert box.leftovers() == []
    assert ends["pipfast"][0] == ends["pip"][0]
    assert "No space left on device" in ends["pip"][1]
    assert "No space left on device" in ends["pipfast"][1]
    assert box.broken_entries() == []
    assert box.pipfast("install", *bulky.args, "bulky").status == 0


_LIMITED = "import resource, runpy, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))\n" \
           "del sys.argv[0]\nrunpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"


@pytest.mark.parametrize("content", [os.urandom(3 << 20), bytes(3 << 20)], ids=["as-it-arrives", "as-it-unpacks"])
def test_a_file_that_cannot_be_written(box: Box, content: bytes) -> None:
    """Writing fails in the middle, in whichever process does it: pip's error, and nothing half done."""
    ends = {}
    with serving() as server:
        index = server.index().add(Wheel("demo", files={"demo/__init__.py": "", "demo/data": content}).build())
        for program in ("pip", "pipfast"):
            places = ["--cache-dir", str(box.root / f"cache-{program}"), "--prefix", str(box.root / program)]
            ended = box.run("-c", _LIMITED.format(1 << 20), program, "install", *places, *index.args, "demo")
            left = sorted(str(path.relative_to(box.root / program)) for path in (box.root / program).rglob("*"))
            ends[program] = (ended.status, normalized(ended.err).replace(program, "pip"), left)
            assert box.leftovers() == []
        assert ends["pipfast"] == ends["pip"]
        assert "File too large" in ends["pip"][1]
        assert box.broken_entries() == []
        assert box.pipfast("install", *index.args, "demo").status == 0
    assert (box.site_packages / "demo" / "data").read_bytes() == content


def test_one_store_under_several_umasks(box: Box, index: Index) -> None:
    """Each run leaves the modes that pip leaves under its umask, and the store stays the user's own."""
    for number, umask in enumerate((0o022, 0o077, 0o002, 0o022)):
        modes = []
        for program in ("pip", "pipfast"):
            target = box.work / f"{program}-{number}"
            before = os.umask(umask)
            try:
                ended = box.run("-m", program, "install", "--target", str(target), *index.args, "app")
            finally:
                os.umask(before)
            assert ended.status == 0, ended.err
            modes.append({
                str(path.relative_to(target)): oct(path.stat().st_mode)
                for path in sorted(target.rglob("*")) if "pip" not in path.name
            })
        assert modes[0] == modes[1]
        for path in (box.store, *box.store.glob("*"), *box.store.glob("*-v*/*/*")):
            assert path.stat().st_mode & 0o077 & ~0o055 == 0, path
        assert box.store.stat().st_mode & 0o777 == 0o700


def _access(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return modes and access lists of all that is below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        try:
            access = os.getxattr(path, "system.posix_acl_access")
        except OSError:
            access = b""
        found[str(path.relative_to(folder))] = path.stat().st_mode, access
    return found


@pytest.mark.once
def test_folder_with_a_default_access_list(box: Box, index: Index) -> None:
    """Everything that is made there is as pip makes it, whether it is linked, moved or written."""
    # Owner rwx, group r-x, user 4321 rwx, mask rwx, others nothing (acl(5), version 2).
    rows = [(1, 7, -1), (2, 7, 4321), (4, 5, -1), (0x10, 7, -1), (0x20, 0, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *row) for row in rows)
    found = []
    # The second time everything is in the store, and is linked aside.
    for command in (box.pip, box.pipfast, box.pipfast):
        target = box.root / "target"
        target.mkdir()
        try:
            os.setxattr(target, "system.posix_acl_default", acl)
        except (OSError, AttributeError):
            pytest.skip("no access lists here")
        ended = command("install", *index.args, "app", "--prefix", str(target), "--ignore-installed")
        assert ended.status == 0, ended.err
        found.append(_access(target))
        shutil.rmtree(target)
    assert found[0] == found[1] == found[2]


@pytest.mark.once
@pytest.mark.parametrize("command", [("download", "-d"), ("wheel", "-w")], ids=lambda each: each[0])
def test_archives_are_the_users_own_with_todays_umask(box: Box, index: Index, command: tuple[str, str]) -> None:
    """Whatever umask the store got them under; what becomes of them there does not reach the store."""
    before = os.umask(0o077)
    try:
        assert box.pipfast("install", *index.args, "app").status == 0
        os.umask(0o022)
        ended = box.pipfast(command[0], *index.args, command[1], "out", "app")
    finally:
        os.umask(before)
    assert ended.status == 0, ended.err
    files = list((box.work / "out").iterdir())
    assert {path.stat().st_mode & 0o7777 for path in files} == {0o644}
    assert {path.stat().st_nlink for path in files} == {1}


@pytest.mark.once
@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes into another user's environment")
def test_root_shares_nothing_with_an_environment_of_another_user(box: Box, index: Index) -> None:
    """``chown -R`` of it is to be expected, and would give the store's files away."""
    os.chown(box.site_packages, 12345, -1)
    for _ in range(2):
        assert box.pipfast("install", *index.args, "--force-reinstall", "app").status == 0
    assert {path.stat().st_nlink for path in (box.site_packages / "app").rglob("*.py")} == {1}


AS_ANYBODY = """
import ctypes, os, sys
# Modes are nothing to root: without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH they are.
for capability in (1, 2):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", "pipfast", *sys.argv[1:]])
"""


@pytest.mark.once
@pytest.mark.skipif(sys.platform != "linux", reason="root's rights are taken away by prctl")
@pytest.mark.parametrize("mode", ["auto", "copy"])
def test_from_a_read_only_store(box: Box, mode: str) -> None:
    """Baked into an image: what is installed is the user's own, with the modes that pip gives it."""
    tool = Wheel("tool", files={"tool.py": ""}, data={"scripts/run-tool": "#!python\nprint(1)\n"},
                 modes={"tool-1.0.data/scripts/run-tool": 0o755}, console={"tool": "tool:main"}).build()
    wheel = box.work / tool.filename
    wheel.write_bytes(tool.data)
    prefixes = [box.root / name for name in ("stock", "first", "second")]
    assert box.pip("install", "--no-index", "--prefix", str(prefixes[0]), str(wheel)).status == 0
    assert box.pipfast("install", "--no-index", "--prefix", str(prefixes[1]), str(wheel)).status == 0
    paths = [box.store, *box.store.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    try:
        for path in paths:
            path.chmod(modes[path] & ~0o222)
        ended = box.run("-c", AS_ANYBODY, "install", "--no-index", "--prefix", str(prefixes[2]), str(wheel),
                        PIPFAST_LINK_MODE=mode, PIPFAST_TIMINGS=str(box.root / "timings"))
        linked = [path for path in paths if path.is_file() and path.stat().st_nlink > 2]
    finally:
        for path in paths:
            path.chmod(modes[path])
    assert ended.status == 0, ended.err
    # From the store, by pipfast, and as copies: one name is the store's, another may be the first prefix's.
    assert '"phase": "place"' in (box.root / "timings").read_text(encoding="utf-8")
    assert linked == []
    assert [line for line in ended.err.splitlines() if "pipfast: " in line] == [
        f"pipfast: the store {box.store} is read-only: what is not in it yet is not kept"
    ]
    found = [{str(path.relative_to(prefix)): path.stat().st_mode for path in prefix.rglob("*")}
             for prefix in (prefixes[0], prefixes[2])]
    assert found[0] == found[1]
