"""``pipfast doctor`` about the team's store: whether it answers, and whether the key is the right one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.commands.doctor import main
from pipfast.commands.facts import Examination, PipFacts
from pipfast.remote.built import object_of
from pipfast.remote.health import TeamFacts, examine
from pipfast.remote.signing import read_key
from pipfast.settings import Secret
from pipfast.store.archives import sha256_of
from pipfast.store.layout import Layout, open_layout
from support.team import KEY, PLACE, Silent, member, serving, settings_for, team_wheel, wheel_file

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("obstore")

OTHER = "another key of another team"


def put(address: str, tmp_path: Path, key: str = KEY, place: str = PLACE) -> None:
    """Have a machine put a wheel there."""
    with member(address, open_layout(tmp_path / f"writer{place[:2]}"), key, timeout=10) as remote:
        assert remote.keep(place, team_wheel(), wheel_file(tmp_path / "built"))


def examined(address: str, reader: Layout, key: str | None = KEY, **others: Any) -> TeamFacts:
    settings = replace(settings_for(address, key, timeout=10, writes=False), **others)
    found = examine(settings, reader)
    assert found is not None
    return found


def test_right_key(address: str, tmp_path: Path, reader: Layout) -> None:
    put(address, tmp_path)
    facts = examined(address, reader)
    assert (facts.answers, facts.problem) == (True, None)
    assert facts.key == f"right: {read_key(Secret(KEY)).object_name} is signed with it"
    shutil.rmtree(tmp_path / "team/v1/keys")
    assert examined(address, reader).key == f"right: {object_of(PLACE, 0)} is signed with it"


def test_right_key_of_a_store_of_archives(address: str, tmp_path: Path, reader: Layout) -> None:
    path = wheel_file(tmp_path / "built")
    with member(address, open_layout(tmp_path / "writer"), archives=True, timeout=10) as remote:
        remote.keep_archive(sha256_of(path), path.name, path)
    shutil.rmtree(tmp_path / "team/v1/keys")
    assert str(examined(address, reader).key).startswith("right: v1/archives/")


@pytest.mark.parametrize("in_file", [False, True])
def test_wrong_key(in_file: bool, address: str, tmp_path: Path, reader: Layout) -> None:
    """It is named by the file or the setting in which it stands, and not shown."""
    put(address, tmp_path)
    (tmp_path / "key").write_text(OTHER, encoding="utf-8")
    facts = examined(address, reader, f"@{tmp_path}/key" if in_file else OTHER)
    assert facts.answers and str(facts.key).startswith("wrong: v1/wheels/")
    place = f"{tmp_path}/key" if in_file else "PIPFAST_REMOTE_KEY, or remote-key of pip's configuration"
    assert f"the team's key in {place} is another one than " in str(facts.problem)
    assert "if the team has changed its key" in str(facts.hint) and OTHER not in repr(facts)


def test_key_that_was_changed(address: str, tmp_path: Path, reader: Layout) -> None:
    """However many objects are signed with the old one."""
    put(address, tmp_path, OTHER)
    for number in range(3):
        put(address, tmp_path, OTHER, f"{number}" * 64)
    put(address, tmp_path, KEY, "ef" * 32)
    found = str(examined(address, reader).key)
    assert found.startswith("right: v1/keys/") and found.endswith("; 1 other key used there, too")


def test_nothing_to_try_the_key_with(address: str, tmp_path: Path, reader: Layout) -> None:
    """Neither an empty store, nor rubbish, says anything of a key."""
    assert examined(address, reader).key == "not tried: nothing is there yet that is signed"
    rubbish = tmp_path / "team" / object_of(PLACE, 0)
    rubbish.parent.mkdir(parents=True)
    rubbish.write_bytes(b"rubbish")
    (tmp_path / "team/v1/wheels/a file").write_bytes(b"")
    facts = examined(address, reader)
    assert (facts.key, facts.problem) == ("not tried: nothing is there yet that is signed", None)


class NoLists(Silent):
    """A web server that has nothing, and knows no PROPFIND."""

    def do_GET(self) -> None:
        self.answer(404)

    def do_PROPFIND(self) -> None:
        self.answer(405)


def test_server_that_lists_nothing_is_no_problem(reader: Layout) -> None:
    with serving(NoLists) as address:
        facts = examined(address, reader)
    assert (facts.answers, facts.problem) == (True, None)
    assert str(facts.key).startswith("not tried: ") and "405 Method Not Allowed" in str(facts.key)


def test_folder_that_is_not_there(tmp_path: Path, reader: Layout) -> None:
    facts = examined(f"file://{tmp_path}/nothing", reader, remote_write=True)
    assert not facts.answers and not (tmp_path / "nothing").exists()
    assert facts.problem == f"the team's store is left out: the folder {tmp_path}/nothing is not there"
    assert str(facts.hint).startswith("mount it, or make it once: mkdir -p ")


def test_store_that_is_written_to(address: str, reader: Layout) -> None:
    facts = examined(address, reader, remote_write=True)
    assert facts.creates_only and facts.problem is None


@pytest.mark.parametrize(("others", "said"), [
    ({}, "the team's store is left out: without the team's key"),
    ({"remote_archives": True}, None),
    ({"remote_archives": True, "remote_prepared": True}, "of the team's store only archives are read"),
])
def test_no_key(others: dict[str, bool], said: str | None, address: str, reader: Layout) -> None:
    facts = examined(address, reader, None, **others)
    assert facts.answers and not facts.has_key and facts.key is None
    assert facts.problem is None if said is None else str(facts.problem).startswith(said)


def test_key_that_cannot_be_read(address: str, tmp_path: Path, reader: Layout) -> None:
    facts = examined(address, reader, f"@{tmp_path}")
    assert not facts.has_key and f"cannot be read from {tmp_path} (Is a directory)" in str(facts.problem)
    assert "@ and the path" in str(facts.hint)


@pytest.mark.parametrize("option", ["--json", "-v", ""])
def test_page_shows_the_key_found_and_no_password(
    option: str, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(address, tmp_path)
    told = Examination(PipFacts("99.0", "/pip", "98.0", True), [])
    settings = replace(settings_for(address, writes=False, timeout=10), store=tmp_path / "store")
    main([option] if option else [], settings, lambda _: told)
    assert "right: v1/keys/" in capsys.readouterr().out
    for odd in ("https://user:pa/MARKER@host.invalid/x", "s3://AK:a/MARKER+x@b/p", "s3://b/p?secret=a#MARKER"):
        main([option] if option else [], replace(settings, remote=odd, remote_key=Secret(KEY)), lambda _: told)
        out = capsys.readouterr().out
        assert "MARKER" not in out and "left out" in out


def test_folder_is_listed_though_something_odd_is_in_it(address: str, tmp_path: Path, reader: Layout) -> None:
    put(address, tmp_path)
    shutil.rmtree(tmp_path / "team/v1/keys")
    shutil.copytree(tmp_path / "team/v1/wheels", tmp_path / "team/v1/wheels/lost+found")
    assert str(examined(address, reader).key).startswith("right: v1/wheels/ab/")
