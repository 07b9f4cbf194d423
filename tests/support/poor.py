"""A small index that bears little: each answer comes some time after its request."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import socket
import struct
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING

from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from email.message import Message

    from support.wheels import Archive

NAMES = ("alpha", "beta", "gamma", "delta")


def kind_of(path: str) -> str:
    if path.startswith("/simple/"):
        return "page"
    return "metadata" if path.endswith(".metadata") else "archive"


class PoorServer:
    """Pages, metadata files and archives, each answer some time after its request."""

    def __init__(
        self,
        *,
        threads: bool = True,
        kind: str = "",
        manner: str = "",
        instead: Callable[[str, Message], tuple[int, dict[str, str]] | None] = lambda path, headers: None,
        serial: bool = False,
        names: Sequence[str] = NAMES,
    ) -> None:
        """:param kind: what is refused in this ``manner`` to whoever has two under way; ``any`` of them.

        :param instead: gives a status and headers to be sent instead of the usual answer.
        :param serial: an archive is sent when the one before it is over; :param names: what ``top`` requires.
        """
        archives = [Wheel("top", requires=names).build(), *(Wheel(name).build() for name in names)]
        self.files: dict[str, Archive] = {archive.filename: archive for archive in archives}
        self.asked: list[str] = []
        self.refused = 0
        self.over = threading.Event()
        under_way: list[str] = []
        lock, sending = threading.Lock(), threading.Lock()
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
                            told = instead(self.path, self.headers)
                            with sending if serial and mine == "archive" else contextlib.nullcontext():
                                if told is None:
                                    self.answer(*poor.answer(self.path))
                                else:
                                    self.answer(told[0], b"as told", told[1])
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

            def answer(self, status: int, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
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
            lines = []
            for each in self.files.values():
                digest = f'"sha256={hashlib.sha256(each.metadata or b"").hexdigest()}"'
                if each.project == name:
                    lines.append(
                        f'<a href="/f/{each.filename}#sha256={each.sha256}" data-core-metadata={digest} '
                        f'data-dist-info-metadata={digest}>{each.filename}</a>'
                    )
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
