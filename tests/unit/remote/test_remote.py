"""The team's store holds what its members have built, and nobody's else is believed."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pipfast.remote import remote as module
from pipfast.remote.built import object_of
from pipfast.remote.client import Client, Incoming
from pipfast.remote.prepared import PreparedRemote
from pipfast.store.archives import find_archive, sha256_of
from pipfast.store.layout import Layout, open_layout
from support.team import (
    KEY,
    MAKER,
    PLACE,
    Silent,
    all_put_and_take_the_same,
    member,
    serving,
    settings_for,
    team_wheel,
    wheel_file,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.remote.remote import Remote
    from pipfast.remote.signing import TeamKey
    from pipfast.store.archives import Archive

pytest.importorskip("obstore")


def put(address: str, tmp_path: Path, code: str = "", key: str = KEY, *, version: str = "1.0") -> Path:
    """Have a machine put a wheel there; return its file."""
    path = wheel_file(tmp_path / f"built{code}", code=code)
    with member(address, open_layout(tmp_path / f"writer{code}"), key) as remote:
        assert remote.keep(PLACE, team_wheel(replace(MAKER, version=version)), path)
    return path


def got(remote: Remote, version: str = "1.0") -> Archive | None:
    """Return the wheel that was built beside this version, as a machine takes it."""
    for name, head, wheel in remote.wheels(PLACE):
        if wheel.visible[0].version == version:
            return remote.fetch(name, head, wheel.filename)
    return None


def stored(tmp_path: Path, slot: int = 0) -> Path:
    """Return the file of an object."""
    return tmp_path / "team" / object_of(PLACE, slot)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_wheel_comes_as_it_was_put(
    address: str, tmp_path: Path, reader: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(address, tmp_path)
    with member(address, reader, writes=False) as remote:
        archive = got(remote)
        assert archive is not None and archive.path.read_bytes() == path.read_bytes()
    assert said(capsys) == ""


def test_second_time_nothing_is_asked(address: str, tmp_path: Path, reader: Layout) -> None:
    """The head and the wheel are kept in the user's own store, behind which the team's stands."""
    put(address, tmp_path)
    with member(address, reader, writes=False) as remote:
        assert got(remote)
    shutil.rmtree(tmp_path / "team")
    with member(address, reader, writes=False) as remote:
        assert got(remote)


def test_without_a_network_what_is_kept_of_it_serves(
    address: str, tmp_path: Path, reader: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    put(address, tmp_path)
    with member(address, reader, offline="only") as remote:
        assert got(remote) is None
    with member(address, reader, writes=False) as remote:
        assert got(remote)
    with member(address, reader, offline="only") as remote:
        assert got(remote)
        assert remote.archive("ab" * 32, "x.whl") is None
        assert remote.client._process is None
    assert said(capsys) == ""


def test_hit_is_one_request_and_miss_is_one(
    address: str, tmp_path: Path, reader: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(address, tmp_path)
    asked: list[str] = []
    original = Client.get

    def get(self: Client, name: str) -> Incoming | None:
        asked.append(name)
        return original(self, name)

    monkeypatch.setattr(Client, "get", get)
    with member(address, reader, writes=False) as remote:
        assert got(remote)
        assert asked == [object_of(PLACE, 0)]
        assert list(remote.wheels("cd" * 32)) == []
        assert asked[1:] == [object_of("cd" * 32, 0)]


def test_wheels_against_something_else_stand_side_by_side(address: str, tmp_path: Path, reader: Layout) -> None:
    """The first is not replaced; and what is built a second time is not put there a second time."""
    first, second = put(address, tmp_path, "1"), put(address, tmp_path, "2", version="2.0")
    with member(address, open_layout(tmp_path / "third")) as remote:
        again = team_wheel(replace(MAKER, version="2.0"))
        assert not remote.keep(PLACE, again, wheel_file(tmp_path / "b", code="3"))
    assert stored(tmp_path, 1).exists() and not stored(tmp_path, 2).exists()
    with member(address, reader, writes=False) as remote:
        for version, path in (("1.0", first), ("2.0", second)):
            archive = got(remote, version)
            assert archive is not None and archive.digest == sha256_of(path)
        assert got(remote, "3.0") is None


# Who is believed


def test_without_write_nothing_is_put_there(address: str, tmp_path: Path) -> None:
    with member(address, open_layout(tmp_path / "writer"), writes=False) as remote:
        assert not remote.keep(PLACE, team_wheel(), wheel_file(tmp_path / "built"))
    assert list((tmp_path / "team").iterdir()) == []


@pytest.mark.parametrize("key", [None, "another key of another team", "@/nowhere"])
def test_without_the_key_no_wheel_is_believed(
    address: str, tmp_path: Path, reader: Layout, key: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said once; nothing of the head is parsed, nothing of the content is kept."""
    put(address, tmp_path)
    said(capsys)
    with member(address, reader, key, writes=False) as remote:
        assert got(remote) is None
        assert got(remote) is None
    lines = said(capsys).splitlines()
    assert sum(line.startswith("pipfast: ") for line in lines) == 1
    assert not list(reader.root.glob("archives-v0/*/*")) and not list(reader.root.glob("remote-v0/*/*"))


