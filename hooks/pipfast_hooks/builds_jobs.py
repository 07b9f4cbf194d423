"""Processes of builds that run beside pip: a few at once, with variables of their own, ended with the run."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future


class Ended(Exception):
    """The run is over; nobody waits for this any more."""


class Jobs:
    """Threads for builds, and the processes that they wait for."""

    def __init__(self, at_once: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="pipfast-build")
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def submit(self, function: Callable[[], None]) -> Future[None]:
        """Have a thread call ``function``."""
        return self._threads.submit(function)

    def run(self, command: Sequence[str], cwd: str | None, environ: Mapping[str, str]) -> tuple[int, str]:
        """Run a process to its end; return its status and what it printed.

        :raises Ended: the run is over.
        :raises OSError: it cannot be started.
        """
        # Not a pipe: what a build leaves running would keep it open.
        with tempfile.TemporaryFile() as printed:
            with self._lock:
                if self._closed:
                    raise Ended
                process = subprocess.Popen(
                    command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=printed,
                    stderr=subprocess.STDOUT,
                )
                self._running.add(process)
            try:
                status = process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
            if self._closed:
                raise Ended
            printed.seek(0)
            return status, printed.read().decode("utf-8", "backslashreplace")

    def close(self) -> None:
        """End all that is under way, and wait until it has ended."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()
        self._threads.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Ours:
    """What a thread of ours starts its processes with."""

    jobs: Jobs
    environ: Mapping[str, str]
    """The variables of the run; those of this process are another build's, at times."""


_thread = threading.local()


@contextmanager
def in_thread(jobs: Jobs, environ: Mapping[str, str]) -> Iterator[None]:
    """Let pip's code that runs in this thread know that it is not pip that runs it."""
    _thread.ours = Ours(jobs, environ)
    try:
        yield
    finally:
        _thread.ours = None


def of_thread() -> Ours | None:
    """Return what ``in_thread`` was given in this thread; None in pip's own."""
    return getattr(_thread, "ours", None)
