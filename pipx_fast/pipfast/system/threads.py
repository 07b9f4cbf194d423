"""Threads, with a way out where the system refuses one."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipfast.report import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_T = TypeVar("_T")

REFUSED = (RuntimeError, MemoryError)
"""What ``Thread.start`` raises where a limit is reached, e.g. `RuntimeError: can't start new thread`."""


class Condition(threading.Condition):
    """A condition whose lock a Ctrl-C cannot leave taken, as it can ``threading.Condition``'s.

    That one's ``__enter__`` is Python code: KeyboardInterrupt may come after its first call, which takes the lock.
    Here ``with`` calls the lock's own methods, and nothing comes between.
    """

    __enter__ = property(lambda self: self._lock.__enter__)
    __exit__ = property(lambda self: self._lock.__exit__)


def start(function: Callable[[], object], name: str) -> threading.Thread | None:
    """Start a daemon thread, or return None if the system allows no more after it: pip's bars need one."""
    may_begin: SimpleQueue[bool] = SimpleQueue()
    thread = threading.Thread(target=lambda: may_begin.get() and function(), name=name, daemon=True)
    try:
        thread.start()
    except REFUSED as error:
        logger.debug("pipfast: no thread for %s: %s", name, error)
        return None
    try:
        threading.Thread(target=int, name="pipfast-spare", daemon=True).start()
    except REFUSED as error:
        logger.debug("pipfast: no thread for %s beside pip's: %s", name, error)
        may_begin.put(False)
        thread.join()
        return None
    may_begin.put(True)
    return thread


def join(threads: Iterable[threading.Thread], wait_s: float) -> None:
    """Wait for threads other than this one, at most ``wait_s`` seconds in all."""
    deadline = time.monotonic() + wait_s
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))


class Task(Future[_T], Generic[_T]):
    """A call on its way. Without threads, whoever asks for the result makes the call."""

    def __init__(self, call: Callable[[], _T], is_served: Callable[[], bool]) -> None:
        super().__init__()
        self._call = call
        self._is_served = is_served
        self._begun = threading.Lock()

    def run(self) -> None:
        """Make the call, unless it has begun."""
        if not self._begun.acquire(blocking=False) or not self.set_running_or_notify_cancel():
            return
        try:
            self.set_result(self._call())
        except BaseException as error:
            self.set_exception(error)

    def result(self, timeout: float | None = None) -> _T:
        """Return the call's result, or raise its exception."""
        if not self._is_served():
            self.run()
        return super().result(timeout)


class Pool:
    """At most ``count`` threads for calls; one is started when a call finds the others busy."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._change = Condition()
        self._queue: deque[Task[Any]] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def submit(self, call: Callable[[], _T]) -> Task[_T]:
        """Queue a call; returns at once. Raises RuntimeError: the pool is closed."""
        task: Task[_T] = Task(call, self._is_served)
        with self._change:
            if self._closed:
                raise RuntimeError(f"the threads of {self._name} have ended")
            if self._idle <= len(self._queue) and len(self._threads) < self._count:
                thread = start(self._work, f"{self._name}-{len(self._threads)}")
                if thread is not None:
                    self._threads.append(thread)
            self._queue.append(task)
            self._change.notify()
        return task

    def close(self, wait_s: float) -> None:
        """Cancel the calls that have not begun; wait at most ``wait_s`` seconds for those that have."""
        with self._change:
            self._closed = True
            queued = list(self._queue)
            self._queue.clear()
            self._change.notify_all()
        for task in queued:
            task.cancel()
        join(self._threads, wait_s)

    def _is_served(self) -> bool:
        return bool(self._threads)

    def _work(self) -> None:
        while (task := self._next()) is not None:
            task.run()
            # The task may hold much memory, and the next one may come late.
            del task

    def _next(self) -> Task[Any] | None:
        with self._change:
            self._idle += 1
            try:
                self._change.wait_for(lambda: self._queue or self._closed)
            finally:
                self._idle -= 1
            return self._queue.popleft() if self._queue else None
