"""Servers that behave badly cost a command its patience once, and one line."""

from __future__ import annotations

import re
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from pipfast import report
from pipfast.remote.client import Client, RemoteFailed
from pipfast.remote.courier import told
from pipfast.remote.library import NoLibrary
from pipfast.remote.patience import Patience
from pipfast.remote.remote import probe
from pipfast.store.layout import Layout, open_layout
from pipfast.store.names import TMP
from support.team import KEY, PLACE, Silent, member, serving, team_wheel, wheel_file

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
    (Failing, "GET: Server returned non-2xx status code: 503"),
    (Refusing, "GET: Server returned non-2xx status code: 403"), (Short, "left out|cut short"),
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
    assert "secret" not in err.lower() and "password" not in err and "<" not in err


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
    patience = Patience(2.0)
    with serving(Paced) as address:
        client = Client(address, patience)
        try:
            for _ in range(3):
                take = client.head("v1/prepared/one")
                assert take is not None and take(200).endswith(b"\n{}")
        finally:
            client.close()
    assert patience.limit() > 1


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


def test_port_that_nobody_listens_at(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with member(f"http://127.0.0.1:{port}/team", layout) as remote:
        assert list(remote.wheels(PLACE)) == []
    assert "(Connection refused)" in (err := capsys.readouterr().err) and err.count("pipfast: ") == 1


def test_folder_that_is_not_there(tmp_path: Path, layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """A network's folder that is not mounted: a reader makes none in its place."""
    with member(f"file://{tmp_path}/mnt/team", layout, writes=False) as remote:
        assert list(remote.wheels(PLACE)) == []
    assert capsys.readouterr().err.count("pipfast: ") == 1
    assert not (tmp_path / "mnt").exists()


def test_server_that_replaces_is_found_out(layout: Layout) -> None:
    with serving(Replacing) as address:
        client = Client(address, Patience(2), writes=True)
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


def test_what_is_said_of_an_error_has_no_secret() -> None:
    text = told(Exception(
        "Generic S3 error: Error performing GET https://me:pw@host/b?X-Amz-Signature=abc in 12.3µs - 403 <Error>\n"
        f"all of {KEY}"
    ))
    assert text == "GET: 403"
