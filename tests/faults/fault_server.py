"""Server whose every answer a test can spoil."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support import loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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


def named(response: Any) -> str:
    """Name a file as its address does."""
    return str(response.url).rpartition("/")[2]


@dataclass
class Exchange(loopback.Exchange):
    """One request of a test's, and what the server has for it."""

    number: int
    """How many requests for this path came before."""
    concurrent: int
    """Requests being answered, this one included."""
    body: bytes = b""
    etag: str | None = '"v1"'
    more: dict[str, str] = field(default_factory=dict)
    """Headers of the answer."""

    def span(self) -> tuple[int, int]:
        """The bytes that an honest server would send now."""
        condition = self.headers.get("If-Range")
        if self.range is None or (condition is not None and condition != self.etag):
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
        self.head(206 if partial else 200, headers | self.more)

    def send(self, data: bytes) -> None:
        for index in range(0, len(data), PIECE):
            super().send(data[index : index + PIECE])


class FaultServer:
    """Serves ``bodies``; what ``behaviours`` has for a path answers in place of ``Exchange.serve``."""

    def __init__(self, *, threads: bool = True) -> None:
        self.bodies: dict[str, bytes] = {}
        self.behaviours: dict[str, Callable[[Exchange], None]] = {}
        self.log: list[tuple[str, tuple[int, int] | None]] = []
        self.received_headers: list[dict[str, str]] = []
        self.most_concurrent = 0
        self._concurrent = 0
        self._lock = threading.Lock()
        self._loopback = loopback.Loopback(self._answer, threads=threads, keep_alive=False)

    def url(self, path: str) -> str:
        return f"{self._loopback.address}{path}"

    def ranges(self, path: str) -> list[tuple[int, int] | None]:
        """What was asked for, in order of arrival; None for plain requests."""
        with self._lock:
            return [asked for logged, asked in self.log if logged == path]

    def close(self) -> None:
        self._loopback.close()

    def _answer(self, asked: loopback.Exchange) -> None:
        with self._noted(asked) as exchange, contextlib.suppress(OSError):
            self.behaviours.get(asked.path, Exchange.serve)(exchange)

    @contextlib.contextmanager
    def _noted(self, asked: loopback.Exchange) -> Iterator[Exchange]:
        with self._lock:
            self._concurrent += 1
            self.most_concurrent = max(self.most_concurrent, self._concurrent)
            number = sum(1 for path, _ in self.log if path == asked.path)
            self.log.append((asked.path, asked.range))
            self.received_headers.append(dict(asked.headers.items()))
            concurrent = self._concurrent
        try:
            yield Exchange(asked.handler, asked.over, number, concurrent, self.bodies.get(asked.path, b""))
        finally:
            with self._lock:
                self._concurrent -= 1
