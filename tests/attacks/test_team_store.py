"""A poisoned team's store: the attacks that The Update Framework (TUF) names, each a miss and nothing worse."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from pipfast import report
from pipfast.remote.built import object_of
from pipfast.store.archives import sha256_of
from pipfast.store.layout import open_layout
from support.team import MAKER, PLACE, member, serving, team_wheel, wheel_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("obstore")

MOST = 64 << 20
"""Bytes that a server without end sends at most until it is left: what lies in buffers, and a patience of 1 s."""


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_said", set())


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """Return the folder of a team's store."""
    (tmp_path / "team").mkdir()
    return tmp_path / "team"


def put(team: Path, code: str, version: str = "1.0", place: str = PLACE) -> str:
    """Have a member put a wheel there; return its digest."""
    path = wheel_file(team.parent / f"built-{code}", code=f"x = {code!r}\n")
    with member(f"file://{team}", open_layout(team.parent / f"store-{code}")) as remote:
        assert remote.keep(place, team_wheel(replace(MAKER, version=version)), path)
    return sha256_of(path)


def got(address: str, store: Path, version: str = "1.0", place: str = PLACE) -> str | None:
    """Return the digest of the wheel that a machine takes; nothing else is in its store afterwards."""
    layout, found = open_layout(store), None
    with member(address, layout, writes=False) as remote:
        for name, head, wheel in remote.wheels(place):
            if wheel.visible[0].version == version:
                archive = remote.fetch(name, head, wheel.filename)
                found = archive.digest if archive is not None else None
    kept = [path.name for path in layout.root.glob("archives-v0/*/*")]
    assert found is None or found in kept
    return found


def test_rollback(team: Path, tmp_path: Path) -> None:
    """An older object, signed for this very name, in the place of the one that was seen."""
    put(team, "old")
    older = (team / object_of(PLACE, 0)).read_bytes()
    (team / object_of(PLACE, 0)).unlink()
    newer = put(team, "new")
    reader = tmp_path / "reader"
    assert got(f"file://{team}", reader) == newer
    shutil.rmtree(reader / "archives-v0")
    (team / object_of(PLACE, 0)).write_bytes(older)
    assert got(f"file://{team}", reader) is None


def test_freeze(team: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A state of the past is shown for ever: what is newer is missed, and what was seen stays."""
    first = put(team, "first")
    shutil.copytree(team, tmp_path / "frozen")
    second = put(team, "second", "2.0")
    address, reader = f"file://{team}", tmp_path / "reader"
    assert got(address, reader, "2.0") == second
    team.rename(tmp_path / "present")
    (tmp_path / "frozen").rename(team)
    assert got(address, tmp_path / "other", "2.0") is None
    assert got(address, tmp_path / "other", "1.0") == first
    assert got(address, reader, "2.0") == second
    assert "pipfast: " not in capsys.readouterr().err


def test_mix_and_match(team: Path, tmp_path: Path) -> None:
    """The signed beginning of one object with the content of another, of the same place."""
    put(team, "one")
    put(team, "two", "2.0")
    one, two = ((team / object_of(PLACE, slot)).read_bytes() for slot in (0, 1))
    start = next(number for number in range(len(one)) if one[number:].startswith(b"PK\3\4"))
    (team / object_of(PLACE, 0)).write_bytes(one[:start] + two[start:])
    assert got(f"file://{team}", tmp_path / "reader") is None
    assert got(f"file://{team}", tmp_path / "reader", "2.0") is not None


def test_wrong_file(team: Path, tmp_path: Path) -> None:
    """A team's own object, whole and signed, under the name of another source's, and under another slot."""
    put(team, "mine")
    for place, slot in (("cd" * 32, 0), (PLACE, 1)):
        target = team / object_of(place, slot)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(team / object_of(PLACE, 0), target)
    assert got(f"file://{team}", tmp_path / "reader", place="cd" * 32) is None
    assert got(f"file://{team}", tmp_path / "reader") is not None


class Endless(BaseHTTPRequestHandler):
    """Sends the beginning of each answer, and then zeros as long as they are taken."""

    beginning = b""
    sent = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Sun, 02 Feb 2020 02:02:02 GMT")
        self.send_header("Content-Length", str(1 << 40))
        self.end_headers()
        try:
            self.wfile.write(self.beginning)
            while type(self).sent < 2 * MOST:
                self.wfile.write(bytes(1 << 16))
                type(self).sent += 1 << 16
        except OSError:
            pass
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def endless(beginning: bytes) -> Iterator[tuple[str, type[Endless]]]:
    handler = type("Handler", (Endless,), {"beginning": beginning, "sent": 0})
    with serving(handler) as address:
        yield address, handler


@pytest.mark.parametrize("after", ["nothing", "line", "object"])
def test_endless_data(team: Path, tmp_path: Path, after: str) -> None:
    """A server that never ends: neither in the beginning of an object, nor behind a whole one."""
    put(team, "mine")
    whole = (team / object_of(PLACE, 0)).read_bytes()
    beginning = {"nothing": b"", "line": whole[: whole.index(b"\n") + 1], "object": whole}[after]
    with endless(beginning) as (address, handler):
        assert got(address, tmp_path / "reader") is None
        assert handler.sent <= MOST
    left = sum(path.stat().st_size for path in (tmp_path / "reader").rglob("*") if path.is_file())
    assert left < 1 << 20
