"""What the engine asks of whoever can speak HTTP: the caller supplies it, around pip's session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class FailureKind(Enum):
    """What a transport's exception means for the run."""

    BUSY = "busy"
    """429, 503, a reset, a stall, a timeout, a truncated body: fewer connections, try again."""
    FATAL = "fatal"
    """Everything else: this download is over."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A classified exception."""

    kind: FailureKind
    retry_after: float | None = None
    """Seconds the server asked to be left alone; the engine caps them."""


class Response(Protocol):
    """The headers of one answer, and its body as a stream.

    Only the worker that asked reads the body. The engine reads ``chunks()`` to its end where it wants the
    connection to be used again, and calls ``close()`` in any case, also after the end.
    """

    @property
    def status(self) -> int:
        """200, 206 ...; errors have been raised already."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""

    @property
    def url(self) -> str:
        """The address after redirects."""

    @property
    def from_cache(self) -> bool:
        """Whether pip's own HTTP cache answered."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the raw body, undecoded, in pieces of at most 1 MiB (256 KiB is a good size)."""

    def close(self) -> None:
        """End this answer; a read that another thread is blocked in must end too, with any exception."""


class Transport(Protocol):
    """Makes requests. Called in worker threads, several at once.

    It brings its own read timeout: the engine interrupts bodies by ``Response.close``, but not a ``get``
    that still waits for its headers, unless the transport is :class:`Abortable` too.
    """

    def get(self, url: str, headers: Mapping[str, str]) -> Response:
        """Send a GET with ``headers`` besides the usual ones; raise on 4xx, 5xx and connection errors."""

    def classify(self, error: BaseException) -> Failure:
        """Say what an exception of ``get`` or ``chunks`` means."""


@runtime_checkable
class Abortable(Protocol):
    """A transport that can end the requests whose headers have not come yet."""

    def abort(self) -> None:
        """Make every ``get`` under way raise soon; called once, when the pool is closed with work left."""
