"""Loopback HTTP server whose answers are a function, and the ways to answer badly."""

from __future__ import annotations

import contextlib
import http.server
import re
import socket
import struct
import threading
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message

    from typing_extensions import Self

NONE: Mapping[str, str] = MappingProxyType({})
STRONG: Mapping[str, str] = MappingProxyType({"ETag": '"one"'})


@dataclass
class Exchange:
    """One request, and the means to answer it well or badly."""

    handler: http.server.BaseHTTPRequestHandler
    over: threading.Event
    """The server ends: nobody waits for more."""

    @property
    def path(self) -> str:
        """The address that was asked for, without the server."""
        return self.handler.path

    @property
    def headers(self) -> Message:
        """The request's headers."""
        return self.handler.headers

    @cached_property
    def range(self) -> tuple[int, int] | None:
        """``[start, end)`` as asked for; a test may put another one in its place."""
        bounds = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        return (int(bounds[1]), int(bounds[2]) + 1) if bounds else None

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers that have a value."""
        self.handler.send_response(status)
        for name, value in headers.items():
            if value:
                self.handler.send_header(name, value)
        self.handler.end_headers()

    def send(self, data: bytes) -> None:
        """Send a part of the body."""
        self.handler.wfile.write(data)

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] = NONE) -> None:
        """Send a whole answer."""
        self.head(status, {"Content-Length": str(len(body)), **headers})
        self.send(body)

    def page(self, page: str) -> None:
        """Send a project's page."""
        self.answer(200, page.encode(), {"Content-Type": "text/html"})

    def head_of_part(self, size: int, headers: Mapping[str, str]) -> tuple[int, int]:
        """Send the head of the range that was asked for, of a file of ``size`` bytes; return the range."""
        assert self.range is not None
        start, end = self.range
        where = f"bytes {start}-{end - 1}/{size}"
        self.head(206, {"Content-Length": str(end - start), "Content-Range": where, **headers})
        return start, end

    def reset(self) -> None:
        """Break the connection with a TCP reset: closing with a linger time of zero sends RST instead of FIN."""
        self.handler.close_connection = True
        self.handler.wfile.flush()
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()

    def stall(self) -> None:
        """Send nothing more until the client has gone or the server ends."""
        self.handler.close_connection = True
        self.handler.connection.settimeout(0.05)
        while not self.over.is_set():
            try:
                if not self.handler.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return


class Loopback:
    """A server of this process; ``answer`` is called for each request, in its thread."""

    def __init__(
        self, answer: Callable[[Exchange], None], *, threads: bool = True, keep_alive: bool = True
    ) -> None:
        """:param threads: whether it answers several requests at a time.

        :param keep_alive: whether connections are kept; else ``close`` waits for whoever is being answered.
        """
        self.over = over = threading.Event()
        self._errors = errors = list[Exception]()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"

            def do_GET(self) -> None:
                try:
                    answer(Exchange(self, over))
                except OSError:
                    """The client has gone."""
                except Exception as error:
                    errors.append(error)
                    raise

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def finish(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

        class Server(http.server.ThreadingHTTPServer if threads else http.server.HTTPServer):  # type: ignore[misc]
            request_queue_size = 64
            daemon_threads = keep_alive

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: clients go away."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return what ``--index-url`` takes."""
        return f"{self.address}/simple/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and what stalls in it.

        :raises Exception: the first error of the function that answers.
        """
        self.over.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        if self._errors:
            raise self._errors[0]
