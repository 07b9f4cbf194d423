"""The handle of one download: what its caller can wait for, watch and get."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipfast.address import shown
from pipfast.fetch.file.hashing import known_algorithms
from pipfast.fetch.limiter import RetryBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pipfast.fetch.file.assembly import Assembly
    from pipfast.fetch.transport import Response

logger = logging.getLogger(__name__)

PROGRESS_INTERVAL_S = 0.05
"""Seconds between two looks at the progress: as often as a display can use, not once per chunk."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that has arrived whole."""

    path: Path
    sha256: str
    size: int
    digests: Mapping[str, str]
    """Hex digests by algorithm: SHA-256, and those that were expected."""
    headers: Mapping[str, str]
    from_cache: bool
    matches: bool | None
    """Whether all expected digests are right; None when none was given that could be computed."""


class Download:
    """A file on its way. Every public method may be called from any thread."""

    def __init__(
        self,
        url: str,
        directory: Path,
        name: Callable[[Response], str],
        expected: Mapping[str, str],
        lock: threading.Lock,
    ) -> None:
        self.url = url
        self.size: int | None = None
        """Bytes in all, once a server has said so."""
        self.arrived = 0
        """Bytes so far; never goes back."""
        self.began: float | None = None
        """When the first answer came, in seconds of a monotonic clock."""
        self.ended: float | None = None
        self.directory = directory
        self.expected = {algorithm.lower(): digest.lower() for algorithm, digest in expected.items()}
        self.has_digest = any(name in known_algorithms([name]) for name in self.expected)
        """Whether one of the expected digests can be computed here, and so tells in the end."""
        self.state = JobState(name, urlsplit(url).netloc)
        self._lock = lock
        self._changed = threading.Condition(lock)
        self._first: Response | None = None
        self._fetched: Fetched | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Download], None]] | None = []
        self._called_back_by: int | None = None

    def first_response(self) -> Response:
        """Wait for the headers; the body is not the caller's to read.

        :raises BaseException: what the transport raised, if it never got any.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._first is not None or self.finished)
            if self._first is None:
                raise self._failure()
            return self._first

    def received(self) -> Iterator[int]:
        """Yield how many bytes have arrived since the last time, until all have: they add up to the size.

        :raises BaseException: what the download failed with.
        """
        seen = 0
        while True:
            with self._changed:
                finished = self._changed.wait_for(self._settled, PROGRESS_INTERVAL_S)
                arrived = self.arrived
                if finished and self._fetched is None:
                    raise self._failure()
            if arrived > seen:
                yield arrived - seen
                seen = arrived
            if finished:
                return

    def result(self) -> Fetched:
        """Wait for the end, and until the callbacks have run.

        :raises BaseException: the transport's exception, a local error, or ``DownloadCancelled``.
        """
        with self._changed:
            self._changed.wait_for(self._settled)
            if self._fetched is None:
                raise self._failure()
            return self._fetched

    def add_done_callback(self, callback: Callable[[Download], None]) -> None:
        """Have ``callback`` called in the worker thread once the file is whole and hashed.

        It is called at once, here, if that has happened already, and never if the download fails. It finds
        the result in ``fetched``. ``result()`` returns to others after it, so a callback may move the file;
        it holds up a worker thread, so it should hand on anything long. What it raises is logged, no more.
        """
        with self._lock:
            if self._callbacks is not None:
                self._callbacks.append(callback)
                return
        self._call(callback)

    @property
    def finished(self) -> bool:
        """Whether there is a result or an error."""
        return self._fetched is not None or self._error is not None

    @property
    def fetched(self) -> Fetched | None:
        """The result, if it is there by now."""
        return self._fetched

    def times(self) -> tuple[float, float] | None:
        """Return when bytes began to come and when the last one was here; None before that."""
        return (self.began, self.ended) if self.began is not None and self.ended is not None else None

    def _settled(self) -> bool:
        """Whether waiting is over: for callbacks when the file is there, for others after the callbacks."""
        if self._fetched is not None:
            return self._callbacks is None or self._called_back_by == threading.get_ident()
        return self._error is not None

    # What follows is for the scheduler, which holds the lock, and for workers.

    def announce(self, response: Response, size: int | None) -> None:
        """Publish the first answer's headers."""
        if self._first is None:
            self._first = response
            self.began = time.monotonic()
        self.size = size
        self._changed.notify_all()

    def settle(self, fetched: Fetched | None, error: BaseException | None) -> None:
        """Publish the end, once."""
        if self.finished:
            return
        self._fetched, self._error = fetched, error
        self.ended = time.monotonic()
        if fetched is not None:
            self.size = self.arrived = fetched.size
        self._changed.notify_all()

    def call_back(self) -> None:
        """Call the callbacks; by the worker that finished the file, without the lock."""
        self._called_back_by = threading.get_ident()
        while True:
            with self._lock:
                if not self._callbacks:
                    self._callbacks = None
                    self._called_back_by = None
                    self._changed.notify_all()
                    return
                callback = self._callbacks.pop(0)
            with suppress(BaseException):  # whatever happens, those who wait for the result get it
                self._call(callback)

    def _call(self, callback: Callable[[Download], None]) -> None:
        try:
            callback(self)
        except Exception:  # a download does not fail for what is made of it
            logger.debug("a callback of the download of %s failed", shown(self.url), exc_info=True)

    def _failure(self) -> BaseException:
        assert self._error is not None
        return self._error


class JobState:
    """Where a download stands; guarded by the scheduler's lock."""

    __slots__ = (
        "assembly",
        "budget",
        "host",
        "name",
        "not_before",
        "ranges_allowed",
        "resolved_name",
        "running",
    )

    def __init__(self, name: Callable[[Response], str], host: str) -> None:
        self.name = name
        self.host = host
        self.resolved_name: str | None = None
        self.assembly: Assembly | None = None
        self.running = 0
        self.budget = RetryBudget()
        self.not_before = float("-inf")
        self.ranges_allowed = True
