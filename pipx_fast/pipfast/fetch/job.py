"""One download: progress, result and callbacks for its caller."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipfast import report
from pipfast.address import shown
from pipfast.fetch.file.hashing import known_algorithms
from pipfast.fetch.limiter import RetryBudget
from pipfast.report import asked, logger
from pipfast.system import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pipfast.fetch.file.assembly import Assembly
    from pipfast.fetch.transport import Response
    from pipfast.timeline.events import Recorder

PROGRESS_INTERVAL_S = 0.05
"""Seconds between two looks at the progress; chunks come more often, and a display needs no more."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that has arrived whole."""

    path: Path
    sha256: str
    size: int
    digests: Mapping[str, str]
    from_cache: bool
    matches: bool | None
    """Whether all expected digests are right; None if none of them could be computed."""


class Download:
    """A file on its way. Every public method may be called from any thread."""

    def __init__(
        self, url: str, directory: Path, name: Callable[[Response], str], expected: Mapping[str, str],
        lock: threading.Lock,
    ) -> None:
        self.url = url
        self.size: int | None = None
        self.arrived = 0
        """Bytes so far; it never decreases."""
        self.began: float | None = None
        """When the first answer came, in seconds of a monotonic clock."""
        self.ended: float | None = None
        self.started: float | None = None
        """When a connection was free for it."""
        self._asked = asked()
        self.directory = directory
        self.expected = {algorithm.lower(): digest.lower() for algorithm, digest in expected.items()}
        self.has_digest = any(name in known_algorithms([name]) for name in self.expected)
        self.state = JobState(name, urlsplit(url).netloc)
        self._lock = lock
        self._changed = threads.Condition(lock)
        self._first: Response | None = None
        self.fetched: Fetched | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Download], None]] | None = []
        self._called_back_by: int | None = None

    def first_response(self) -> Response:
        """Wait for the first answer, whose body the caller must not read; raises the transport's exception."""
        with self._changed:
            self._changed.wait_for(lambda: self._first is not None or self.finished)
            if self._first is None:
                raise self._failure()
            return self._first

    def received(self) -> Iterator[int]:
        """Yield the bytes since the last time, which add up to the size; raises the download's error."""
        seen = 0
        while True:
            with self._changed:
                finished = self._changed.wait_for(self._settled, PROGRESS_INTERVAL_S)
                arrived = self.arrived
                if finished and self.fetched is None:
                    raise self._failure()
            if arrived > seen:
                yield arrived - seen
                seen = arrived
            if finished:
                return

    def result(self) -> Fetched:
        """Wait until the file is whole and the callbacks have run; raises its error, or ``DownloadCancelled``."""
        with self._changed:
            self._changed.wait_for(self._settled)
            if self.fetched is None:
                raise self._failure()
            return self.fetched

    def add_done_callback(self, callback: Callable[[Download], None]) -> None:
        """Call ``callback`` in the worker thread once the file is whole and hashed.

        If it is whole already, ``callback`` is called here; if the download fails, never. ``fetched`` has the
        result. ``result()`` returns to others afterwards, so a callback may move the file. It should be short, for
        it holds up a worker. Its exceptions are logged.
        """
        with self._lock:
            if self._callbacks is not None:
                self._callbacks.append(callback)
                return
        self._call(callback)

    @property
    def finished(self) -> bool:
        """Whether there is a result or an error."""
        return self.fetched is not None or self._error is not None

    @property
    def origin(self) -> str | None:
        """Where the first answer came from: ``pip``, which is pip's cache, or ``network``; None before that."""
        return None if self._first is None else "pip" if self._first.from_cache else "network"

    def times(self) -> tuple[float, float] | None:
        """Return when the first answer and the last byte came; None before that."""
        return (self.began, self.ended) if self.began is not None and self.ended is not None else None

    def _settled(self) -> bool:
        """Whether waiting is over: for callbacks once the file is whole, for others after the callbacks."""
        if self.fetched is not None:
            return self._callbacks is None or self._called_back_by == threading.get_ident()
        return self._error is not None

    # For workers; the first two are called with the board's lock held.

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
        self.fetched, self._error = fetched, error
        self.ended = time.monotonic()
        if fetched is not None:
            self.size = self.arrived = fetched.size
        if report.recorder is not None:
            self._note(report.recorder)
        self._changed.notify_all()

    def _note(self, recorder: Recorder) -> None:
        facts: dict[str, Any] = {**self._asked, "key": self.url, "bytes": self.arrived}
        if self.fetched is None:
            facts["failed"] = True
        else:
            facts.update(digest=self.fetched.sha256, cache=self.origin)
        if self.started is not None:
            recorder.note("download", self.started, facts, self.ended)

    def call_back(self) -> None:
        """Call the callbacks in the worker that finished the file, without the lock."""
        self._called_back_by = threading.get_ident()
        while True:
            with self._lock:
                if not self._callbacks:
                    self._callbacks = None
                    self._called_back_by = None
                    self._changed.notify_all()
                    return
                callback = self._callbacks.pop(0)
            with suppress(BaseException):  # others wait for the result, whatever a callback does
                self._call(callback)

    def _call(self, callback: Callable[[Download], None]) -> None:
        try:
            callback(self)
        except Exception:  # the download itself is fine
            logger.debug("a callback of the download of %s failed", shown(self.url), exc_info=True)

    def _failure(self) -> BaseException:
        assert self._error is not None
        return self._error


@dataclass(slots=True, eq=False)
class JobState:
    """The state of a download; the board's lock guards it."""

    name: Callable[[Response], str]
    host: str
    resolved_name: str | None = None
    assembly: Assembly | None = None
    running: int = 0
    budget: RetryBudget = field(default_factory=RetryBudget)
    not_before: float = float("-inf")
    ranges_allowed: bool = True
