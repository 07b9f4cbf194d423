"""Servers that bear one request at a time serve the run, as they serve pip's."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.program import Box
    from support.wheels import Archive

pytestmark = pytest.mark.once

NAMES = ("alpha", "beta", "gamma", "delta")


def kind_of(path: str) -> str:
    if path.startswith("/simple/"):
        return "page"
    return "metadata" if path.endswith(".metadata") else "archive"


class PoorServer:
    """Pages, metadata files and archives, each answer some time after its request."""

    def __init__(self, *, threads: bool = True, kind: str = "", manner: str = "") -> None:
        archives = [Wheel("top", requires=list(NAMES)).build(), *(Wheel(name).build() for name in NAMES)]
        self.files: dict[str, Archive] = {archive.filename: archive for archive in archives}
        self.asked: list[str] = []
        self.refused = 0
        self.over = threading.Event()
        under_way: list[str] = []
        lock = threading.Lock()
        poor = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                mine = kind_of(self.path)
                with lock:
                    refuse = bool(kind) and kind in (mine, "any") and bool(under_way)
                    under_way.append(mine)
                    poor.asked.append(self.path)
                    poor.refused += refuse
                try:
                    with contextlib.suppress(OSError):
                        if refuse:
                            self.refuse()
                        else:
                            poor.over.wait(0.02)
                            self.answer(*poor.answer(self.path))
                finally:
                    with lock:
                        under_way.remove(mine)

            def refuse(self) -> None:
                if manner == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                elif manner == "stall":
                    self.connection.settimeout(0.05)
                    while not poor.over.is_set():
                        try:
                            if not self.connection.recv(1):
                                break
                        except TimeoutError:
                            continue
                    self.close_connection = True
                else:
                    self.answer(int(manner), b"not now")

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if self.path.startswith("/simple/"):
                    self.send_header("Content-Type", "text/html")
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.end_headers()
                self.wfile.write(body)

        class Server(http.server.ThreadingHTTPServer if threads else http.server.HTTPServer):  # type: ignore[misc]
            request_queue_size = 64
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: clients go away."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/simple/"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: str) -> tuple[int, bytes]:
        name = path.rpartition("/")[2] if not path.startswith("/simple/") else path.split("/")[2]
        if path.startswith("/simple/"):
            lines = [
                f'<a href="/f/{archive.filename}#sha256={archive.sha256}" data-core-metadata='
                f'"sha256={hashlib.sha256(archive.metadata or b"").hexdigest()}">{archive.filename}</a>'
                for archive in self.files.values() if archive.project == name
            ]
            return (200, "\n".join(lines).encode()) if lines else (404, b"")
        archive = self.files.get(name.removesuffix(".metadata"))
        if archive is None:
            return 404, b""
        return 200, (archive.metadata or b"") if name.endswith(".metadata") else archive.data

    def close(self) -> None:
        self.over.set()
        self._http.shutdown()
        self._http.server_close()


@contextlib.contextmanager
def serving(**manners: object) -> Iterator[PoorServer]:
    server = PoorServer(**manners)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.close()


def install(box: Box, server: PoorServer) -> None:
    ended = box.pipfast("install", "--no-input", "--index-url", server.url, "top")
    assert (ended.status, ended.err) == (0, "")
    assert {"top", *NAMES} <= set(box.installed())


def test_one_thread_that_keeps_connections(box: Box) -> None:
    """A second connection is served only when the first is closed: pip's own never waits for an idle one."""
    with serving(threads=False) as server:
        install(box, server)
        assert len(server.asked) <= 3 * len(server.files) + 4


@pytest.mark.parametrize(
    ("kind", "manner"),
    [
        *(("any", manner) for manner in ("401", "403", "404", "407", "429", "503", "reset", "stall")),
        *((kind, manner) for kind in ("page", "metadata", "archive") for manner in ("403", "stall")),
    ],
)
def test_refusal_of_whoever_has_two_under_way(box: Box, kind: str, manner: str) -> None:
    """pip asks itself, alone, and gets what it would have got; the server sees a few requests more."""
    with serving(kind=kind, manner=manner) as server:
        install(box, server)
        assert server.refused <= 4
        assert len(server.asked) <= 3 * len(server.files) + 8
