"""Loopback server of package indexes and files, with every manner a real one may have."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from support.wheels import Archive

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"
LAST_MODIFIED = "Sun, 02 Feb 2020 02:02:02 GMT"
UPLOADED = "2020-02-02T02:02:02Z"


class Breakage(Enum):
    """How the body of an answer ends before its end."""

    RESET = "the connection is reset halfway"
    SHORT = "the connection is closed halfway, in good order"
    DROPPED = "the connection is closed before any answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back for one request."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    breakage: Breakage | None = None
    sized: bool = True
    """Whether it says how long its body is; otherwise that comes in chunks."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request that came, and the status it was answered with."""

    method: str
    path: str
    headers: Mapping[str, str]
    status: int


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of an index and what the index says about it, true or not."""

    archive: Archive
    yanked: str | None = None
    """The reason; an empty string is yanked too."""
    sha256: str | None = None
    """The digest that the page claims; None means the true one."""
    served: bytes | None = None
    """What is sent for it; None means its own bytes."""
    metadata: bytes | None = None
    """What is sent as its core metadata; None means its own."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How an index behaves; the default is the one most people use."""

    pages: Literal["negotiated", "html", "json"] = "negotiated"
    compressed: bool = True
    """Pages are sent as gzip to those who take it."""
    core_metadata: bool = True
    hashes: bool = True
    upload_times: bool = True
    ranges: bool = True
    lengths: bool = True
    """Files are sent with a Content-Length; without one, no ranges are either."""
    validators: bool = True
    """ETag and Last-Modified, and 304 for those who send them back."""
    cache_control: str | None = "max-age=600, public"
    vary: str = "Accept"
    """The headers of requests on which pages depend."""
    credentials: tuple[str, str] | None = None
    """The user and the password without which everything is 401."""


