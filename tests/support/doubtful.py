"""A server of one large wheel, whose parts need not be of the file that a plain request gets."""

from __future__ import annotations

import contextlib
import http.server
import random
import re
import threading
import zipfile
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING

from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.wheels import Archive

PIECE = 5 << 19
"""Bytes of each of the wheel's four large files: together more than what comes in one stream."""

FRONT = 1 << 20
"""Bytes of a plain answer that are sent before a part has been asked for."""

PATIENCE_S = 0.5
"""Seconds for which a plain answer waits for somebody to ask for a part."""

WEAK, STRONG = {"ETag": 'W/"one"'}, {"ETag": '"one"'}
DATED = {"Last-Modified": formatdate(1580608922, usegmt=True)}


def large_wheel(seed: int) -> Archive:
    """Return ``demo``: of the same layout with every seed, and of other contents."""
    content = random.Random(seed)
    files = {"demo/__init__.py": f"seed = {seed}\n"}
    return Wheel(
        "demo",
        files={**files, **{f"demo/{number}.bin": content.randbytes(PIECE) for number in range(4)}},
        compression=zipfile.ZIP_STORED,
    ).build()


@dataclass
class Doubtful:
    """What is sent, and what was asked for."""

    archive: Archive
    fragment: str
    """What the page says of the wheel's digest: ``#sha256=...``, or nothing."""
    validators: dict[str, str]
    part: Callable[[int, int], bytes]
    """Gives the bytes of a range."""
    whole: Callable[[int], bytes]
    """Gives the body of the plain answer of that number."""
    patient: bool = True
    """Whether plain answers wait for somebody to ask for a part."""
    asked: list[str | None] = field(default_factory=list)
    """The ranges that were asked for; None for all of the wheel."""
    url: str = ""
    ranged: threading.Event = field(default_factory=threading.Event)
    """A part has been sent."""
    over: threading.Event = field(default_factory=threading.Event)
    """A plain answer has been sent."""

    def rewind(self, *, patient: bool) -> None:
        """Begin again."""
        self.asked.clear()
        self.ranged.clear()
        self.over.clear()
        self.patient = patient


@contextlib.contextmanager
def serving(
    archive: Archive,
    *,
    digest: str = "",
    validators: dict[str, str] = STRONG,
    part: Callable[[int, int], bytes] | None = None,
    whole: Callable[[int], bytes] | None = None,
) -> Iterator[Doubtful]:
    """Serve a wheel; by default as it is, with a strong validator and without a digest."""
    state = Doubtful(
        archive,
        f"#sha256={digest}" if digest else "",
        validators,
        part or (lambda start, end: archive.data[start:end]),
        whole or (lambda number: archive.data),
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                if self.path.endswith(".whl"):
                    self.send_wheel()
                elif self.path.endswith(".metadata"):
                    self.head(200, len(archive.metadata or b""), {})
                    self.wfile.write(archive.metadata or b"")
                else:
                    link = f"/files/{archive.filename}{state.fragment}"
                    page = f'<a href="{link}" data-core-metadata="true">{archive.filename}</a>'.encode()
                    self.head(200, len(page), {"Content-Type": "text/html"})
                    self.wfile.write(page)

        def send_wheel(self) -> None:
            wanted = self.headers["Range"]
            number = state.asked.count(None)
            state.asked.append(wanted)
            headers = {"Accept-Ranges": "bytes", **state.validators}
            size = len(archive.data)
            bounds = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted or "")
            if bounds is not None:
                start, end = int(bounds[1]), int(bounds[2]) + 1
                self.head(206, end - start, {**headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"})
                self.wfile.write(state.part(start, end))
                state.ranged.set()
                return
            body = state.whole(number)
            self.head(200, len(body), headers)
            self.wfile.write(body[:FRONT])
            if state.patient:
                # Else the first stream may be over before another connection has asked for anything.
                state.ranged.wait(PATIENCE_S)
            try:
                self.wfile.write(body[FRONT:])
            finally:
                state.over.set()

        def head(self, status: int, length: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(length), **headers}.items():
                self.send_header(name, value)
            self.end_headers()

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: clients go away."""

    with Server(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_port}/simple/"
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield state
        finally:
            state.ranged.set()
            state.over.set()
            httpd.shutdown()
