"""Interface of HTTP for downloads; the caller implements it with pip's session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Response(Protocol):
    """The headers of one answer, and its body, which the worker that asked reads; it also calls ``close``."""

    @property
    def status(self) -> int:
        """200, 206 ...; for errors ``get`` has raised."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, case-insensitive."""

    @property
    def from_cache(self) -> bool:
        """Whether pip's own HTTP cache answered."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, undecoded, in pieces of at most 1 MiB (256 KiB is a good size)."""

    def close(self) -> None:
        """End this answer; a read that blocks in another thread must end, too, with any exception."""


class Transport(Protocol):
    """Makes requests, several at once in worker threads.

    It has a read timeout of its own: ``Response.close`` interrupts a body, but no ``get`` that waits for headers.
    """

    def get(self, url: str, headers: Mapping[str, str]) -> Response:
        """Send a GET with ``headers`` besides the usual ones; raise on 4xx, 5xx and connection errors."""

    def is_busy(self, error: BaseException) -> bool:
        """Tell whether an exception of ``get`` or ``chunks`` is a reset, a stall, a timeout or a truncated body.

        Then fewer connections may help, and another try; after any other one the download is over.
        """
