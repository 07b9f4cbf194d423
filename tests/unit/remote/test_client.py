"""Servers that behave badly cost a command its patience once, and one line."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pipfast import report
from pipfast.remote.client import Client, RemoteFailed
from pipfast.remote.courier import Courier
from pipfast.remote.failures import NoFolder
from pipfast.remote.library import NoLibrary, home
from pipfast.remote.patience import Patience
from pipfast.remote.remote import probe
from pipfast.store.layout import Layout, open_layout
from pipfast.store.names import TMP
from support.team import PLACE, Silent, member, serving, team_wheel, wheel_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("obstore")


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(report, "_said", set())
    return open_layout(tmp_path / "store")


@pytest.fixture
def silent() -> Iterator[str]:
    """Yield the address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/team"


class Failing(Silent):
    def do_GET(self) -> None:
        self.answer(503, b"<html>user:password</html>")

    do_PUT = do_GET


class Refusing(Silent):
    def do_GET(self) -> None:
        self.answer(403, b"<Error><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>")

    do_PUT = do_GET


class Short(Silent):
    def do_GET(self) -> None:
        self.answer(200, b"pipfast-object-1 ", length=1000)
        self.close_connection = True


class Stalling(Silent):
    def do_GET(self) -> None:
        self.answer(200, b"pipfast-object-1 ", length=1000)
        self.wfile.flush()
        self.connection.settimeout(20)
        self.connection.recv(1)
        self.close_connection = True


class Page(Silent):
    """A portal that answers everything with its page."""

    def do_GET(self) -> None:
        self.answer(200, b"<html>please log in</html>")


class Replacing(Silent):
    """A server that knows neither If-None-Match nor Overwrite."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201)

    def do_COPY(self) -> None:
        self.answer(204)

    do_DELETE = do_COPY


@pytest.mark.parametrize(("handler", "words"), [
    (Failing, r"/team fails at GET \(503 Service Unavailable\)"),
    (Refusing, r"/team refuses GET \(403 Forbidden\)"), (Short, "left out|cut short"),
    (Stalling, "gave nothing for 1 s"),
    (Page, "is no object"),
])
def test_bad_server_is_said_once_and_left(
    handler: type[Silent], words: str, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(handler) as address:
        with member(address.replace("://", "://me:secret@"), layout, writes=False) as remote:
            for number in range(3):
                assert list(remote.wheels(f"{number:064d}")) == []
    err = capsys.readouterr().err
    assert err.count("pipfast: ") == 1
    assert re.search(words, err, re.IGNORECASE), err
    assert "secret" not in err.lower() and "user:password" not in err and "<" not in err


@pytest.mark.parametrize("handler", [Failing, Short, Stalling, Page])
def test_bad_server_costs_a_prepared_wheel_no_more(
    handler: type[Silent], layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    with serving(handler) as address:
        with member(address, layout, writes=False) as remote:
            for number in range(3):
                assert remote.prepared(f"{number:064d}", None, 0o022).size is None
    assert time.monotonic() - began < 10
    assert capsys.readouterr().err.count("pipfast: ") == 1
    assert not list((layout.root / TMP).iterdir())


class Paced(Silent):
    """Sends an object of 2 MiB after 0.6 s."""

    def do_GET(self) -> None:
        content = b"pipfast-object-1 %064d 2\n{}" % 0 + bytes(2 << 20)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Sun, 06 Nov 2022 08:49:37 GMT")
        self.end_headers()
        self.wfile.flush()
        time.sleep(0.6)
        self.wfile.write(content)


def test_what_comes_with_a_head_costs_no_patience() -> None:
    """At more than 1 MB/s, whatever the number of wheels."""
    patience, left = Patience(20.0), []
    with serving(Paced) as address:
        client = Client(address, patience)
        try:
            for _ in range(4):
                take = client.head("v1/prepared/one")
                assert take is not None and take(200).endswith(b"\n{}")
                left.append(patience.limit())
        finally:
            client.close()
    # The first one is behind the start of a process.
    assert left[0] - left[-1] < 1


def test_wait_is_bounded_for_all_requests_together(
    silent: str, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    with member(silent, layout, writes=False) as remote:
        for number in range(20):
            assert list(remote.wheels(f"{number:064d}")) == []
    # A second of patience, and the start of a process on a busy machine.
    assert time.monotonic() - began < 10
    assert capsys.readouterr().err.startswith("pipfast: the team's store is left out: it gave nothing for 1 s\n")


def test_who_waits_gives_up_with_who_has_waited_for_all(silent: str) -> None:
    """Another process of the command's, however late it began."""
    patience, began = Patience(60), time.monotonic()
    client = Client(silent, patience)
    try:
        threading.Timer(0.3, patience.end).start()
        with pytest.raises(RemoteFailed):
            client.get("v1/x")
    finally:
        client.close()
    assert time.monotonic() - began < 40


