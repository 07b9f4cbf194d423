"""GETs that threads send before pip comes to them, while it resolves."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from threading import get_ident
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipfast.report import asked, logger, timed
from pipfast.system import threads
from pipfast_hooks.guard import guarded
from pipfast_hooks.network.asked import note_answer, streamed
from pipfast_hooks.network.beside import as_pips_first
from pipfast_hooks.output import records
from pipfast_hooks.run import Part, Run
from pipfast_hooks.threads import here

# What sends requests is imported where one is sent: `install` of what is there already sends none.
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from pipfast_hooks.network.early import EarlyRequests

    Then = Callable[[Any], Callable[[], None] | None]
    """Gets a response before pip does, and returns what is left to do after that."""

NEAR_S = 0.01
"""Seconds to a server's first byte below which it is near: then reading the answers takes all the time, and
threads that do so at once only wait for one another."""

SLOW_S = 0.1
"""Seconds after which a request under way no longer makes others wait."""

NEAR_REQUESTS = 2
"""Requests at once to near servers: one on its way while another is dealt with."""


@dataclass(slots=True, eq=False)
class _Job:
    url: str
    headers: dict[str, str]
    then: Then
    asked: dict[str, Any] = field(default_factory=asked)
    response: Any = None
    records: list[logging.LogRecord] = field(default_factory=list)
    started: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    rest: Callable[[], None] | None = None
    """The work left to do with an answer that pip itself got."""


class _Turns:
    """Limits the requests under way at once to those that gain time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._began: dict[int, float] = {}
        self._usual: dict[str, float] = {}
        """Seconds to the first byte of the last few answers, by host and port."""
        self._change = threads.Condition()

    def __enter__(self) -> None:
        with self._change:
            while len(self._began) >= self._limit():
                self._change.wait(SLOW_S)
            self._began[get_ident()] = time.monotonic()

    def __exit__(self, *_: object) -> None:
        with self._change:
            del self._began[get_ident()]
            self._change.notify_all()

    def note(self, host: str, seconds: float) -> None:
        """Note how soon a server has begun to answer."""
        with self._change:
            # A proxy becomes as slow as the server behind it with its next answer.
            self._usual[host] = (3 * self._usual.get(host, seconds) + seconds) / 4
            self._change.notify_all()

    def _limit(self) -> int:
        near = self._usual and max(self._usual.values()) < NEAR_S
        if not near or (self._began and time.monotonic() - min(self._began.values()) > SLOW_S):
            return self._most
        return min(self._most, NEAR_REQUESTS)


