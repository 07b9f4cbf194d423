"""Processes of builds that run beside pip: a few at once, with variables of their own, ended with the run."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.builds import hook_host
from pipfast.system import threads
from pipfast_hooks.builds import guard as builds_guard
from pipfast_hooks.builds.environments import fork_server
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

_IN_TREE = "_PYPROJECT_HOOKS_BACKEND_PATH_JSON"
"""The variable with the folders of a backend that is part of its source (pyproject_hooks)."""


_END_S = 2.0
"""Seconds for a process to end."""

_LINE = 1000
"""Bytes of a line that anybody looks at."""


class Ended(Exception):
    """The run is over; nobody waits for this any more."""


class Jobs:
    """Threads for builds, and the processes that they wait for, of which so many run at once."""

    def __init__(self, at_once: int) -> None:
        # Some wait for one another: for what both need to be installed for the first of them.
        self._threads = threads.Pool(2 * at_once, "pipfast-build")
        self._turns = threading.BoundedSemaphore(at_once)
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
            guard = builds_guard.of_run()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True, **options
            )
            self._running[process] = ending or functools.partial(os.killpg, process.pid, signal.SIGKILL)
        try:
            with guard.over(process.pid):
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
            return status, _text(printed.read())

    def turn(self, *, urgent: bool) -> contextlib.AbstractContextManager[Any]:
        """Return what is entered to wait for this thread's turn, and left to give it up.

        :param urgent: what pip waits for comes at once.
        """
        return contextlib.nullcontext() if urgent and threading.current_thread() in self._more else self._turns

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


class Hooks:
    """The hooks of one source, each in a process of its own: forks of one, where that can be."""

    def __init__(self, jobs: Jobs, folder: str) -> None:
        """Start nothing yet.

        :param folder: where files are made for what hooks print.
        """
        self.output = os.path.join(folder, "hook_output")
        """What the last hook has printed, or prints."""
        self._jobs = jobs
        self._said = os.path.join(folder, "hook_host")
        self._host: _Host | None = None
        self._opened = contextlib.ExitStack()

    def run(
        self, command: Sequence[str], cwd: str, environ: Mapping[str, str], *, urgent: bool
    ) -> tuple[int, str]:
        """Run a hook to its end; return its status and what it printed.

        :param command: as pyproject_hooks has it: interpreter, script, hook, control folder.
        :param urgent: pip may wait for it.
        :raises Ended: the run is over.
        :raises OSError: it cannot be started.
        """
        with self._jobs.turn(urgent=urgent):
            if fork_server.is_possible() and _IN_TREE not in environ:
                if self._host is None or self._host.key != _key(command, cwd, environ):
                    self.renew()
                    self._host = self._opened.enter_context(_host(self._jobs, command, cwd, environ, self._said))
                if self._host.is_ready:
                    Path(self.output).write_bytes(b"")
                    status = self._host.run(command[-2:], self.output)
                    return status, _text(Path(self.output).read_bytes())
            return self._jobs.run(command, cwd, environ, self.output)

    def printed(self) -> int:
        """Return how many bytes the hook that runs has printed."""
        try:
            return os.stat(self.output).st_size
        except OSError:
            return 0

    def last_line(self) -> str:
        """Return what was printed last by the hook that runs."""
        try:
            with open(self.output, "rb") as file:
                file.seek(-min(_LINE, os.fstat(file.fileno()).st_size), os.SEEK_END)
                return _text(file.read()).rstrip().rpartition("\n")[2]
        except OSError:
            return ""

    def renew(self) -> None:
        """End the process that has imported the backend; what it can import has changed."""
        self._host = None
        self._opened.close()

    close = renew


class _Host:
    """A process of ``hook_host``."""

    def __init__(self, key: tuple[Any, ...], jobs: Jobs, connection: socket.socket) -> None:
        self.key, self._jobs, self._connection = key, jobs, connection
        self._answers = connection.makefile("rb")
        self.is_ready = self._answers.readline() == hook_host.READY
        """False where the backend is none to fork from."""

    def run(self, arguments: Sequence[str], output: str) -> int:
        """Return the exit code of a hook.

        :raises Ended: the run is over.
        """
        with contextlib.suppress(OSError, ValueError):
            self._connection.sendall(json.dumps([*arguments, output]).encode() + b"\n")
            return int(self._answers.readline())
        if self._jobs.is_closed:
            raise Ended
        # Whatever became of it, it did not succeed.
        return 1


@contextmanager
def _host(
    jobs: Jobs, command: Sequence[str], cwd: str, environ: Mapping[str, str], said: str
) -> Iterator[_Host]:
    ours, theirs = socket.socketpair()
    own = [command[0], hook_host.__file__, str(theirs.fileno()), *command[1:]]
    # The last one is closed first: then the process ends, which the one before waits for.
    with ours, theirs, open(said, "w+b") as printed, jobs.started(
        # It ends when nobody waits any more, and the hook that is under way before.
        own, functools.partial(ours.shutdown, socket.SHUT_RDWR),
        cwd=cwd, env=environ, stdout=printed, pass_fds=(theirs.fileno(),),
    ), ours:
        theirs.close()
        yield _Host(_key(command, cwd, environ), jobs, ours)


def _key(command: Sequence[str], cwd: str, environ: Mapping[str, str]) -> tuple[Any, ...]:
    """Return what two hooks' processes are started with alike if one may be a fork for the other."""
    return *command[:2], cwd, frozenset(environ.items())


def _text(printed: bytes) -> str:
    return printed.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Ours:
    """What a thread of ours starts its processes with."""

    jobs: Jobs
    environ: Mapping[str, str]
    """The variables of the run; those of this process are another build's, at times."""


def in_thread(jobs: Jobs, environ: Mapping[str, str]) -> AbstractContextManager[None]:
    """Let pip's code that runs in this thread know that it is not pip that runs it."""
    return here.having(build=Ours(jobs, environ))


def of_thread() -> Ours | None:
    """Return what ``in_thread`` was given in this thread; None in pip's own."""
    return here.build  # type: ignore[no-any-return]
