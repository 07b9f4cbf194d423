"""Transport without a network: answers are functions, sent when a test says so."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(slots=True, eq=False)
class FakeResponse:
    """An answer made of pieces; a piece may be an exception, or an event to wait for."""

    pieces: list[bytes | Exception | threading.Event]
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    url: str = "fake:"
    from_cache: bool = False
    closed: threading.Event = field(default_factory=threading.Event)

    def chunks(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, threading.Event):
                assert piece.wait(20)
            elif isinstance(piece, Exception):
                raise piece
            else:
                yield piece

    def close(self) -> None:
        self.closed.set()


def whole(body: bytes, **headers: str) -> FakeResponse:
    """An answer with its length; underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return FakeResponse([body], {"Content-Length": str(len(body)), **named})


class BusyError(Exception):
    """Classified as busy."""


class FakeTransport:
    """Answers each request by calling ``answer(url, headers)``."""

    def __init__(self, answer: Callable[[str, Mapping[str, str]], FakeResponse]) -> None:
        self.answer = answer
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.threads: list[str] = []
        self._lock = threading.Lock()

    def get(self, url: str, headers: Mapping[str, str]) -> FakeResponse:
        with self._lock:
            self.requests.append((url, dict(headers)))
            self.threads.append(threading.current_thread().name)
        return self.answer(url, headers)

    def is_busy(self, error: BaseException) -> bool:
        return isinstance(error, BusyError)
