"""An index of large wheels whose plain answers come and whose ranges hang."""

from __future__ import annotations

import contextlib
import http.server
import random
import re
import threading
import zipfile
from typing import TYPE_CHECKING

from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.wheels import Archive

SIZE = 9 << 20
"""Bytes of each wheel, more than what comes in one stream."""

TRICKLE = 4096
"""Bytes that a plain answer sends at once while ranges hang."""


class HangingServer:
    """Sends plain answers slowly until a range was asked for and given up."""

    def __init__(self, sent: str) -> None:
        """:param sent: what comes of a range before it hangs: ``nothing``, ``headers``, or ``half`` of it."""
        self.files: dict[str, Archive] = {
            name: Wheel(
                name, requires=requires, compression=zipfile.ZIP_STORED,
                files={f"{name}/__init__.py": "", f"{name}/data.bin": random.Random(name).randbytes(SIZE)},
            ).build()
            for name, requires in (("alpha", ["gamma"]), ("beta", []), ("gamma", []))
        }
        self.plain: list[str] = []
        self.ranged: list[str] = []
        self.over, self.given_up = threading.Event(), threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                with contextlib.suppress(OSError):
                    name = self.path.split("/")[2]
                    archive = outer.files[name]
                    bounds = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
                    if self.path.startswith("/simple/"):
                        page = f'<a href="/f/{name}/{archive.filename}#sha256={archive.sha256}">x</a>'.encode()
                        self.head(200, len(page), {"Content-Type": "text/html"})
                        self.wfile.write(page)
                    elif bounds is None:
                        outer.plain.append(name)
                        self.send_plain(archive.data)
                    else:
                        outer.ranged.append(name)
                        self.send_part(archive.data, int(bounds[1]), int(bounds[2]) + 1)
                        outer.given_up.set()

            def send_plain(self, data: bytes) -> None:
                self.head(200, len(data), {"Accept-Ranges": "bytes", "ETag": '"one"'})
                at = 0
                while at < len(data) // 2 and not outer.given_up.wait(0.01):
                    self.wfile.write(data[at : at + TRICKLE])
                    at += TRICKLE
                self.wfile.write(data[at:])

            def send_part(self, data: bytes, start: int, end: int) -> None:
                if sent != "nothing":
                    where = f"bytes {start}-{end - 1}/{len(data)}"
                    self.head(206, end - start, {"ETag": '"one"', "Content-Range": where})
                if sent == "half":
                    self.wfile.write(data[start : (start + end) // 2])
                self.close_connection = True
                self.connection.settimeout(0.05)
                while not outer.over.is_set():
                    try:
                        if not self.connection.recv(1):
                            return
                    except TimeoutError:
                        continue

            def head(self, status: int, length: int, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(length), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: clients go away."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/simple/"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """End it, and what hangs in it."""
        self.over.set()
        self._http.shutdown()
        self._http.server_close()


@contextlib.contextmanager
def hanging(sent: str) -> Iterator[HangingServer]:
    server = HangingServer(sent)
    try:
        yield server
    finally:
        server.close()
