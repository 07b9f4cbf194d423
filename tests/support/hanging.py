"""Indexes of large wheels whose plain answers come, and whose ranges hang."""

from __future__ import annotations

import random
import threading
import zipfile
from typing import TYPE_CHECKING

from support.loopback import STRONG, Loopback
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.loopback import Exchange
    from support.wheels import Archive

SIZE = 9 << 20
"""Bytes of each wheel, more than what comes in one stream."""

TRICKLE = 4096
"""Bytes that a plain answer sends at once while ranges hang."""


class HangingServer(Loopback):
    """Sends plain answers slowly until a range was asked for and given up."""

    def __init__(self, sent: str) -> None:
        """:param sent: what comes of a range before it hangs: ``nothing``, ``headers``, or ``some`` of it, less
        than the half that is left of it when another stream takes the rest.
        """
        self.files: dict[str, Archive] = {
            name: _large(name, requires)
            for name, requires in (("alpha", ["gamma"]), ("beta", []), ("gamma", []))
        }
        self.plain: list[str] = []
        self.ranged: list[str] = []
        """The names of the wheels that were asked for, each time, as a whole and in parts."""
        self._sent = sent
        self._given_up = threading.Event()
        """A range has been asked for, and its client has gone."""
        super().__init__(self._answer)

    def _answer(self, exchange: Exchange) -> None:
        name = exchange.path.split("/")[2]
        archive = self.files[name]
        if exchange.path.startswith("/simple/"):
            exchange.page(_page(archive))
        elif exchange.range is None:
            self.plain.append(name)
            _send_slowly(exchange, archive.data, self._given_up)
        else:
            self.ranged.append(name)
            self._send_part(exchange, archive.data)
            self._given_up.set()

    def _send_part(self, exchange: Exchange, data: bytes) -> None:
        if self._sent != "nothing":
            start, end = exchange.head_of_part(len(data), STRONG)
            if self._sent == "some":
                exchange.send(data[start : (3 * start + end) // 4])
        exchange.stall()


class StallingServer(Loopback):
    """Sends the last range of a wheel; the one before it stalls in its middle, once."""

    def __init__(self) -> None:
        self.archive = _large("alpha", [])
        self.asked: list[tuple[int, int] | None] = []
        self.stalled = (0, 0)
        """The range of which half was sent."""
        self._came = threading.Event()
        self._lock = threading.Lock()
        super().__init__(self._answer)

    def _answer(self, exchange: Exchange) -> None:
        data = self.archive.data
        if exchange.path.startswith("/simple/"):
            exchange.page(_page(self.archive))
            return
        with self._lock:
            self.asked.append(exchange.range)
        if exchange.range is None:
            exchange.head(200, _plain_head(data))
            exchange.send(data[:TRICKLE])
            self._came.wait(5)
            exchange.send(data[TRICKLE:])
            return
        start, end = exchange.head_of_part(len(data), STRONG)
        with self._lock:
            stalls = self.stalled == (0, 0) and end < len(data)
            self.stalled = (start, end) if stalls else self.stalled
        exchange.send(data[start : (start + end) // 2 if stalls else end])
        if stalls:
            exchange.stall()
        elif end == len(data):
            self._came.set()


class TiringServer(Loopback):
    """Sends the first ranges of a wheel, and none of those that come later."""

    def __init__(self, ranges: int) -> None:
        """:param ranges: how many come."""
        self.archive = _large("alpha", [], 4 * SIZE)
        self.plain = 0
        self.again = 0
        """How many were asked for after the first that did not come had been given up."""
        self._left = ranges
        self._given_up = False
        self._lock = threading.Lock()
        self._tried_again = threading.Event()
        """A range has been asked for again and given up: the plain answer, slow until then, goes on."""
        super().__init__(self._answer)

    def _answer(self, exchange: Exchange) -> None:
        data = self.archive.data
        if exchange.path.startswith("/simple/"):
            exchange.page(_page(self.archive))
        elif exchange.range is None:
            self.plain += 1
            _send_slowly(exchange, data, self._tried_again)
        else:
            self._send_part(exchange, data)

    def _send_part(self, exchange: Exchange, data: bytes) -> None:
        start, end = exchange.head_of_part(len(data), STRONG)
        with self._lock:
            self._left -= 1
            comes, again = self._left >= 0, self._given_up
            self.again += again
        if comes:
            exchange.send(data[start:end])
            return
        exchange.stall()
        self._given_up = True
        if again:
            self._tried_again.set()


def _send_slowly(exchange: Exchange, data: bytes, until: threading.Event) -> None:
    exchange.head(200, _plain_head(data))
    at = 0
    while at < len(data) // 2 and not until.wait(0.01):
        exchange.send(data[at : at + TRICKLE])
        at += TRICKLE
    exchange.send(data[at:])


def _large(name: str, requires: list[str], size: int = SIZE) -> Archive:
    data = random.Random(name).randbytes(size)
    return Wheel(
        name, requires=requires, compression=zipfile.ZIP_STORED,
        files={f"{name}/__init__.py": "", f"{name}/data.bin": data},
    ).build()


def _page(archive: Archive) -> str:
    return f'<a href="/f/{archive.project}/{archive.filename}#sha256={archive.sha256}">x</a>'


def _plain_head(data: bytes) -> dict[str, str]:
    return {"Content-Length": str(len(data)), "Accept-Ranges": "bytes", **STRONG}
