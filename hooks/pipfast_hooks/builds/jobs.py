"""Threads and processes of builds beside pip, which give way to pip's."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipfast.report import logger
from pipfast.system import threads
from pipfast_hooks.run import Part, Run
from pipfast_hooks.seams import STARTS_PROCESSES
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pipfast_hooks.builds.guard import Guard

_END_S = 2.0
"""Seconds for a process to end."""


class Ended(Exception):
    """The builds were ended; nobody waits for their results."""


class _Turns:
    """Turns, of which a few can be had at once; as a context, one turn."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._taken = 0
        self._is_paused = False
        self._changed = threads.Condition()

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
        """Wait until all turns are given up, and give none during the block."""
        with self._changed:
            self._is_paused = True
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self._taken)
            yield
        finally:
            with self._changed:
                self._is_paused = False
                self._changed.notify_all()


class Jobs:
    """Threads of builds, and their processes, of which a few run at once."""

    def __init__(self, guard: Guard, at_once: int) -> None:
        self._guard = guard
        # Twice as many threads as turns: some wait until another one has installed what both need.
        self._threads = threads.Pool(2 * at_once, "pipfast-build")
        self.turns = _Turns(at_once)
        self._lock = threading.Lock()
        self._running: dict[subprocess.Popen[bytes], Callable[[], None]] = {}
        """Each process, and the function that ends it."""
        self._more: list[threading.Thread] = []
        self.is_closed = False

    def submit(self, function: Callable[[], None]) -> None:
        """Have a thread call ``function`` when one is free; it is never called if there is no thread at all."""
        self._threads.submit(function)

    def start(self, function: Callable[[], None]) -> bool:
        """Have a new thread, which waits for no turn, call ``function`` now; False if none can be had."""
        with self._lock:
            thread = None if self.is_closed else threads.start(function, "pipfast-build")
            if thread is not None:
                self._more.append(thread)
            return thread is not None

    @contextmanager
    def started(
        self, command: Sequence[str], output: int, ending: Callable[[], None] | None = None, **options: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a process without input or terminal, and wait for it at the block's end.

        The process has a session of its own, which the guard watches: when the run ends, in whatever way, the
        process ends, and so does all that it has started. Ctrl-C does not reach it, but ends the run.

        :param output: descriptor of the file that it prints to.
        :param ending: ends the process and all that it has started; by default its process group is killed.
        :raises Ended: the builds were ended; also raised at the block's end.
        :raises OSError: it cannot be started.
        """
        with self._lock:
            if self.is_closed:
                raise Ended
            process = self._guard.start(lambda: subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                **options,
            ), output)
            self._running[process] = ending or functools.partial(os.killpg, process.pid, signal.SIGKILL)
        try:
            try:
                yield process
            finally:
                if self.is_closed:
                    _end(process)
                process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            self._guard.forget(process.pid)
            with self._lock:
                del self._running[process]
        if self.is_closed:
            raise Ended

    def run(
        self, command: Sequence[str], cwd: str | None, environ: Mapping[str, str], output: str | None = None
    ) -> tuple[int, str]:
        """Run a process to its end; return its exit code and its output. The caller has taken a turn.

        :param output: a file for the output, made anew; by default one without a name.
        :raises Ended: the builds were ended.
        :raises OSError: it cannot be started.
        """
        # A file: a process that the build leaves running would keep a pipe open.
        with tempfile.TemporaryFile() if output is None else open(output, "w+b") as printed:
            with self.started(command, printed.fileno(), cwd=cwd, env=environ) as process:
                status = process.wait()
            printed.seek(0)
            return status, text_of(printed.read())

    def turn(self, *, urgent: bool) -> contextlib.AbstractContextManager[Any]:
        """Return the context of one turn; entering it waits for the turn.

        :param urgent: pip may wait for this. In a thread of its own (``start``) it waits for no turn.
        """
        return contextlib.nullcontext() if urgent and threading.current_thread() in self._more else self.turns

    def close(self) -> None:
        """End all processes, and wait at most some seconds for the threads."""
        with self._lock:
            self.is_closed = True
            for end in self._running.values():
                with contextlib.suppress(OSError):
                    end()
        self._threads.close(_END_S)
        threads.join(self._more, _END_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()


def text_of(printed: bytes) -> str:
    """Decode the output of a process; bytes that are no UTF-8 become escapes."""
    return printed.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Ours:
    """How a thread of ours starts processes."""

    jobs: Jobs
    environ: Mapping[str, str]
    """The build's variables; those of this process may be another build's, for a while."""


def in_thread(jobs: Jobs, environ: Mapping[str, str]) -> contextlib.AbstractContextManager[None]:
    """Return a context in which pip's code, in this thread, starts its processes as ours."""
    return here.having(build=Ours(jobs, environ))


def of_thread() -> Ours | None:
    """Return how this thread starts processes; None in pip's own thread."""
    return here.build  # type: ignore[no-any-return]


_SCARCE = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors for want of a process, of memory or of descriptors."""


class GivingWay(Part):
    """Starts pip's processes. Where the system refuses one, everything beside pip ends, and it tries again."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        module: Any = import_module(STARTS_PROCESSES)
        self._module, self._stock = module, module.subprocess
        stock = self._stock

        def popen(*args: Any, **kwargs: Any) -> Any:
            try:
                return stock.Popen(*args, **kwargs)
            except OSError as error:
                if error.errno not in _SCARCE or threading.current_thread() is not threading.main_thread():
                    raise
                logger.debug("pipfast: nothing runs beside pip any more: %r", error)
            self.run.give_way()
            return stock.Popen(*args, **kwargs)

        self._module.subprocess = SimpleNamespace(**vars(stock) | {"Popen": popen})

    def close(self, wait_s: float) -> None:
        """Let pip start its processes itself."""
        self._module.subprocess = self._stock
