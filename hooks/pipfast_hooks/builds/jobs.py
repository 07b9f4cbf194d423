"""Threads and processes of builds that run beside pip."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipfast.system import threads
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pipfast_hooks.builds.guard import Guard

_END_S = 2.0
"""Seconds for a process to end."""


class Ended(Exception):
    """The run is over; nobody waits for this any more."""


class _Turns:
    """At most so many turns at once; a turn is entered, and left."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._taken = 0
        self._is_paused = False
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_paused and self._taken < self._at_once)
            self._taken += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._taken -= 1
            self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody have a turn during the block."""
        with self._changed:
            self._is_paused = True
            self._changed.wait_for(lambda: not self._taken)
        try:
            yield
        finally:
            with self._changed:
                self._is_paused = False
                self._changed.notify_all()


class Jobs:
    """Threads for builds, and the processes that they wait for, of which so many run at once."""

    def __init__(self, guard: Guard, at_once: int) -> None:
        self._guard = guard
        # Some wait for one another: for what both need to be installed for the first of them.
        self._threads = threads.Pool(2 * at_once, "pipfast-build")
        self._turns = _Turns(at_once)
        self._lock = threading.Lock()
        self._running: dict[subprocess.Popen[bytes], Callable[[], None]] = {}
        """What ends each of them."""
        self._more: list[threading.Thread] = []
        self._closed = False

    def submit(self, function: Callable[[], None]) -> None:
        """Have a thread call ``function`` when it is its turn; nobody does where there is no thread."""
        self._threads.submit(function)

    def start(self, function: Callable[[], None]) -> bool:
        """Have a thread of its own call ``function``, now; its processes wait for no turn.

        :returns: False where there is no thread, and nothing is called.
        """
        with self._lock:
            thread = None if self._closed else threads.start(function, "pipfast-build")
            if thread is not None:
                self._more.append(thread)
            return thread is not None

    @contextmanager
    def started(
        self, command: Sequence[str], ending: Callable[[], None] | None = None, **options: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a process without input or terminal, and wait for it at the block's end.

        It ends with the run at the latest, however that ends, and with it all that it has started: it has a
        session of its own, and that a guard. Ctrl-C does not reach it there, but ends the run.

        :param ending: ends it, and all that it has started; by default its process group is killed.

        :raises Ended: the run is over, also at the block's end.
        :raises OSError: it cannot be started.
        """
        with self._lock:
            if self._closed:
                raise Ended
            self._guard.begin()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True, **options
            )
            self._running[process] = ending or functools.partial(os.killpg, process.pid, signal.SIGKILL)
        try:
            with self._guard.over(process.pid):
                try:
                    yield process
                finally:
                    if self._closed:
                        _end(process)
                    process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            with self._lock:
                del self._running[process]
        if self._closed:
            raise Ended

    def run(
        self, command: Sequence[str], cwd: str | None, environ: Mapping[str, str], output: str | None = None
    ) -> tuple[int, str]:
        """Run a process to its end, in a turn of the caller's; return its status and what it printed.

        :param output: a file to print into, made anew; one without a name otherwise.
        :raises Ended: the run is over.
        :raises OSError: it cannot be started.
        """
        # Not a pipe: what a build leaves running would keep it open.
        with tempfile.TemporaryFile() if output is None else open(output, "w+b") as printed:
            with self.started(command, cwd=cwd, env=environ, stdout=printed) as process:
                status = process.wait()
            printed.seek(0)
            return status, text_of(printed.read())

    def turn(self, *, urgent: bool) -> contextlib.AbstractContextManager[Any]:
        """Return what is entered to wait for this thread's turn, and left to give it up.

        :param urgent: what pip waits for comes at once.
        """
        return contextlib.nullcontext() if urgent and threading.current_thread() in self._more else self._turns

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Return what is entered to have nothing run in a turn of its own, beside the caller, until it is left."""
        return self._turns.alone()

    def close(self) -> None:
        """End all that is under way, and wait until it has ended."""
        with self._lock:
            self._closed = True
            for end in self._running.values():
                with contextlib.suppress(OSError):
                    end()
        self._threads.close(_END_S)
        threads.join(self._more, _END_S)

    @property
    def is_closed(self) -> bool:
        """Whether the run is over."""
        return self._closed


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait a moment for a process that was told to end, and kill it if it does not."""
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()


def text_of(printed: bytes) -> str:
    """Return what a process printed, readable whatever its encoding."""
    return printed.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Ours:
    """What a thread of ours starts its processes with."""

    jobs: Jobs
    environ: Mapping[str, str]
    """The variables of the run; those of this process are another build's, at times."""


def in_thread(jobs: Jobs, environ: Mapping[str, str]) -> contextlib.AbstractContextManager[None]:
    """Let pip's code that runs in this thread, within the block, know that it is not pip that runs it."""
    return here.having(build=Ours(jobs, environ))


def of_thread() -> Ours | None:
    """Return what ``in_thread`` was given in this thread; None in pip's own."""
    return here.build  # type: ignore[no-any-return]
