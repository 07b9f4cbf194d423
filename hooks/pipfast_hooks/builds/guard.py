"""Guard process that ends builds beside pip when the command is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pipfast.builds import session_guard
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Iterator


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

    @contextmanager
    def over(self, session: int) -> Iterator[None]:
        """Have the guard end a session if the command ends within the block; OSError: the guard has ended."""
        tell(self._pipe, session, begun=True)
        self._left.add(session)
        try:
            yield
        finally:
            self._left.discard(session)
            with suppress(OSError):
                tell(self._pipe, session, begun=False)

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


def tell(pipe: int, session: int, *, begun: bool) -> None:
    """Write to the guard's pipe that a session has begun or ended. Raises OSError: nobody reads the pipe."""
    os.write(pipe, b"%s%d\n" % (b"+" if begun else b"-", session))
