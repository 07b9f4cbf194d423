"""Prepared wheels come from the team's store as they were put there, or not at all."""

from __future__ import annotations

import errno
import shutil
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from pipfast.prepare.bytecode import current_kind
from pipfast.remote import prepared as module
from pipfast.remote.prepared import Brought, object_of
from pipfast.remote.signing import read_key, sign
from pipfast.settings import Secret
from pipfast.store.archives import sha256_of
from pipfast.store.layout import Layout, open_layout
from pipfast.store.names import BYTECODE, TMP, TREES
from pipfast.store.prepared import read_prepared
from pipfast.upkeep.verify import verify
from support.stores import UMASK, keep, prepare, preparing
from support.team import KEY, member
from support.wheels import Wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support.wheels import Archive

pytest.importorskip("obstore")

KIND = current_kind({})
MISSING, REFUSED = Brought(is_there=False), Brought(is_there=True)


@pytest.fixture
def archive() -> Archive:
    files = {"plain/__init__.py": "x = 1\n", "plain/a/b.py": "y = 2\n", "plain/c": "z"}
    return Wheel("plain", files=files).build()


def put(address: str, tmp_path: Path, archive: Archive) -> Path:
    """Have a machine prepare a wheel and put it there; return the object's file."""
    layout = open_layout(tmp_path / "writer")
    wheel = prepare(layout, archive, tmp_path)
    with member(address, layout) as remote:
        assert remote.keep_prepared(archive.sha256, KIND, wheel)
        assert not remote.keep_prepared(archive.sha256, KIND, wheel)
    return tmp_path / "team" / object_of(archive.sha256, KIND)


def nothing_of_it(layout: Layout) -> bool:
    """Tell whether a store has neither trees nor bytecode, nor anything that was begun."""
    return not [path for bucket in (TREES, BYTECODE, TMP) for path in layout.root.glob(f"{bucket}/*")]