class RequestsAhead:
    """The GETs of one resolution; none is sent as long as pip's cache has fresh answers to everything."""

    def __init__(self, run: Run, session: Any, on_wheel: Callable[[Any], None]) -> None:
        """:param on_wheel: called with pip's link of a wheel that pip itself begins to fetch."""
        connections = run.settings.connections
        self.session = session
        self.on_wheel = on_wheel
        self._run = run
        self._early: EarlyRequests
        self._connections = connections
        self._turns = _Turns(connections)
        self._waiting: list[Callable[[], None]] = []
        self.is_active = False
        self.is_over = False
        self._jobs: dict[str, _Job] = {}
        self._asked_by_pip: set[str] = set()
        self._left_to_pip: dict[str, _Job] = {}
        """Requests that pip sends itself, with the work to do on their answers."""
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.RLock()


    def activate(self) -> None:
        """Begin with all that waits: pip's cache lacks an answer, so that a server is asked."""
        from pipfast_hooks.network.early import EarlyRequests

        with self._lock:
            if self.is_active or self.is_over:
                return
            self.is_active = True
            self._early = self._run.lean(Ahead, EarlyRequests)
            self._early.attach(self.session)
            waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def take(self, url: str, headers: Any, *, stream: bool) -> Any:
        """Return the response to a request of pip's, if it was fetched ahead; else pip sends it itself."""
        with self._lock:
            self._asked_by_pip.add(url)
            job = self._jobs.pop(url, None)
            if job is None or job.headers != dict(headers):
                return None
            if not job.started:
                if not stream:
                    self._left_to_pip[url] = job
                return None
        from pipfast_hooks.network.early import is_answer

        if not job.done.is_set():
            with timed("wait", on=url):
                job.done.wait()
        response = job.response
        if response is None or not is_answer(response):
            # pip asks itself, and alone if the company was the reason.
            return None
        if response.status_code == 401:
            return as_pips_first(self.session, response, stream=stream)
        records.replay(job.records)
        return streamed(self.session, response) if stream else response

    def has_come(self, url: str, response: Any) -> None:
        """Use what pip has got to a request of its own that was to be sent ahead."""
        with self._lock:
            job = self._left_to_pip.pop(url, None)
            if job is None or self.is_over or response.status_code != 200:
                return
        with records.held_back([]), guarded("what a page says is not known ahead"):
            rest = job.then(response)
            if rest is not None:
                with self._lock:
                    if self._has_threads():
                        self._queue.put(_Job(url, {}, lambda _: None, rest=rest))

    def is_coming(self, url: str) -> bool:
        """Tell whether ``take`` has, or is going to have, a response to a request of pip's."""
        return url in self._jobs

    def passes(self, url: str) -> None:
        """Note that pip needs no answer to a request any more."""
        with self._lock:
            self._asked_by_pip.add(url)


    def when_active(self, call: Callable[[], None]) -> None:
        """Make a call at once if requests are sent ahead already, else when that begins."""
        with self._lock:
            if not self.is_active:
                self._waiting.append(call)
                return
        call()

    def begin(self, url: str, headers: Mapping[str, str], then: Then) -> None:
        """Send a GET in one of the threads, unless pip has asked for it already."""
        with self._lock:
            if self.is_over or not self.is_active or url in self._jobs or url in self._asked_by_pip:
                return
            if self._has_threads():
                job = self._jobs[url] = _Job(url, dict(headers), then)
                self._queue.put(job)

    def stop(self, wait_s: float = 0.0) -> None:
        """Fetch nothing more ahead; wait at most that many seconds for what is under way."""
        with self._lock:
            if not self.is_over:
                for _ in self._threads:
                    self._queue.put(None)
            self.is_over = True
            self.is_active = False
            # pip waits for a request under way, and sends it itself only if it fails.
            self._jobs = {url: job for url, job in self._jobs.items() if job.started}
        threads.join(self._threads, wait_s)


    def _has_threads(self) -> bool:
        """Start one more thread, if that is allowed; tell whether there is any."""
        if len(self._threads) < self._connections:
            thread = threads.start(self._work, "pipfast-ahead")
            if thread is not None:
                self._threads.append(thread)
        return bool(self._threads)

    def _work(self) -> None:
        here.ours = True
        while (job := self._queue.get()) is not None:
            if job.rest is None:
                with self._turns:
                    self._do(job)
            else:
                with records.held_back([]), guarded("what follows from a page is not known ahead"):
                    job.rest()

    def _do(self, job: _Job) -> None:
        from pipfast.fetch.turns import LeftToPip, Turn
        from pipfast_hooks.network.early import is_answer

        def begin() -> None:
            with self._lock:
                if self._jobs.get(job.url) is not job:
                    # pip was sooner, or no longer needs it.
                    raise LeftToPip(job.url)
                job.started = True

        rest, facts = None, dict[str, Any]()
        try:
            with self._lock:
                if self._jobs.get(job.url) is not job:
                    return
            with timed("request", key=job.url, **job.asked) as facts, records.held_back(job.records):
                # An answer of pip's cache needs no turn.
                response = self._early.get(self.session, job.url, job.headers, Turn(early=True, began=begin))
                job.started = True
                note_answer(facts, response)
                if not getattr(response, "from_cache", False):
                    self._turns.note(urlsplit(job.url).netloc, response.elapsed.total_seconds())
                if response.status_code != 401 and is_answer(response):
                    with guarded("what a page says is not known ahead"):
                        rest = job.then(response)
                job.response = response
        except Exception as error:
            logger.debug("pipfast: left to pip after %r", error)
            # pip sends it then, and what fails there fails.
            facts.update(failed=False, how="left to pip")
        finally:
            job.done.set()
        if rest is not None:
            with records.held_back([]), guarded("what follows from a page is not known ahead"):
                rest()


class Ahead(Part):
    """The requests that are sent ahead of pip's, while it resolves."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._none = RequestsAhead(run, None, lambda _: None)
        self._none.stop()
        self.requests = self._none
        """Those of the resolution under way; a null form, which sends none, where there is no resolution."""

    def of(self, session: Any) -> RequestsAhead:
        """Return the requests of a session of pip's: none unless that is the one that its resolver uses now."""
        return self.requests if self.requests.session is session else self._none

    def begin(self, session: Any, on_wheel: Callable[[Any], None]) -> RequestsAhead:
        """Let requests be sent ahead through a session until ``end``."""
        self.requests = RequestsAhead(self.run, session, on_wheel)
        return self.requests

    def stop(self) -> None:
        """Send nothing more; pip was interrupted."""
        self.requests.stop()

    def close(self, wait_s: float) -> None:
        """Wait for what is under way."""
        requests, self.requests = self.requests, self._none
        requests.stop(wait_s)
