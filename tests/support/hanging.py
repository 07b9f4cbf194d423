"""Index of large wheels whose plain answers come and whose ranges hang."""

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
        """The names of the wheels that were asked for, each time, as a whole and in parts."""
        self._sent = sent
        self._given_up = threading.Event()
        """A range has been asked for, and its client has gone."""
        super().__init__(self._answer)

    def _answer(self, exchange: Exchange) -> None:
        name = exchange.path.split("/")[2]
        archive = self.files[name]
        if exchange.path.startswith("/simple/"):
            exchange.page(f'<a href="/f/{name}/{archive.filename}#sha256={archive.sha256}">x</a>')
        elif exchange.range is None:
            self.plain.append(name)
            self._send_plain(exchange, archive.data)
        else:
            self.ranged.append(name)
            self._send_part(exchange, archive.data)
            self._given_up.set()

    def _send_plain(self, exchange: Exchange, data: bytes) -> None:
        exchange.head(200, {"Content-Length": str(len(data)), "Accept-Ranges": "bytes", **STRONG})
        at = 0
        while at < len(data) // 2 and not self._given_up.wait(0.01):
            exchange.send(data[at : at + TRICKLE])
            at += TRICKLE
        exchange.send(data[at:])

    def _send_part(self, exchange: Exchange, data: bytes) -> None:
        if self._sent != "nothing":
            start, end = exchange.head_of_part(len(data), STRONG)
            if self._sent == "half":
                exchange.send(data[start : (start + end) // 2])
        exchange.stall()
