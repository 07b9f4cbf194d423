"""The worker processes, and a queue that feeds them."""

from __future__ import annotations

import heapq
import itertools
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast import dependencies
from pipfast.report import logger
from pipfast.system import threads

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = dict[str, Any]

_START = (
    "import sys; sys.path.append({root!r}); from pipfast import dependencies; dependencies.look_in({places!r}); "
    "from pipfast.prepare.worker import main; main()"
)


_TUNABLES = "GLIBC_TUNABLES"
"""The variable that the GNU C library reads its settings from when a program starts; others pass over it."""


class Workers:
    """At most ``count`` worker processes; each is fed by one thread, started when a job finds the others busy.

    Jobs with a smaller ``priority`` come first, equal ones in the order they were put. ``done`` is
    called in the feeding thread with the job's answer, and may put further jobs; ``step`` before that, with each
    answer about a part of the job, for which the worker does not wait.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._queue: list[tuple[int, int, Answer, Callable[[Answer], None], Callable[[Answer], None] | None]] = []
        self._order = itertools.count()
        self._change = threading.Condition()
        self._closed = False
        self._idle = 0
        """Threads that wait for a job."""
        self._threads: list[threading.Thread] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def put(
        self, priority: int, job: Answer, done: Callable[[Answer], None],
        step: Callable[[Answer], None] | None = None,
    ) -> None:
        """Queue a job; after ``close`` its answer comes at once and is a failure.

        :raises RuntimeError: the system has no thread for it.
        """
        with self._change:
            if not self._closed:
                if self._idle <= len(self._queue):
                    self._start_one()
                heapq.heappush(self._queue, (priority, next(self._order), job, done, step))
                self._change.notify()
                return
        done({"ok": False, "reason": "stopped", "storable": True})

    def hasten(self, priority: int, is_meant: Callable[[Answer], bool]) -> None:
        """Give queued jobs another priority."""
        with self._change:
            self._queue = [(priority if is_meant(each[2]) else each[0], *each[1:]) for each in self._queue]
            heapq.heapify(self._queue)

    def close(self) -> None:
        """Stop: queued jobs fail, running ones are ended, every process and thread is waited for."""
        with self._change:
            self._closed = True
            queued, self._queue = self._queue, []
            self._change.notify_all()
        for process in self._processes:
            with suppress(OSError):
                process.kill()
        for *_, done, _ in queued:
            done({"ok": False, "reason": "stopped", "storable": True})
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
                job, done, step = next_one
                answer = self._ask(process, job, step) if process else None
                if answer is None:
                    # A worker that died (out of memory, killed) takes its job with it, no other one.
                    answer = {"ok": False, "reason": "the worker process ended", "storable": True}
                    process = self._respawn(process)
                self._tell(done, answer)
        finally:
            if process is not None:
                _end(process)

    def _next(self) -> tuple[Answer, Callable[[Answer], None], Callable[[Answer], None] | None] | None:
        """Wait for a job; None if there will be none."""
        with self._change:
            while not self._queue and not self._closed:
                self._idle += 1
                self._change.wait()
                self._idle -= 1
            return None if self._closed else heapq.heappop(self._queue)[2:]

    @staticmethod
    def _tell(whom: Callable[[Answer], None], answer: Answer) -> None:
        try:
            whom(answer)
        except Exception:
            logger.debug("pipfast: after a worker's job", exc_info=True)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", _program()],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_variables(),
            )
        except Exception as error:
            # Not OSError alone: jobs would wait for ever for a thread that has ended.
            logger.debug("pipfast: no worker process: %r", error)
            return None
        with self._change:
            self._processes.append(process)
            if self._closed:
                process.kill()
        return process

    def _respawn(self, process: subprocess.Popen[bytes] | None) -> subprocess.Popen[bytes] | None:
        if process is not None:
            _end(process)
        return None if self._closed else self._spawn()

    @classmethod
    def _ask(
        cls, process: subprocess.Popen[bytes], job: Answer, step: Callable[[Answer], None] | None
    ) -> Answer | None:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                answer = json.loads(line)
                if not isinstance(answer, dict):
                    return None
                if not answer.pop("step", False):
                    return answer
                if step is not None:
                    cls._tell(step, answer)
        except (OSError, ValueError):
            pass
        return None


class Inside(Workers):
    """Does the jobs in a thread of this process, which has imported all that they need.

    For the little that a build environment needs a process of its own takes longer to start than to do it.
    """

    def __init__(self) -> None:
        super().__init__(1)

    def _feed(self) -> None:
        from pipfast.prepare.worker import answers

        while (next_one := self._next()) is not None:
            job, done, step = next_one
            for answer in answers(job):
                if answer.pop("step", False):
                    if step is not None:
                        self._tell(step, answer)
                else:
                    self._tell(done, answer)


def _variables() -> dict[str, str]:
    """Return a worker's variables: where there is such a thing, its memory comes in large pages.

    The trees of thousands of sources go through it: a twentieth of the time to compile them went into small pages.
    """
    others = [each for each in os.environ.get(_TUNABLES, "").split(":") if each]
    if any(each.startswith("glibc.malloc.hugetlb=") for each in others):
        return dict(os.environ)
    return {**os.environ, _TUNABLES: ":".join([*others, "glibc.malloc.hugetlb=1"])}


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


def _program() -> str:
    """Return what a worker runs: it sees the standard library, pipfast and what that needs."""
    root = os.fspath(Path(__file__).resolve().parents[2])
    return _START.format(root=root, places=dependencies.places())
