"""Server of one large wheel, whose ranges may come from another file."""

from __future__ import annotations

import random
import threading
import zipfile
from email.utils import formatdate
from types import MappingProxyType
from typing import TYPE_CHECKING

from support.loopback import STRONG, Loopback
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.loopback import Exchange
    from support.wheels import Archive

PIECE = 5 << 19
"""Bytes of each of the wheel's four large files: together more than what comes in one stream."""

FRONT = 1 << 20
"""Bytes of a plain answer that are sent before a part has been asked for."""

PATIENCE_S = 30.0
"""Seconds for which a plain answer waits until a part has been read: no machine is as slow as that."""

CHANCE_S = 0.5
"""Seconds for which a plain answer waits where nobody should ask for a part."""

WEAK = MappingProxyType({"ETag": 'W/"one"'})
DATED = MappingProxyType({"Last-Modified": formatdate(1580608922, usegmt=True)})


def large_wheel(seed: int) -> Archive:
    """Return ``demo``: of the same layout with every seed, and of other contents."""
    content = random.Random(seed)
    files = {"demo/__init__.py": f"seed = {seed}\n"}
    return Wheel(
        "demo",
        files={**files, **{f"demo/{number}.bin": content.randbytes(PIECE) for number in range(4)}},
        compression=zipfile.ZIP_STORED,
    ).build()


class Doubtful(Loopback):
    """One wheel; by default as it is, with a strong validator and without a digest."""

    def __init__(
        self,
        archive: Archive,
        *,
        digest: str = "",
        validators: Mapping[str, str] = STRONG,
        part: Callable[[int, int], bytes] | None = None,
        whole: Callable[[int], bytes] | None = None,
        described: bool = True,
        patience: float = PATIENCE_S,
    ) -> None:
        """:param digest: what the page says of the wheel's SHA-256, if anything.

        :param described: whether the wheel's metadata is there by itself.
        :param part: gives the bytes of a range; :param whole: gives the body of the plain answer of that number.

        :param patience: seconds for which a plain answer waits until all parts that were asked for have been read.
        """
        self.archive = archive
        self.asked: list[str | None] = []
        """The ranges that were asked for; None for all of the wheel."""
        self.plain_over = threading.Event()
        """A plain answer has been sent."""
        self.goes_on = threading.Event()
        """Plain answers wait no more: the parts that were asked for have been read."""
        self._fragment = f"#sha256={digest}" if digest else ""
        self._headers = {"Accept-Ranges": "bytes", **validators}
        self._part = part or (lambda start, end: archive.data[start:end])
        self._whole = whole or (lambda number: archive.data)
        self._attributes = ' data-core-metadata="true"' if described else ""
        self._patient = True
        """Whether plain answers wait for somebody to ask for a part."""
        self._patience = patience
        self._reading = 0
        """Parts that were asked for and have not been read to their end."""
        self._lock = threading.Lock()
        super().__init__(self._answer)

    def rewind(self, *, patient: bool) -> None:
        """Begin again."""
        self.asked.clear()
        self.goes_on.clear()
        self.plain_over.clear()
        self._patient = patient

    def close(self) -> None:
        """End it; nobody waits for anything."""
        self.goes_on.set()
        self.plain_over.set()
        super().close()

    def _answer(self, exchange: Exchange) -> None:
        if exchange.path.endswith(".whl"):
            number = self.asked.count(None)
            self.asked.append(exchange.headers["Range"])
            if exchange.range is None:
                self._send_whole(exchange, self._whole(number))
            else:
                self._send_part(exchange)
        elif exchange.path.endswith(".metadata"):
            exchange.answer(200, self.archive.metadata or b"")
        else:
            name = self.archive.filename
            exchange.page(f'<a href="/files/{name}{self._fragment}"{self._attributes}>{name}</a>')

    def _send_part(self, exchange: Exchange) -> None:
        with self._lock:
            self._reading += 1
        try:
            # A client closes such a connection once it has read all: what was sent need not have been read.
            start, end = exchange.head_of_part(len(self.archive.data), {**self._headers, "Connection": "close"})
            exchange.send(self._part(start, end))
            exchange.stall()
        finally:
            with self._lock:
                self._reading -= 1
                if not self._reading:
                    self.goes_on.set()

    def _send_whole(self, exchange: Exchange, body: bytes) -> None:
        exchange.head(200, {"Content-Length": str(len(body)), **self._headers})
        exchange.send(body[:FRONT])
        if self._patient:
            # Else the first stream may be over before another connection has brought anything.
            self.goes_on.wait(self._patience)
        try:
            exchange.send(body[FRONT:])
        finally:
            self.plain_over.set()