def test_wheel_comes_prepared(
    address: str, tmp_path: Path, reader: Layout, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its bytecode has the times of its sources here, and the store's own check finds all of it whole."""
    put(address, tmp_path, archive)
    with member(address, reader, writes=False) as remote:
        found = remote.prepared(archive.sha256, KIND, UMASK)
        assert found.size == len(archive.data) and found.link is not None
        (tmp_path / "aside").mkdir()
        tree_id = found.link(tmp_path / "aside", "hardlink")
        assert remote.prepared("ab" * 32, KIND, UMASK) == MISSING
    assert KIND is not None
    wheel = read_prepared(reader, archive.sha256, UMASK, KIND.tag)
    assert tree_id == wheel.manifest.tree_id
    for stored, linked in ((wheel.tree / "tree/plain", "plain"), (wheel.bytecode, "plain/__pycache__")):
        assert stored is not None
        inodes = {path.name: path.stat().st_ino for path in stored.rglob("*.py*") if path.is_file()}
        there = [path for path in (tmp_path / "aside/lib" / linked).glob("*.py*") if path.is_file()]
        assert there and all(inodes[path.name] == path.stat().st_ino for path in there)
    assert wheel.compiled is not None and [len(each.files) for each in wheel.compiled] == [1, 1]
    with preparing(reader) as preparer:
        preparation = preparer.start(archive.sha256, keep(reader, archive, tmp_path))
        assert preparer.wait(archive.sha256, tmp_path) == wheel and not preparation.was_made
    assert not verify(reader, keep=True).damages
    assert not list((reader.root / TMP).iterdir())
    assert capsys.readouterr().err == ""


def test_large_file_is_written_as_it_comes(address: str, tmp_path: Path, reader: Layout) -> None:
    files: dict[str, str | bytes] = {"large/data": bytes(3 << 20), "large/__init__.py": "x = 1\n"}
    archive = Wheel("large", files=files).build()
    put(address, tmp_path, archive)
    with member(address, reader, writes=False, timeout=10) as remote:
        assert remote.prepared(archive.sha256, KIND, UMASK).size
    assert not verify(reader, keep=True).damages
    assert not list((reader.root / TMP).iterdir())


@pytest.mark.parametrize("refused", ["second", "folder"])
def test_store_that_takes_nothing_more(
    address: str, tmp_path: Path, reader: Layout, archive: Archive, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun there does not stay."""
    put(address, tmp_path, archive)
    makes = reader.new_staging

    def refuse(*given: object) -> Path:
        raise OSError(errno.ENOSPC, "full")

    def make_the_last() -> Path:
        monkeypatch.setattr(reader, "new_staging", refuse)
        return makes()

    if refused == "second":
        monkeypatch.setattr(module, "claim_second", refuse)
    else:
        monkeypatch.setattr(reader, "new_staging", make_the_last)
    with member(address, reader, writes=False) as remote:
        assert remote.prepared(archive.sha256, KIND, UMASK) == REFUSED
        assert not remote.is_over and reader.refusals == [errno.ENOSPC]
    assert nothing_of_it(reader)


def test_two_processes_bring_the_same(address: str, tmp_path: Path, reader: Layout, archive: Archive) -> None:
    """The first one's stays."""
    put(address, tmp_path, archive)
    assert KIND is not None
    with member(address, reader, writes=False) as one, member(address, reader, writes=False) as other:
        assert one.prepared(archive.sha256, KIND, UMASK).size
        first = read_prepared(reader, archive.sha256, UMASK, KIND.tag)
        assert other.prepared(archive.sha256, KIND, UMASK).size
    assert read_prepared(reader, archive.sha256, UMASK, KIND.tag) == first
    assert not list((reader.root / TMP).iterdir()) and not verify(reader, keep=True).damages


def test_without_bytecode_another_object_is_asked_for(
    address: str, tmp_path: Path, reader: Layout, archive: Archive
) -> None:
    put(address, tmp_path, archive)
    layout = open_layout(tmp_path / "uncompiled")
    wheel = prepare(layout, archive, tmp_path, compile_=False)
    with member(address, layout) as remote:
        assert remote.keep_prepared(archive.sha256, None, wheel)
    with member(address, reader, writes=False) as remote:
        assert remote.prepared(archive.sha256, None, UMASK).size
    assert not verify(reader, keep=True).damages and not list(reader.root.glob(f"{BYTECODE}/*/*"))


def test_other_python_is_a_miss(
    address: str, tmp_path: Path, reader: Layout, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its tag, its magic number, its settings, or its implementation."""
    put(address, tmp_path, archive)
    assert KIND is not None
    with member(address, reader, writes=False) as remote:
        for other in (KIND._replace(cache_tag="cpython-399"), KIND._replace(magic="00000000"),
                      KIND._replace(optimization=2), KIND._replace(mode="checked-hash"), None):
            assert remote.prepared(archive.sha256, other, UMASK) == MISSING
        monkeypatch.setattr(sys, "implementation", SimpleNamespace(**{**vars(sys.implementation), "name": "x"}))
        assert remote.prepared(archive.sha256, KIND, UMASK) == MISSING
    assert nothing_of_it(reader)


@pytest.mark.parametrize("key", [None, "another key of another team"])
def test_without_the_key_it_is_a_miss(
    address: str, tmp_path: Path, reader: Layout, archive: Archive, key: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is code that runs: the archive's digest does not vouch for it."""
    put(address, tmp_path, archive)
    with member(address, reader, key, writes=False, archives=True) as remote:
        assert remote.prepared(archive.sha256, KIND, UMASK) == REFUSED
        assert remote.prepared(archive.sha256, KIND, UMASK) == REFUSED
    assert nothing_of_it(reader)
    assert capsys.readouterr().err.count("pipfast: ") == (key is not None)


@pytest.mark.parametrize("change", ["line", "head", "index", "end", "cut", "cut to its head", "longer", "empty"])
def test_object_that_was_tampered_with_is_a_miss(
    address: str, tmp_path: Path, reader: Layout, archive: Archive, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said once; nothing of it stays in the store."""
    path = put(address, tmp_path, archive)
    content = bytearray(path.read_bytes())
    begin = content.index(b"}") + 1
    if change in ("line", "head", "index", "end"):
        content[{"line": 20, "head": 120, "index": begin + 40, "end": -1}[change]] ^= 1
    elif change == "longer":
        content += b"more"
    else:
        del content[{"cut": len(content) - 9, "cut to its head": begin, "empty": 0}[change] :]
    path.write_bytes(content)
    with member(address, reader, writes=False) as remote:
        assert remote.prepared(archive.sha256, KIND, UMASK) == REFUSED
        assert remote.prepared(archive.sha256, KIND, UMASK) == REFUSED
        assert not remote.is_over
    assert capsys.readouterr().err.count("is not believed: it ") == 1
    assert nothing_of_it(reader)


def test_object_under_another_name_is_a_miss(
    address: str, tmp_path: Path, reader: Layout, archive: Archive
) -> None:
    """Another archive's, or of another Python: the name is signed."""
    path = put(address, tmp_path, archive)
    other = tmp_path / "team" / object_of("ab" * 32, KIND)
    other.parent.mkdir(parents=True)
    shutil.copy(path, other)
    with member(address, reader, writes=False) as remote:
        assert remote.prepared("ab" * 32, KIND, UMASK) == REFUSED
    assert nothing_of_it(reader)


@pytest.mark.parametrize("info", [
    {}, {"index": "1", "archive": 5}, {"index": 5}, {"index": 5, "archive": "5"}, {"index": -1, "archive": 5},
    {"index": 1 << 62, "archive": 5}, {"index": 5, "archive": 5}, {"index": 9, "archive": 5},
])
def test_signed_object_that_is_none_is_a_miss(
    address: str, tmp_path: Path, reader: Layout, info: dict[str, object]
) -> None:
    """A member's mistake costs a miss, no more."""
    name, content = object_of("ab" * 32, KIND), tmp_path / "content"
    content.write_bytes(b"[1, 2, 3]")
    head = sign(read_key(Secret(KEY)), name, "prepared", 9, sha256_of(content), info)
    path = tmp_path / "team" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(head.line + head.raw + content.read_bytes())
    with member(address, reader, writes=False) as remote:
        assert remote.prepared("ab" * 32, KIND, UMASK) == REFUSED
    assert nothing_of_it(reader)


@pytest.mark.parametrize("digest", [
    "../../../x", "ab", "", "AB" * 32, f"{'ab' * 31}/a", "\xe9" * 64, f"{'ab' * 32}\n",
])
def test_what_can_be_no_digest_is_not_asked_for(
    address: str, reader: Layout, digest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An index can call anything one; the others are asked for as ever."""
    with member(address, reader, writes=False, archives=True) as remote:
        assert remote.prepared(digest, KIND, UMASK) == REFUSED
        assert remote.archive(digest, "x.whl") is None
        assert not remote.is_over and remote.prepared("ab" * 32, KIND, UMASK) == MISSING
    assert capsys.readouterr().err == ""


def test_what_an_environment_has_changed_is_not_put_there(address: str, tmp_path: Path, archive: Archive) -> None:
    """Files are linked: an edit in place changes the stored one, too."""
    layout = open_layout(tmp_path / "writer")
    wheel = prepare(layout, archive, tmp_path)
    (wheel.tree / "tree/plain/c").write_text("y", encoding="utf-8")
    with member(address, layout) as remote:
        assert not remote.keep_prepared(archive.sha256, KIND, wheel)
    assert not list((tmp_path / "team").rglob("prepared/*"))


def test_without_write_or_key_nothing_is_put_there(address: str, tmp_path: Path, archive: Archive) -> None:
    layout = open_layout(tmp_path / "writer")
    wheel = prepare(layout, archive, tmp_path)
    for key, writes in ((KEY, False), (None, True)):
        with member(address, layout, key, writes=writes, archives=True) as remote:
            assert not remote.keep_prepared(archive.sha256, KIND, wheel)
    assert not list((tmp_path / "team").iterdir())


def test_what_is_too_large_is_not_put_there(
    address: str, tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OBJECT_BYTES", 100)
    layout = open_layout(tmp_path / "writer")
    wheel = prepare(layout, archive, tmp_path)
    with member(address, layout) as remote:
        assert not remote.keep_prepared(archive.sha256, KIND, wheel)
    assert not list((tmp_path / "team").iterdir())
