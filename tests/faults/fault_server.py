"""A loopback server whose every answer a test can spoil."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import random
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipfast.fetch.transport import Response

PIECE = 16 * 1024
THRESHOLD = 256 * 1024
"""Bytes from which the tests' pools use ranges."""
LARGE = 3 * 1024 * 1024 + 7
"""Bytes of a large file."""


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that differ everywhere, the same in every run."""
    return random.Random(seed).randbytes(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def named(response: Response) -> str:
    """Name a file as its address does."""
    return response.url.rpartition("/")[2]


@dataclass(slots=True)
class Exchange:
    """One request, and the means to answer it well or badly."""

    handler: http.server.BaseHTTPRequestHandler
    server: FaultServer
    path: str
    number: int
    """How many requests for this path came before."""
    range: tuple[int, int] | None
    """``[start, end)`` as asked for."""
    if_range: str | None
    concurrent: int
    """Requests being answered, this one included."""
    body: bytes = b""
    etag: str | None = '"v1"'
    headers: dict[str, str] = field(default_factory=dict)

    def span(self) -> tuple[int, int]:
        """The bytes that an honest server would send now."""
        if self.range is None or (self.if_range is not None and self.if_range != self.etag):
            return 0, len(self.body)
        return self.range[0], min(self.range[1], len(self.body))

    def serve(self, *, stop_after: int | None = None, ranges: bool = True) -> None:
        """Answer honestly, but say and send no more than ``stop_after`` bytes of the body, if given."""
        start, end = self.span() if ranges else (0, len(self.body))
        self.head_for(start, end, partial=ranges and (start, end) != (0, len(self.body)), ranges=ranges)
        self.send(self.body[start:end][:stop_after])

    def head_for(self, start: int, end: int, *, partial: bool, ranges: bool = True) -> None:
        headers = {"Content-Length": str(end - start)}
        if ranges:
            headers["Accept-Ranges"] = "bytes"
        if self.etag is not None:
            headers["ETag"] = self.etag
        if partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(self.body)}"
        self.head(206 if partial else 200, headers | self.headers)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            if value:
                self.handler.send_header(name, value)
        self.handler.end_headers()

    def send(self, data: bytes) -> None:
        for index in range(0, len(data), PIECE):
            self.handler.wfile.write(data[index : index + PIECE])

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        self.handler.wfile.flush()
        connection = self.handler.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def stall(self) -> None:
        """Send nothing more until the client has gone or the server is closed."""
        self.handler.connection.settimeout(0.05)
        while not self.server.closed.is_set():
            try:
                if not self.handler.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return


class FaultServer:
    """Serves ``bodies``; what ``behaviours`` has for a path answers in place of ``Exchange.serve``."""

    def __init__(self, *, threads: bool = True) -> None:
        self.bodies: dict[str, bytes] = {}
        self.behaviours: dict[str, Callable[[Exchange], None]] = {}
        self.log: list[tuple[str, tuple[int, int] | None]] = []
        self.received_headers: list[dict[str, str]] = []
        self.most_concurrent = 0
        self.closed = threading.Event()
        self._concurrent = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with outer.exchange(self) as exchange, contextlib.suppress(OSError):
                    behaviour = outer.behaviours.get(exchange.path, Exchange.serve)
                    behaviour(exchange)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def finish(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

        kind = http.server.ThreadingHTTPServer if threads else http.server.HTTPServer

        class Server(kind):  # type: ignore[misc, valid-type]
            request_queue_size = 64
            daemon_threads = False

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: clients go away in these tests."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), name="fault-server")
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._http.server_port}{path}"

    def ranges(self, path: str) -> list[tuple[int, int] | None]:
        """What was asked for, in order of arrival; None for plain requests."""
        with self._lock:
            return [asked for logged, asked in self.log if logged == path]

    @contextlib.contextmanager
    def exchange(self, handler: http.server.BaseHTTPRequestHandler) -> Iterator[Exchange]:
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        asked = (int(match[1]), int(match[2]) + 1) if match else None
        with self._lock:
            self._concurrent += 1
            self.most_concurrent = max(self.most_concurrent, self._concurrent)
            number = sum(1 for path, _ in self.log if path == handler.path)
            self.log.append((handler.path, asked))
            self.received_headers.append(dict(handler.headers.items()))
            concurrent = self._concurrent
        try:
            yield Exchange(
                handler,
                self,
                handler.path,
                number,
                asked,
                handler.headers.get("If-Range"),
                concurrent,
                self.bodies.get(handler.path, b""),
            )
        finally:
            with self._lock:
                self._concurrent -= 1

    def close(self) -> None:
        self.closed.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