@pytest.mark.parametrize("where", ["line", "head", "content", "end"])
def test_object_that_was_tampered_with_is_a_miss(
    address: str, tmp_path: Path, reader: Layout, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(address, tmp_path)
    content = bytearray(stored(tmp_path).read_bytes())
    content[{"line": 20, "head": 120, "content": len(content) // 2 + 500, "end": -1}[where]] ^= 1
    stored(tmp_path).write_bytes(content)
    with member(address, reader, writes=False) as remote:
        assert got(remote) is None
    assert "is not believed: it " in said(capsys)
    assert not list(reader.root.glob("archives-v0/*/*"))


@pytest.mark.parametrize("cut", [1, 100, 10_000])
def test_object_that_is_cut_short_is_a_miss(
    address: str, tmp_path: Path, reader: Layout, cut: int, capsys: pytest.CaptureFixture[str]
) -> None:
    put(address, tmp_path)
    content = stored(tmp_path).read_bytes()
    stored(tmp_path).write_bytes(content[:-cut])
    with member(address, reader, writes=False) as remote:
        assert got(remote) is None
    assert "is not believed" in said(capsys)
    assert not list(reader.root.glob("archives-v0/*/*"))


class InPlace(Silent):
    """A WebDAV server that just copies into the first slot, as SeaweedFS's does."""

    folder: Path

    def do_GET(self) -> None:
        """Answer with a file, or with what is there of it."""
        path = self.folder / self.path.removeprefix("/team/")
        if path.is_file():
            self.answer(200, path.read_bytes())
        else:
            self.answer(404)


def test_object_that_a_webdav_server_still_copies_hides_none_and_is_not_said(
    address: str, tmp_path: Path, reader: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is empty until then. In a folder no object is ever."""
    stored(tmp_path).parent.mkdir(parents=True)
    stored(tmp_path).write_bytes(b"")
    put(address, tmp_path)
    assert said(capsys).splitlines()[1] == "hint: if it is not just being put there, remove it there"
    InPlace.folder = tmp_path / "team"
    with serving(InPlace) as server, member(server, reader, writes=False, timeout=10) as remote:
        assert got(remote)
    assert said(capsys) == ""


@pytest.mark.parametrize("how", ["altered", "unsigned"])
def test_hint_is_for_what_is_wrong(
    address: str, tmp_path: Path, reader: Layout, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another key explains what is not signed, and nothing else."""
    put(address, tmp_path)
    content = bytearray(stored(tmp_path).read_bytes())
    content[-1 if how == "altered" else 120] ^= 1
    stored(tmp_path).write_bytes(content)
    with member(address, reader, writes=False) as remote:
        assert got(remote) is None
    assert ("hint: if the team has changed its key" in said(capsys)) is (how == "unsigned")


def test_object_that_goes_on_is_a_miss(address: str, tmp_path: Path, reader: Layout) -> None:
    put(address, tmp_path)
    with stored(tmp_path).open("ab") as file:
        file.write(b"more")
    with member(address, reader, writes=False) as remote:
        assert got(remote) is None


def test_object_that_is_replayed_under_another_name_is_a_miss(
    address: str, tmp_path: Path, reader: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the team's own, with its signature: for another source, or another slot."""
    put(address, tmp_path)
    for other, slot in (("cd" * 32, 0), (PLACE, 1)):
        target = tmp_path / "team" / object_of(other, slot)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stored(tmp_path), target)
    with member(address, reader, writes=False) as remote:
        assert list(remote.wheels("cd" * 32)) == []
        assert len(list(remote.wheels(PLACE))) == 1
    assert said(capsys).count("is not believed") == 1


def test_older_object_in_the_place_of_a_newer_one_is_a_miss(
    address: str, tmp_path: Path, reader: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are signed for this name: whoever has seen the newer one believes no other, ever."""
    put(address, tmp_path, "1")
    older = stored(tmp_path).read_bytes()
    stored(tmp_path).unlink()
    newer = put(address, tmp_path, "2")
    with member(address, reader, writes=False) as remote:
        archive = got(remote)
        assert archive is not None and archive.digest == sha256_of(newer)
    stored(tmp_path).write_bytes(older)
    with member(address, reader, writes=False) as remote:
        archive = got(remote)
        assert archive is not None and archive.digest == sha256_of(newer)
        reader.discard(archive.path.parent)
        assert got(remote) is None
    assert "was replaced by another one" in said(capsys)


def test_rubbish_in_a_slot_hides_no_wheel(address: str, tmp_path: Path, reader: Layout) -> None:
    """Who may write without the key can fill slots; what members put there goes into the next one."""
    stored(tmp_path).parent.mkdir(parents=True)
    stored(tmp_path).write_bytes(b"rubbish")
    put(address, tmp_path)
    with member(address, reader, writes=False) as remote:
        assert got(remote)


def test_kept_head_that_was_altered_is_not_believed(address: str, tmp_path: Path, reader: Layout) -> None:
    """It is signed: the user's own store vouches for nothing."""
    put(address, tmp_path)
    with member(address, reader, writes=False) as remote:
        assert got(remote)
    (note,) = reader.root.glob("remote-v0/*/*")
    shutil.copy(note, tmp_path / "note")
    with member(address, reader, "another key of another team", writes=False) as remote:
        assert got(remote) is None


# Created, never replaced


def test_probe_is_made_once_a_day(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = []
    original = module.probe

    def probe(client: Client, layout: Layout, key: TeamKey | None = None) -> module.Probed:
        probes.append(client)
        return original(client, layout, key)

    monkeypatch.setattr(module, "probe", probe)
    layout = open_layout(tmp_path / "writer")
    for number in range(3):
        with member(address, layout) as remote:
            wheel = team_wheel(replace(MAKER, version=f"{number}.0"))
            assert remote.keep(PLACE, wheel, wheel_file(tmp_path / "built"))
    assert len(probes) == 1
    assert list((tmp_path / "team" / "v1" / "probe").iterdir()) == []


def test_server_that_replaces_objects_gets_none(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Client, "create", lambda self, name, path: True)
    with member(address, open_layout(tmp_path / "writer")) as remote:
        assert not remote.keep(PLACE, team_wheel(), wheel_file(tmp_path / "built"))
    assert "nothing is put there: the server replaces objects" in said(capsys)


def test_folder_that_cannot_be_written(
    address: str, tmp_path: Path, reader: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line; what is there can still be read."""
    put(address, tmp_path)
    said(capsys)
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    (tmp_path / "team" / "v1" / "probe").chmod(0o500)
    with member(address, reader) as remote:
        other = team_wheel(replace(MAKER, version="2.0"))
        assert not remote.keep(PLACE, other, wheel_file(tmp_path / "b", code="2"))
    assert said(capsys).count("pipfast: ") == 1


def test_many_processes_put_and_take_the_same(address: str, tmp_path: Path) -> None:
    """One of them puts each wheel; all of them get that one, whole."""
    all_put_and_take_the_same(address, tmp_path)


def test_archive_that_is_here_is_not_fetched(address: str, tmp_path: Path, reader: Layout) -> None:
    path = put(address, tmp_path)
    with member(address, reader, writes=False) as remote:
        ((name, head, wheel),) = remote.wheels(PLACE)
        assert remote.fetch(name, head, wheel.filename)
        stored(tmp_path).unlink()
        assert remote.fetch(name, head, wheel.filename)
    assert find_archive(reader, sha256_of(path))


# Archives


@pytest.mark.parametrize("key", [KEY, None])
def test_archive_comes_by_its_digest(
    address: str, tmp_path: Path, reader: Layout, key: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever has no key takes the index's digest for it; wheels that were built are not even asked for."""
    path = put(address, tmp_path)
    digest = sha256_of(path)
    with member(address, open_layout(tmp_path / "writer2"), archives=True) as remote:
        remote.keep_archive(digest, path.name, path)
        remote.keep_archive(digest, path.name, path)
    with member(address, reader, key, writes=False, archives=True) as remote:
        archive = remote.archive(digest, path.name)
        assert archive is not None and archive.path.read_bytes() == path.read_bytes() and archive.name == path.name
        assert remote.archive("ab" * 32, path.name) is None
        assert bool(list(remote.wheels(PLACE))) is (key is not None)
    assert said(capsys) == ""


@pytest.mark.parametrize("key", [KEY, None])
@pytest.mark.parametrize("change", ["content", "other", "short"])
def test_archive_that_is_another_one_is_a_miss(
    address: str, tmp_path: Path, reader: Layout, key: str | None, change: str
) -> None:
    paths = [wheel_file(tmp_path / "built", name, code="x = 1\n") for name in ("one", "two")]
    with member(address, open_layout(tmp_path / "writer"), archives=True) as remote:
        for path in paths:
            remote.keep_archive(sha256_of(path), path.name, path)
    first, second = (next((tmp_path / "team").rglob(sha256_of(path))) for path in paths)
    content = bytearray(first.read_bytes())
    if change == "content":
        content[-5] ^= 1
    first.write_bytes(second.read_bytes() if change == "other" else content[:-9] if change == "short" else content)
    with member(address, reader, key, writes=False, archives=True) as remote:
        assert remote.archive(sha256_of(paths[0]), paths[0].name) is None
    assert not list(reader.root.glob("archives-v0/*/*"))


def test_archive_that_claims_to_be_huge_does_not_come(
    address: str, tmp_path: Path, reader: Layout, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without the key anybody may have said so; a disk would be full before its digest is known to be wrong."""
    content = b"x" * 100
    digest = hashlib.sha256(content).hexdigest()
    path = tmp_path / "a.whl"
    path.write_bytes(content)
    with member(address, open_layout(tmp_path / "writer"), archives=True) as remote:
        remote.keep_archive(digest, "a-1-py3-none-any.whl", path)
    monkeypatch.setattr(module, "MAX_OBJECT_BYTES", 99)
    with member(address, reader, None, writes=False, archives=True) as remote:
        assert remote.archive(digest, "a-1-py3-none-any.whl") is None
    assert "it is larger than any that is put there" in said(capsys)


def test_archives_are_not_put_without_the_key(address: str, tmp_path: Path) -> None:
    path = wheel_file(tmp_path / "built")
    with member(address, open_layout(tmp_path / "writer"), None, archives=True) as remote:
        remote.keep_archive(sha256_of(path), path.name, path)
    assert list((tmp_path / "team").iterdir()) == []


@pytest.mark.parametrize("prepared", [False, True])
def test_without_the_key_it_is_said_what_is_read(
    prepared: bool, address: str, reader: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, and where something else was asked for as well: archives alone need no key."""
    settings = replace(settings_for(address, None, writes=False, archives=True), remote_prepared=prepared)
    for _ in range(2):
        remote = PreparedRemote(settings, reader)
        assert not remote.is_over
        assert remote.another().prepared("ab" * 32, None, 0o022).size is None
        remote.close()
    assert said(capsys) == (
        "pipfast: of the team's store only archives are read whose SHA-256 the index or the user gives; without "
        "the team's key no wheel of it is believed, prepared or not, and nothing is put there\n"
        "hint: set PIPFAST_REMOTE_KEY\n" if prepared else ""
    )


def test_what_is_too_large_is_said(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "MAX_OBJECT_BYTES", 100)
    path = wheel_file(tmp_path / "built")
    with member(address, open_layout(tmp_path / "writer"), archives=True) as remote:
        assert not remote.keep(PLACE, team_wheel(), path)
        remote.keep_archive(sha256_of(path), path.name, path)
    assert said(capsys).count(f"pipfast: {path.name} is not put into the team's store: it has more than ") == 1
    assert list((tmp_path / "team").iterdir()) == []