def test_port_that_nobody_listens_at(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with member(f"http://127.0.0.1:{port}/team", layout) as remote:
        assert list(remote.wheels(PLACE)) == []
    err = capsys.readouterr().err
    assert f"http://127.0.0.1:{port}/team cannot be reached (Connection refused)\n" in err
    assert err.count("pipfast: ") == 1


@pytest.mark.parametrize("writes", [False, True])
def test_folder_that_is_not_there(
    writes: bool, tmp_path: Path, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network's folder that is not mounted: none is made in its place, and filled on the local disk."""
    with member(f"file://{tmp_path}/mnt/our%20team", layout, writes=writes) as remote:
        assert not remote.keep(PLACE, team_wheel(), wheel_file(tmp_path / "built"))
        assert list(remote.wheels(PLACE)) == []
    assert capsys.readouterr().err == (
        f"pipfast: the team's store is left out: the folder {tmp_path}/mnt/our team is not there\n"
        f"hint: mount it, or make it once: mkdir -p '{tmp_path}/mnt/our team'\n"
    )
    assert not (tmp_path / "mnt").exists()


def test_folder_that_is_gone_in_the_middle(
    tmp_path: Path, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "team").mkdir()
    with member(f"file://{tmp_path}/team", layout) as remote:
        assert list(remote.wheels(PLACE)) == []
        (tmp_path / "team").rmdir()
        assert list(remote.wheels(PLACE)) == []
        assert not remote.keep(PLACE, team_wheel(), wheel_file(tmp_path / "built"))
    assert "/team is not there\n" in (err := capsys.readouterr().err) and err.count("pipfast: ") == 1
    assert not (tmp_path / "team").exists()


def test_folder_that_is_a_file(tmp_path: Path, layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "team").write_text("", encoding="utf-8")
    with member(f"file://{tmp_path}/team", layout) as remote:
        assert list(remote.wheels(PLACE)) == []
    assert f"left out: {tmp_path}/team is no folder\n" in capsys.readouterr().err


def test_folder_is_looked_at_within_the_patience(tmp_path: Path) -> None:
    """A network's folder may not answer: that is no part of the start of the process, which may take long."""
    folder = home()
    assert folder is not None
    courier = Courier(f"file://{tmp_path}/team", 1000, folder)
    with pytest.raises(NoFolder):
        courier.get("v1/x")


def test_whole_error_is_in_the_debug_log_alone(
    layout: Layout, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "pipfast")
    with serving(Refusing) as address:
        with member(address.replace("://", "://me:se/cret@"), layout) as remote:
            assert list(remote.wheels(PLACE)) == []
    err, logged = capsys.readouterr().err, caplog.text
    assert "Debug source" in logged or "invalid port" in logged
    assert "Debug source" not in err and len(err.splitlines()) == 2
    assert "cret" not in err + logged and "AKIASECRET" not in err + logged


_CREATE = """
import resource, sys
from pipfast.remote.courier import Courier
from pipfast.remote.library import home
courier = Courier("file://" + sys.argv[1] + "/team", 1000, home())
small, large = (sys.argv[1] + "/" + name for name in ("small", "large"))
courier.create("v1/small", small)
with open("/proc/self/status") as file:
    (data,) = [int(line.split()[1]) << 10 for line in file if line.startswith("VmData:")]
# Of mapped files nothing counts.
resource.setrlimit(resource.RLIMIT_DATA, (data + (64 << 20), data + (64 << 20)))
print(courier.create("v1/large", large))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="VmData is Linux's")
def test_large_object_is_not_read_into_memory(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    for name, size in (("small", 1), ("large", 200 << 20)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    ended = subprocess.run([sys.executable, "-c", _CREATE, str(tmp_path)], capture_output=True, text=True)
    assert ended.stdout == "{'made': True}\n", ended.stderr
    assert (tmp_path / "team/v1/large").stat().st_size == 200 << 20


def test_server_that_replaces_is_found_out(layout: Layout) -> None:
    with serving(Replacing) as address:
        client = Client(address, Patience(2))
        try:
            assert "replaces objects" in probe(client, layout).problem
        finally:
            client.close()


def test_process_that_is_killed_is_a_failure_of_the_server(
    tmp_path: Path, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "team").mkdir()
    with member(f"file://{tmp_path}/team", layout) as remote:
        assert list(remote.wheels(PLACE)) == []
        process = remote.client._process
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not remote.keep(PLACE, team_wheel(), wheel_file(tmp_path / "built"))
        assert remote.is_over
    assert capsys.readouterr().err.count("pipfast: ") == 1


def test_nothing_runs_after_the_end(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    client = Client(f"file://{tmp_path}/team", Patience(2))
    assert client.get("v1/x") is None
    process = client._process
    assert process is not None
    client.close()
    assert process.returncode is not None
    with pytest.raises(RemoteFailed):
        client.get("v1/x")


def test_missing_obstore_is_said_with_the_way_to_it(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipfast.remote.library.home", lambda: str(tmp_path))
    with member(f"file://{tmp_path}/team", layout) as remote:
        assert list(remote.wheels(PLACE)) == []
    assert capsys.readouterr().err == (
        f"pipfast: the team's store is left out: obstore is not installed in {tmp_path}\n"
        f"hint: {NoLibrary.hint}\n"
    )