class Index:
    """One package index under a prefix of the server: ``<prefix>/simple/`` and ``<prefix>/files/``."""

    def __init__(self, base: str, manners: Manners) -> None:
        self._base = base
        self._manners = manners
        self._uploads: dict[str, list[Upload]] = {}

    @property
    def url(self) -> str:
        """Return what ``--index-url`` takes."""
        return f"{self._base}/simple/"

    @property
    def args(self) -> tuple[str, str]:
        """Return the option that names this index."""
        return ("--index-url", self.url)

    def authenticated(self, user: str, password: str) -> str:
        """Return the URL with the credentials in it."""
        return self.url.replace("://", f"://{user}:{password}@")

    def file_url(self, archive: Archive) -> str:
        """Return the address of one file."""
        return f"{self._base}/files/{archive.filename}"

    def add(
        self,
        *archives: Archive,
        yanked: str | None = None,
        sha256: str | None = None,
        served: bytes | None = None,
        metadata: bytes | None = None,
    ) -> Index:
        """Put files on the index, in the order they are given in."""
        for archive in archives:
            upload = Upload(archive, yanked, sha256, served, metadata)
            self._uploads.setdefault(archive.project, []).append(upload)
        return self

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Answer a GET for a path below the prefix."""
        manners = self._manners
        if manners.credentials is not None:
            token = base64.b64encode(":".join(manners.credentials).encode()).decode()
            if headers.get("authorization") != f"Basic {token}":
                return Answer(401, b"who are you?", {"WWW-Authenticate": 'Basic realm="tests"'})
        kind, _, rest = path.partition("/")
        if kind == "simple":
            return self._page(rest.strip("/"), headers)
        if kind == "files":
            return self._file(rest, headers)
        return Answer(404, b"not found")

    def _page(self, project: str, headers: Mapping[str, str]) -> Answer:
        uploads = self._uploads.get(project)
        if not uploads:
            return Answer(404, b"not found")
        wanted = self._manners.pages
        is_json = wanted == "json" or (wanted == "negotiated" and JSON_TYPE in headers.get("accept", ""))
        body = self._json_page(project, uploads) if is_json else self._html_page(project, uploads)
        content_type = JSON_TYPE if is_json else ("text/html" if wanted == "html" else HTML_TYPE)
        answer = Answer(200, body, {"Content-Type": content_type, "Vary": self._manners.vary})
        if self._manners.compressed and "gzip" in headers.get("accept-encoding", ""):
            body = gzip.compress(body, mtime=0)
            answer = Answer(200, body, {**answer.headers, "Content-Encoding": "gzip"})
        return self._validated(answer, headers)

    def _html_page(self, project: str, uploads: list[Upload]) -> bytes:
        links = []
        for upload in uploads:
            archive = upload.archive
            href = f"../../files/{archive.filename}"
            if self._manners.hashes:
                href += f"#sha256={upload.sha256 or archive.sha256}"
            attributes = ""
            if archive.requires_python:
                attributes += f' data-requires-python="{html.escape(archive.requires_python)}"'
            if upload.yanked is not None:
                attributes += f' data-yanked="{html.escape(upload.yanked)}"'
            if digest := self._metadata_digest(upload):
                attributes += f' data-core-metadata="{digest}" data-dist-info-metadata="{digest}"'
            links.append(f'<a href="{href}"{attributes}>{archive.filename}</a><br/>')
        body = "\n".join(links)
        return (
            f"<!DOCTYPE html><html><head><title>{project}</title></head><body>\n{body}\n</body></html>\n"
        ).encode()

    def _json_page(self, project: str, uploads: list[Upload]) -> bytes:
        files = []
        for upload in uploads:
            archive = upload.archive
            row: dict[str, object] = {
                "filename": archive.filename,
                "url": f"../../files/{archive.filename}",
                "hashes": {"sha256": upload.sha256 or archive.sha256} if self._manners.hashes else {},
                "requires-python": archive.requires_python,
                "yanked": False if upload.yanked is None else (upload.yanked or True),
                "size": len(archive.data),
            }
            if self._manners.upload_times:
                row["upload-time"] = UPLOADED
            if digest := self._metadata_digest(upload):
                # No "dist-info-metadata": pips before 23.2 fail on a mapping there, so that indexes with JSON
                # pages give them this other name (PEP 714, "Motivation").
                row["core-metadata"] = row["data-dist-info-metadata"] = {"sha256": digest.partition("=")[2]}
            files.append(row)
        return json.dumps({"meta": {"api-version": "1.1"}, "name": project, "files": files}).encode()

    def _metadata_digest(self, upload: Upload) -> str | None:
        content = upload.metadata or upload.archive.metadata
        if content is None or not self._manners.core_metadata:
            return None
        return f"sha256={hashlib.sha256(content).hexdigest()}"

    def _file(self, filename: str, headers: Mapping[str, str]) -> Answer:
        for upload in (upload for uploads in self._uploads.values() for upload in uploads):
            archive = upload.archive
            if filename == archive.filename:
                body = archive.data if upload.served is None else upload.served
                answer = Answer(200, body, {"Content-Type": "application/octet-stream"})
                answer = self._validated(answer, headers)
                return self._ranged(answer, headers) if self._manners.lengths else replace(answer, sized=False)
            content = upload.metadata or archive.metadata
            if filename == f"{archive.filename}.metadata" and self._manners.core_metadata and content:
                return self._validated(Answer(200, content, {"Content-Type": "text/plain"}), headers)
        return Answer(404, b"not found")

    def _validated(self, answer: Answer, headers: Mapping[str, str]) -> Answer:
        """Add what caches need, and answer 304 to a copy that is still right."""
        more = dict(answer.headers)
        if self._manners.cache_control:
            more["Cache-Control"] = self._manners.cache_control
        if not self._manners.validators:
            return replace(answer, headers=more)
        etag = f'"{hashlib.sha256(answer.body).hexdigest()[:20]}"'
        more |= {"ETag": etag, "Last-Modified": LAST_MODIFIED}
        if "range" not in headers and headers.get("if-none-match") == etag:
            return Answer(304, b"", more)
        return replace(answer, headers=more)

    def _ranged(self, answer: Answer, headers: Mapping[str, str]) -> Answer:
        if not self._manners.ranges or answer.status != 200:
            return answer
        more = {**answer.headers, "Accept-Ranges": "bytes"}
        whole = replace(answer, headers=more)
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
        validator = headers.get("if-range")
        if not asked or (validator and validator not in (more.get("ETag"), more.get("Last-Modified"))):
            return whole
        size = len(answer.body)
        first, last = asked.groups()
        start, stop = (int(first), int(last or size - 1)) if first else (max(0, size - int(last)), size - 1)
        stop = min(stop, size - 1)
        if start > stop:
            return Answer(416, b"", {"Content-Range": f"bytes */{size}"})
        more["Content-Range"] = f"bytes {start}-{stop}/{size}"
        return Answer(206, answer.body[start : stop + 1], more)


@dataclass(slots=True)
class _Override:
    """An answer that stands before the usual one, the first so many times."""

    answer: Answer
    times: int | None
    used: int = 0


class Server:
    """The server and everything on it. Each run of a twin begins with ``rewind``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._indexes: dict[str, Index] = {}
        self._files: dict[str, bytes] = {}
        self._overrides: dict[str, _Override] = {}
        self._instead: dict[str, Callable[[Mapping[str, str]], Answer | None]] = {}
        self._breakages: dict[str, tuple[Breakage, int]] = {}
        self._broken: Counter[str] = Counter()
        self._delays: dict[str, float] = {}
        self._holds: dict[str, tuple[str, bool]] = {}
        self._requests: list[Request] = []
        self._asked = threading.Condition(self._lock)
        self._limit = 0
        self._at_once = 0
        self._httpd = _HTTPServer(("127.0.0.1", 0), _Handler)
        self._httpd.owner = self
        self.url = f"http://127.0.0.1:{self._httpd.server_port}"

    def start(self) -> None:
        """Serve, in threads of this process."""
        threading.Thread(target=self._httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self._httpd.shutdown()
        self._httpd.server_close()

    def clear(self) -> None:
        """Take everything off the server."""
        with self._lock:
            self._indexes, self._files, self._overrides = {}, {}, {}
            self._breakages, self._delays, self._holds, self._requests = {}, {}, {}, []
            self._instead = {}
            self._limit = 0
            self._broken.clear()

    def rewind(self) -> None:
        """Forget the requests and the times something has happened; keep what is on the server."""
        with self._lock:
            self._requests = []
            self._broken.clear()
            for override in self._overrides.values():
                override.used = 0

    def index(self, prefix: str = "a", manners: Manners | None = None) -> Index:
        """Open a new, empty index under ``/<prefix>/``."""
        index = Index(f"{self.url}/{prefix}", manners or Manners())
        self._indexes[prefix] = index
        return index

    def file(self, path: str, content: str | bytes) -> str:
        """Serve a file at ``/<path>`` and return its address."""
        self._files[f"/{path}"] = content.encode() if isinstance(content, str) else content
        return f"{self.url}/{path}"

    def override(
        self, path: str, status: int, *, headers: Mapping[str, str] | None = None, times: int | None = None
    ) -> None:
        """Answer ``/<path>`` with a status, always or the first ``times`` of a run."""
        self._overrides[f"/{path}"] = _Override(Answer(status, b"as told", headers or {}), times)

    def instead(self, path: str, answer: Callable[[Mapping[str, str]], Answer | None]) -> None:
        """Answer ``/<path>`` with what a function makes of the request's headers, unless it is None."""
        self._instead[f"/{path}"] = answer

    def break_off(self, path: str, breakage: Breakage, *, times: int) -> None:
        """Let the answers for ``/<path>`` end halfway, the first ``times`` of a run."""
        self._breakages[f"/{path}"] = (breakage, times)

    def delay(self, path: str, seconds: float) -> None:
        """Answer ``/<path>`` later: it is overtaken by what was asked for after it."""
        self._delays[f"/{path}"] = seconds

    def hold(self, path: str, until: str, *, whole: bool = False) -> None:
        """Answer ``/<path>`` only when ``/<until>`` has been asked for, and with 504 if it never is.

        :param whole: only who asks for all of it waits; ranges are answered at once.
        """
        self._holds[f"/{path}"] = f"/{until}", whole

    def limit(self, at_once: int) -> None:
        """Answer 429 to what is asked while that many requests are being answered."""
        self._limit = at_once

    def requests(self) -> list[Request]:
        """Return what was asked since the last ``rewind``, in order."""
        with self._lock:
            return list(self._requests)

    def respond(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """Find the answer to one request, and note it."""
        # A proxy is asked for whole addresses.
        path = unquote(urlsplit(target).path)
        with self._lock:
            self._at_once += 1
            crowded = self._limit and self._at_once > self._limit
        try:
            if wait := self._delays.get(path):
                time.sleep(wait)
            return Answer(429, b"not so many") if crowded else self._respond(method, path, headers)
        finally:
            with self._lock:
                self._at_once -= 1

    def _respond(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        with self._lock:
            self._requests.append(Request(method, path, headers, 0))
            number = len(self._requests) - 1
            self._asked.notify_all()
            held_until, whole = self._holds.get(path, (None, False))
            if whole and "range" in headers:
                held_until = None
            if held_until is not None and not self._asked.wait_for(lambda: self._was_asked(held_until), 10):
                return Answer(504, b"nobody asked for the other")
            answer = self._answer(path, headers)
            if answer.status in (200, 206) and path in self._breakages:
                breakage, times = self._breakages[path]
                self._broken[path] += 1
                if self._broken[path] <= times:
                    answer = replace(answer, breakage=breakage)
            if number < len(self._requests):
                self._requests[number] = Request(method, path, headers, answer.status)
        return answer

    def _was_asked(self, path: str) -> bool:
        return any(request.path == path for request in self._requests)

    def _answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        override = self._overrides.get(path)
        if override is not None and (override.times is None or override.used < override.times):
            override.used += 1
            return override.answer
        if path in self._instead and (answer := self._instead[path](headers)) is not None:
            return answer
        if path in self._files:
            content_type = "text/html" if path.endswith("/") else "text/plain"
            return Answer(200, self._files[path], {"Content-Type": content_type})
        prefix, _, rest = path[1:].partition("/")
        index = self._indexes.get(prefix)
        return index.answer(rest, headers) if index else Answer(404, b"not found")


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    owner: Server

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _HTTPServer

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.owner.respond(self.command, self.path, headers)
        if answer.breakage is Breakage.DROPPED:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 304 and "Content-Length" not in answer.headers:
            length = ("Content-Length", str(len(answer.body)))
            self.send_header(*(length if answer.sized else ("Transfer-Encoding", "chunked")))
        self.end_headers()
        if self.command != "HEAD":
            whole = answer.breakage is None
            body = answer.body if whole else answer.body[: len(answer.body) // 2]
            if answer.sized or answer.status == 304:
                self.wfile.write(body)
            else:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body) + (b"0\r\n\r\n" if whole else b""))
        self.wfile.flush()
        if answer.breakage is not None:
            self._hang_up(answer.breakage)

    do_HEAD = do_GET

    def _hang_up(self, breakage: Breakage) -> None:
        self.close_connection = True
        if breakage is Breakage.RESET:
            # Closing with a linger time of zero sends RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server for the length of the block."""
    server = Server()
    server.start()
    try:
        yield server
    finally:
        server.stop()
