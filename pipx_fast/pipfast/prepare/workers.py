"""The worker processes, and a queue that feeds them."""

from __future__ import annotations

import heapq
import itertools
import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pipfast import report
from pipfast.prepare.jobs import (
    Answer,
    Arranged,
    Checked,
    Failed,
    Job,
    Note,
    Priority,
    Spans,
    Terms,
    decode,
    encode,
)
from pipfast.report import asked, logger
from pipfast.system import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager


START = """\
import sys
try:
    import _signal
    _signal.pthread_sigmask(_signal.SIG_BLOCK, {{_signal.SIGTERM}})
except (ImportError, AttributeError):
    pass
sys.path.append({root!r})
from pipfast.prepare.worker import main
main()
"""
"""Ended while it imports, it would leave half of a .pyc beside the modules: ``main`` lets the signal in."""

BEGIN_S = 0.5
"""Seconds for a worker to import what it needs: a tenth is usual."""

T = TypeVar("T")

_STOPPED = Failed("stopped")

_TUNABLES = "GLIBC_TUNABLES"
"""The variable from which the GNU C library reads its settings when a program starts; other systems ignore it."""


class _Queued(NamedTuple):
    priority: Priority
    order: int
    job: Job
    done: Callable[[Answer], None]
    step: Callable[[Note], None] | None
    asked: dict[str, Any]
    """When and by whom, if events are noted."""


class Workers:
    """At most ``count`` worker processes; each is fed by one thread, started when a job finds the others busy.

    Jobs with a smaller priority come first, equal ones in the order in which they were put. ``done`` is called in
    the feeding thread with the job's answer, and may put further jobs; before that ``step`` is called with each
    note about a part of the job, and the worker goes on meanwhile.
    """

    def __init__(
        self, count: int, terms: Terms, apart: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        """:param apart: context in which processes are started and ended: they have no part in an answer."""
        self.count = count
        self.terms = terms
        self._apart = apart
        self._queue: list[_Queued] = []
        self._order = itertools.count()
        self._change = threads.Condition()
        self.is_closed = False
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def put(
        self, priority: Priority, job: Job, done: Callable[[Answer], None],
        step: Callable[[Note], None] | None = None,
    ) -> None:
        """Queue a job; after ``close`` it fails at once. RuntimeError: there is no thread for it."""
        with self._change:
            if not self.is_closed:
                if self._idle <= len(self._queue):
                    self._start_one()
                heapq.heappush(self._queue, _Queued(priority, next(self._order), job, done, step, asked()))
                self._change.notify()
                return
        done(_STOPPED)

    def hasten(self, priority: Priority, is_meant: Callable[[Job], bool]) -> None:
        """Give some of the queued jobs another priority."""
        with self._change:
            self._queue = [
                each._replace(priority=priority) if is_meant(each.job) else each for each in self._queue
            ]
            heapq.heapify(self._queue)

    def close(self) -> None:
        """Stop: queued jobs fail, running ones are ended, every process and thread is waited for."""
        with self._change:
            self.is_closed = True
            queued, self._queue = self._queue, []
            self._change.notify_all()
        with self._apart():
            _end_all(self._processes)
        for each in queued:
            each.done(_STOPPED)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _start_one(self) -> None:
        if len(self._threads) >= self.count:
            return
        thread = threads.start(self._feed, f"pipfast-worker-{len(self._threads)}")
        if thread is not None:
            self._threads.append(thread)
        elif not self._threads:
            raise RuntimeError("there is no thread for a worker")

    def _feed(self) -> None:
        process: subprocess.Popen[bytes] | None = None
        try:
            process = self._spawn()
            while (next_one := self._next()) is not None:
                answer = self._ask(process, next_one) if process else None
                if answer is None:
                    # A worker that died (out of memory, killed) loses this job and no other one.
                    answer = Failed("the worker process ended")
                    if process is not None:
                        with self._apart():
                            _end(process)
                    process = None if self.is_closed else self._spawn()
                self._tell(next_one.done, answer)
        finally:
            if process is not None:
                with self._apart():
                    _end(process)

    def _next(self) -> _Queued | None:
        with self._change:
            while not self._queue and not self.is_closed:
                self._idle += 1
                self._change.wait()
                self._idle -= 1
            return None if self.is_closed else heapq.heappop(self._queue)

    @staticmethod
    def _tell(whom: Callable[[T], None], answer: T) -> None:
        try:
            whom(answer)
        except Exception:
            logger.debug("pipfast: after a worker's job", exc_info=True)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        try:
            # It imports the standard library and pipfast only.
            command = [sys.executable, "-I", "-S", "-X", "utf8", "-c",
                       START.format(root=os.fspath(Path(__file__).resolve().parents[2]))]
            with self._apart():
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    env=_variables(),
                )
            assert process.stdin is not None
            process.stdin.write(encode(self.terms))
        except Exception as error:
            # Not OSError alone: jobs would wait for ever if this thread ended.
            logger.debug("pipfast: no worker process: %r", error)
            return None
        with self._change:
            self._processes.append(process)
            if self.is_closed:
                process.terminate()
        return process

    @classmethod
    def _ask(cls, process: subprocess.Popen[bytes], queued: _Queued) -> Answer | None:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(encode(queued.job))
            process.stdin.flush()
            asked_for: dict[str, Any] | None = queued.asked
            for line in process.stdout:
                answer: Answer | Note = decode(line)
                if isinstance(answer, Spans):
                    if report.recorder is not None:
                        report.recorder.take_in(process.pid, answer.told, asked_for)
                        asked_for = None
                    continue
                if not isinstance(answer, Arranged | Checked):
                    return answer
                if queued.step is not None:
                    cls._tell(queued.step, answer)
        except (OSError, ValueError, TypeError, LookupError):
            pass
        return None


class Inside(Workers):
    """Does the jobs in a thread of this process, which has imported all modules that they need.

    A build environment needs so little that starting a process would take longer than the work.
    """

    def _feed(self) -> None:
        from pipfast.prepare.worker import Worker

        worker = Worker(self.terms)
        while (next_one := self._next()) is not None:
            for answer in worker.answers(next_one.job):
                # It notes its events itself: there are no Spans.
                if not isinstance(answer, Arranged | Checked | Spans):
                    self._tell(next_one.done, answer)
                elif next_one.step is not None:
                    self._tell(next_one.step, answer)


def _variables() -> dict[str, str]:
    """Return a worker's variables, which let it use large pages of memory where the system has them.

    Small pages took a twentieth of the time to compile thousands of sources.
    """
    others = [each for each in os.environ.get(_TUNABLES, "").split(":") if each]
    if any(each.startswith("glibc.malloc.hugetlb=") for each in others):
        return dict(os.environ)
    return {**os.environ, _TUNABLES: ":".join([*others, "glibc.malloc.hugetlb=1"])}


def _end_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End processes, one that is beginning once it has begun; nobody is waited for longer than that takes."""
    for process in processes:
        with suppress(OSError):
            process.terminate()
    limit = time.monotonic() + BEGIN_S
    for process in processes:
        try:
            process.wait(max(0.0, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            # Somebody has stopped it, for one.
            with suppress(OSError):
                process.kill()


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
