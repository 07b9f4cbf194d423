"""Guard process that ends builds beside pip when the command is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from pipfast.builds import session_guard
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Callable


_END_S = 2.0
"""Seconds for the guard to end sessions."""

_NONE = -1
"""No descriptor: there is no process."""


class Guard(Part):
    """The command's side of the guard process, which starts when it is first needed."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = _NONE
        self._left: set[int] = set()

    def begin(self) -> int:
        """Start the process if need be; return the descriptor of its pipe. OSError: nothing may run beside pip."""
        with self._starting:
            if self._process is not None:
                return self._pipe
            ours, self._pipe = os.pipe()
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", session_guard.__file__], stdin=ours, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
                )
            except BaseException:
                os.close(self._pipe)
                self._pipe = _NONE
                raise
            finally:
                os.close(ours)
            return self._pipe

    def start(self, made: Callable[[], subprocess.Popen[bytes]], output: int) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own, which the guard ends if the command ends before ``forget``.

        :param made: starts it.
        :param output: descriptor of a file, the process's standard output: where the command is killed before it
            knows the process's id, the guard knows it by that.
        :raises OSError: it cannot be started, or the guard has ended.
        """
        pipe, found = self.begin(), os.fstat(output)
        file = b"%d:%d" % (found.st_dev, found.st_ino)
        tell(pipe, b"+" + file)
        try:
            process = made()
        except BaseException:
            with suppress(OSError):
                tell(pipe, b"-" + file)
            raise
        self._left.add(process.pid)
        try:
            tell(pipe, b"+%d" % process.pid, b"-" + file)
        except BaseException:
            self._left.discard(process.pid)
            process.kill()
            process.wait()
            raise
        return process

    def forget(self, session: int) -> None:
        """Have a session that has ended watched no more."""
        self._left.discard(session)
        with suppress(OSError):
            tell(self._pipe, b"-%d" % session)

    def give_way(self) -> None:
        """End the process, and the sessions that it still watches."""
        with self._starting:
            process, self._process = self._process, None
            pipe, self._pipe = self._pipe, _NONE
        if process is None:
            return
        if not self._left:
            process.kill()
        os.close(pipe)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tell(pipe: int, *lines: bytes) -> None:
    """Write lines to the guard's pipe (``session_guard``), all at once. Raises OSError: nobody reads the pipe."""
    os.write(pipe, b"".join(line + b"\n" for line in lines))
