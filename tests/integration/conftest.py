"""An environment, an index on loopback, and one whose downloads never end."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import make_box
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Return an environment that nothing is installed in."""
    return make_box(tmp_path)


@pytest.fixture(scope="session")
def index() -> Iterator[Index]:
    """Serve ``app``, which needs ``library``."""
    with serving() as server:
        index = server.index()
        index.add(Wheel("app", requires=["library"], console={"app": "app:main"}).build())
        index.add(Wheel("library").build())
        yield index


class EndlessServer(ThreadingHTTPServer):
    """Serves ``/simple/endless/``; the wheel there stops after its first part, until the server ends."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _EndlessHandler)
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        """Return what ``--index-url`` takes."""
        return f"http://127.0.0.1:{self.server_port}/simple/"


class _EndlessHandler(BaseHTTPRequestHandler):
    server: EndlessServer

    def do_GET(self) -> None:
        if self.path.endswith("/endless/"):
            self._answer(b'<a href="/endless-1.0-py3-none-any.whl">endless-1.0-py3-none-any.whl</a>', "text/html")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(8 << 20))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(bytes(1 << 20))
            self.wfile.flush()
        self.server.ended.wait()

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def _endless_server() -> Iterator[EndlessServer]:
    server = EndlessServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def endless() -> Iterator[EndlessServer]:
    """Serve a download that never ends."""
    with _endless_server() as server:
        yield server
