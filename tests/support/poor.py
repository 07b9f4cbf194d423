"""Small index that bears little: each answer comes some time after its request."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from typing import TYPE_CHECKING

from support.loopback import Loopback
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from email.message import Message

    from support.loopback import Exchange
    from support.wheels import Archive

NAMES = ("alpha", "beta", "gamma", "delta")

ANSWER_S = 0.02
"""Seconds from a request to its answer: time for a second request to come."""


def kind_of(path: str) -> str:
    """Return whether an address is a page's, a metadata file's or an archive's."""
    if path.startswith("/simple/"):
        return "page"
    return "metadata" if path.endswith(".metadata") else "archive"


class PoorServer(Loopback):
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

        :param manner: a status, ``reset`` or ``stall``.
        :param instead: gives a status and headers to be sent instead of the usual answer.
        :param serial: an archive is sent when the one before it is over; :param names: what ``top`` requires.
        """
        archives = [Wheel("top", requires=names).build(), *(Wheel(name).build() for name in names)]
        self.files: dict[str, Archive] = {archive.filename: archive for archive in archives}
        self.asked: list[str] = []
        self.refused = 0
        self._kind, self._manner, self._instead = kind, manner, instead
        self._sending = threading.Lock() if serial else contextlib.nullcontext()
        self._lock = threading.Lock()
        self._under_way = 0
        super().__init__(self._serve, threads=threads)

    def _serve(self, exchange: Exchange) -> None:
        kind = kind_of(exchange.path)
        with self._lock:
            refuse = bool(self._kind) and self._kind in (kind, "any") and self._under_way > 0
            self._under_way += 1
            self.asked.append(exchange.path)
            self.refused += refuse
        told = None
        if not refuse:
            self.over.wait(ANSWER_S)
            told = self._instead(exchange.path, exchange.headers)
        with self._sending if kind == "archive" and not refuse else contextlib.nullcontext():
            # Before the answer: who has read that may ask for more, over another connection, before this thread
            # has gone on, and has one under way.
            with self._lock:
                self._under_way -= 1
            if refuse:
                self._refuse(exchange)
            elif told is None:
                _answer(exchange, *self._found(exchange.path))
            else:
                _answer(exchange, told[0], b"as told", told[1])

    def _refuse(self, exchange: Exchange) -> None:
        if self._manner == "reset":
            exchange.reset()
        elif self._manner == "stall":
            exchange.stall()
        else:
            _answer(exchange, int(self._manner), b"not now")

    def _found(self, path: str) -> tuple[int, bytes]:
        """Return the status and the body for an address."""
        if path.startswith("/simple/"):
            links = [_link(each) for each in self.files.values() if each.project == path.split("/")[2]]
            return (200, "\n".join(links).encode()) if links else (404, b"")
        name = path.rpartition("/")[2]
        archive = self.files.get(name.removesuffix(".metadata"))
        if archive is None:
            return 404, b""
        return 200, (archive.metadata or b"") if name.endswith(".metadata") else archive.data


def _answer(exchange: Exchange, status: int, body: bytes, more: Mapping[str, str] | None = None) -> None:
    headers = dict(more or {})
    if exchange.path.startswith("/simple/"):
        headers["Content-Type"] = "text/html"
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="x"'
    exchange.answer(status, body, headers)


def _link(archive: Archive) -> str:
    digest = f'"sha256={hashlib.sha256(archive.metadata or b"").hexdigest()}"'
    return (
        f'<a href="/f/{archive.filename}#sha256={archive.sha256}" data-core-metadata={digest} '
        f'data-dist-info-metadata={digest}>{archive.filename}</a>'
    )
