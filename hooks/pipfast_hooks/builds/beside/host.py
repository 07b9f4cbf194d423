"""Processes of a source's build hooks: forks of one host."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.builds import hook_host
from pipfast_hooks.builds.environments import fork_server
from pipfast_hooks.builds.jobs import Ended, Jobs, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_IN_TREE = "_PYPROJECT_HOOKS_BACKEND_PATH_JSON"
"""The variable with the folders of a backend that is part of its source (pyproject_hooks)."""

_LINE = 1000
"""Bytes of a line that are shown at most."""


class Hooks:
    """The hooks of one source, each in a process of its own."""

    def __init__(self, jobs: Jobs, folder: str, *, are_several: bool) -> None:
        """:param are_several: more than one hook will run; where possible, they are forks of one process."""
        self._are_forks = are_several and fork_server.is_possible()
        self.output = os.path.join(folder, "hook_output")
        self._jobs = jobs
        self._said = os.path.join(folder, "hook_host")
        self._host: _Host | None = None
        self._opened = contextlib.ExitStack()

    def run(
        self, command: Sequence[str], cwd: str, environ: Mapping[str, str], *, urgent: bool
    ) -> tuple[int, str]:
        """Run a hook to its end; return its exit code and its output. Raises as ``Jobs.run`` does.

        :param command: of pyproject_hooks: interpreter, script, hook, control folder.
        """
        with self._jobs.turn(urgent=urgent):
            if self._are_forks and _IN_TREE not in environ:
                if self._host is None or self._host.key != _key(command, cwd, environ):
                    self.renew()
                    self._host = self._opened.enter_context(_host(self._jobs, command, cwd, environ, self._said))
                if self._host.is_ready:
                    Path(self.output).write_bytes(b"")
                    status = self._host.run(command[-2:], self.output)
                    return status, text_of(Path(self.output).read_bytes())
            return self._jobs.run(command, cwd, environ, self.output)

    def printed(self) -> int:
        """Return how many bytes the current hook has printed."""
        with contextlib.suppress(OSError):
            return os.stat(self.output).st_size
        return 0

    def last_line(self) -> str:
        """Return the last line that the current hook has printed."""
        with contextlib.suppress(OSError), open(self.output, "rb") as file:
            file.seek(-min(_LINE, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return text_of(file.read()).rstrip().rpartition("\n")[2]
        return ""

    def renew(self) -> None:
        """End the host: what its backend can import has changed."""
        self._host = None
        self._opened.close()

    close = renew


class _Host:
    def __init__(self, key: tuple[Any, ...], jobs: Jobs, connection: socket.socket) -> None:
        self.key, self._jobs, self._connection = key, jobs, connection
        self._answers = connection.makefile("rb")
        self.is_ready = self._answers.readline() == hook_host.READY
        """False if a fork of this backend would not be as a new process."""

    def run(self, arguments: Sequence[str], output: str) -> int:
        """Run a hook and return its exit code."""
        with contextlib.suppress(OSError, ValueError):
            self._connection.sendall(json.dumps([*arguments, output]).encode() + b"\n")
            return int(self._answers.readline())
        if self._jobs.is_closed:
            raise Ended
        # The host has died: the hook did not succeed.
        return 1


@contextmanager
def _host(
    jobs: Jobs, command: Sequence[str], cwd: str, environ: Mapping[str, str], said: str
) -> Iterator[_Host]:
    ours, theirs = socket.socketpair()
    own = [command[0], hook_host.__file__, str(theirs.fileno()), *command[1:]]
    # Contexts end in reverse order: `ours` is closed, the process ends, `started` has waited for that.
    with ours, theirs, open(said, "w+b") as printed, jobs.started(
        # Shut down, it ends its hook and itself.
        own, printed.fileno(), functools.partial(ours.shutdown, socket.SHUT_RDWR),
        cwd=cwd, env=environ, pass_fds=(theirs.fileno(),),
    ), ours:
        theirs.close()
        yield _Host(_key(command, cwd, environ), jobs, ours)


def _key(command: Sequence[str], cwd: str, environ: Mapping[str, str]) -> tuple[Any, ...]:
    """Return what must be equal for two hooks to be forks of one process."""
    return *command[:2], cwd, frozenset(environ.items())
