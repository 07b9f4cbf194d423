"""Stored files that look otherwise are put right if their contents are, else named."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast.install.linker import Linker
from pipfast.install.place import place
from pipfast.install.plan import check_sources, plan_wheel
from pipfast.prepare.bytecode import current_kind
from pipfast.store.layout import open_layout
from pipfast.store.prepared import read_prepared
from pipfast.upkeep.mend import mend
from pipfast.upkeep.verify import verify
from pipfast.wheel.scheme import SCHEME_KEYS
from support.stores import UMASK, prepare
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipfast.install.plan import Plan
    from pipfast.store.layout import Layout
    from pipfast.store.prepared import Prepared

DEMO = Wheel(
    "demo",
    files={"demo/__init__.py": "x = 1\n", "demo/tool": b"\x7fELF", "demo-1.0.data/scripts/run": "#!python\n"},
    modes={"demo/tool": stat.S_IFREG | 0o755},
).build()


def planned(prepared: Prepared, env: Path) -> Plan:
    schemes = {key: str(env / key) for key in SCHEME_KEYS}
    return plan_wheel(prepared, schemes, schemes["purelib"], lambda name: False)


def again(layout: Layout) -> Prepared:
    """Return what the next command finds."""
    kind = current_kind(os.environ)
    assert kind is not None
    return read_prepared(layout, DEMO.sha256, UMASK, kind.tag)


def inodes(prepared: Prepared) -> dict[str, int]:
    return {str(path): path.stat().st_ino for path in prepared.tree.rglob("*") if path.is_file()}


def to_whole_seconds(path: Path) -> None:
    found = path.stat()
    os.utime(path, (int(found.st_atime), int(found.st_mtime)))


def set_attribute(path: Path) -> None:
    try:
        os.setxattr(path, "user.origin", b"here")
    except OSError:
        pytest.skip("this filesystem has no extended attributes")


def give_away(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(path, 12345, -1)


def give_to_group(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files to any group")
    os.chown(path, -1, 12345)


CHANGES: dict[str, Callable[[Path], None]] = {
    "time": lambda path: os.utime(path, (10**9, 10**9)),
    "rights": lambda path: path.chmod(0o600),
    "more rights": lambda path: path.chmod(0o777),
    "set-user-id": lambda path: path.chmod(0o4755),
    "attribute": set_attribute,
    "owner": give_away,
    "group": give_to_group,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("linked", [True, False], ids=["linked", "not linked"])
def test_looks_are_put_right_and_the_environment_keeps_its_own(
    change: str, linked: bool, layout: Layout, tmp_path: Path
) -> None:
    """What differs is seen before it is used; the file in the store becomes what it was, the linked one stays."""
    prepared = prepare(layout, DEMO, tmp_path)
    plan = planned(prepared, tmp_path / "env")
    stored = prepared.tree / "tree/demo/__init__.py"
    before = stored.stat()
    if linked:
        place(plan.batches, Linker("hardlink", UMASK))
    CHANGES[change](stored)
    theirs = (tmp_path / "env/purelib/demo/__init__.py").stat() if linked else None
    assert check_sources(plan.batches) == str(stored)
    assert mend(layout, prepared) is None
    assert check_sources(plan.batches) is None
    after = stored.stat()
    assert (after.st_mode, after.st_uid, after.st_gid, after.st_mtime_ns) == (
        before.st_mode, before.st_uid, before.st_gid, before.st_mtime_ns)
    assert not hasattr(os, "listxattr") or "user.origin" not in os.listxattr(stored)
    if theirs is not None:
        now = (tmp_path / "env/purelib/demo/__init__.py").stat()
        assert (now.st_mode, now.st_uid, now.st_mtime_ns) == (theirs.st_mode, theirs.st_uid, theirs.st_mtime_ns)
    assert not verify(layout).damages
    assert not any((layout.root / "tmp").iterdir())


def test_attributes_of_the_system_are_no_change(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SELinux, NFS and others give each file attributes; nobody set them."""
    prepared = prepare(layout, DEMO, tmp_path)
    plan = planned(prepared, tmp_path / "env")
    theirs = ["security.selinux", "security.ima", "system.nfs4_acl", "trusted.overlay.origin", "lustre.lov"]
    monkeypatch.setattr("pipfast.store.likeness._list_attributes", lambda path, follow_symlinks: theirs)
    assert check_sources(plan.batches) is None
    theirs.append("security.capability")
    assert check_sources(plan.batches) is not None


def test_an_access_list_that_every_file_of_the_store_has_is_no_change(layout: Layout, tmp_path: Path) -> None:
    nobody = 0xFFFFFFFF
    # acl(5): tag, permissions, id of the owner, a user, the group, the mask, others.
    entries = [(0x01, 7, nobody), (0x02, 7, 12345), (0x04, 5, nobody), (0x10, 7, nobody), (0x20, 5, nobody)]
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    for folder in (layout.root / "tmp", layout.root):
        try:
            os.setxattr(folder, "system.posix_acl_default", packed)
        except OSError:
            pytest.skip("this filesystem has no access lists")
    prepared = prepare(layout, DEMO, tmp_path)
    plan = planned(prepared, tmp_path / "env")
    assert check_sources(plan.batches) is None
    assert not verify(layout).damages


def replace(path: Path, make: Callable[[Path], None]) -> None:
    path.unlink()
    make(path)


CONTENTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (lambda path: path.write_text("x = 2\n"), "was changed in place"),
    "longer": (lambda path: path.write_text("x = 1000\n"), "was changed in place"),
    "gone": (lambda path: path.unlink(), "is gone"),
    "FIFO": (lambda path: replace(path, os.mkfifo), "is no regular file any more"),
    "link": (lambda path: replace(path, functools.partial(os.symlink, "tool")), "is no regular file any more"),
    "folder": (lambda path: replace(path, os.mkdir), "is no regular file any more"),
    "folder gone": (lambda path: shutil.rmtree(path.parent), "is gone"),
}


@pytest.mark.parametrize("change", CONTENTS)
def test_other_contents_are_named(change: str, layout: Layout, tmp_path: Path) -> None:
    prepared = prepare(layout, DEMO, tmp_path)
    stored = prepared.tree / "tree/demo/__init__.py"
    do, how = CONTENTS[change]
    do(stored)
    found = mend(layout, prepared)
    assert found is not None and found.how.startswith(how)
    assert found.path in (str(stored), str(stored.parent))


def test_changed_bytecode_is_named_even_where_size_and_time_were_put_back(layout: Layout, tmp_path: Path) -> None:
    prepared = prepare(layout, DEMO, tmp_path)
    assert prepared.bytecode is not None
    (stored,) = prepared.bytecode.rglob("*.pyc")
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    found = stored.stat()
    stored.write_bytes(content)
    os.utime(stored, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert [damage.path for damage in verify(layout, keep=True).damages] == [prepared.bytecode]
    os.utime(stored)
    named = mend(layout, prepared)
    assert named is not None and named.path == str(stored)


def by_tar(store: Path, target: Path) -> None:
    """Plain tar: whole seconds."""
    with tarfile.open(target.with_suffix(".tar"), "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(store, ".")
    target.mkdir()
    with tarfile.open(target.with_suffix(".tar")) as archive:
        archive.extractall(target)


def by_zip(store: Path, target: Path) -> None:
    """Python's zipfile, as many CI runners' own: no times, no modes."""
    with zipfile.ZipFile(target.with_suffix(".zip"), "w") as archive:
        for path in store.rglob("*"):
            archive.write(path, path.relative_to(store))
    with zipfile.ZipFile(target.with_suffix(".zip")) as archive:
        archive.extractall(target)


def by_zip_of_two_seconds(store: Path, target: Path) -> None:
    by_zip(store, target)
    for path in store.rglob("*"):
        even = int(path.stat().st_mtime) // 2 * 2
        os.utime(target / path.relative_to(store), (even, even))


def by_copying(store: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", str(store), str(target)], check=True)


def by_rsync_without_times(store: Path, target: Path) -> None:
    """As ``rsync -rl`` does: modes by the umask, the time of copying."""
    shutil.copytree(store, target, copy_function=shutil.copyfile, symlinks=True)


def as_an_image_layer(store: Path, target: Path) -> None:
    """Whole seconds, and the links to an environment in the same layer are kept."""
    shutil.copytree(store, target)
    for path in target.rglob("*"):
        if path.is_file():
            to_whole_seconds(path)
            os.link(path, f"{target}.env-{path.stat().st_ino}")


WAYS = [by_tar, by_zip, by_zip_of_two_seconds, by_copying, by_rsync_without_times, as_an_image_layer]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_store_travels(way: Callable[[Path, Path], None], layout: Layout, tmp_path: Path) -> None:
    """Contents decide: times go back to what the manifest and the bytecode name, and nothing is made again."""
    prepared = prepare(layout, DEMO, tmp_path)
    way(layout.root, tmp_path / "there")
    for path in (tmp_path / "there").rglob("*"):
        if path.is_dir():
            path.chmod(0o700)
    (tmp_path / "there").chmod(0o700)
    there = open_layout(tmp_path / "there")
    restored = again(there)
    assert restored.manifest == prepared.manifest
    plan = planned(restored, tmp_path / "env")
    before = inodes(restored)
    assert check_sources(plan.batches) is not None
    assert mend(there, restored) is None
    assert check_sources(plan.batches) is None
    assert inodes(restored) == before
    assert not verify(there).damages
    assert {path.name for path in (there.root / "bytecode-v1").glob("*/*")} == {
        path.name for path in (layout.root / "bytecode-v1").glob("*/*")}


def test_verify_puts_times_right_unless_it_only_looks(layout: Layout, tmp_path: Path) -> None:
    prepare(layout, DEMO, tmp_path)
    by_tar(layout.root, tmp_path / "there")
    there = open_layout(tmp_path / "there")
    plan = planned(again(there), tmp_path / "env")
    assert not verify(there, keep=True).damages
    assert check_sources(plan.batches) is not None
    assert not verify(there).damages
    assert check_sources(plan.batches) is None


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root becomes somebody else")
def test_store_that_was_restored_for_another_user_id() -> None:
    """Somebody's id may be another one in the next container: what is all theirs is used as it is."""
    # Not below pytest's own folder, into which nobody else can look.
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        base.chmod(0o755)
        prepare(open_layout(base / "store"), DEMO, base)
        for path in (base / "store", *(base / "store").rglob("*")):
            os.chown(path, 12345, 12345)
        os.setegid(12345)
        os.seteuid(12345)
        try:
            layout = open_layout(base / "store")
            prepared = again(layout)
            assert check_sources(planned(prepared, base / "env").batches) is None
            assert prepared.read_info("METADATA")
            assert not verify(layout).damages
        finally:
            os.seteuid(0)
            os.setegid(0)
