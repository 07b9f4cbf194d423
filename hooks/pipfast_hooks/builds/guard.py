"""Guard process that ends builds beside pip when the command is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pipfast.builds import session_guard

if TYPE_CHECKING:
    from collections.abc import Iterator

_END_S = 2.0
"""Seconds for it to end what is left."""


class Guard:
    """The command's side."""

    def __init__(self) -> None:
        """Start the process.

        :raises OSError: it cannot be started.
        """
        ours, self._pipe = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", session_guard.__file__], stdin=ours, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(ours)
        self._left: set[int] = set()

    @property
    def pipe(self) -> int:
        """Return the descriptor for lines about sessions."""
        return self._pipe

    @contextmanager
    def over(self, session: int) -> Iterator[None]:
        """Have a session ended if the command ends within the block.

        :raises OSError: the guard is not there any more.
        """
        tell(self._pipe, session, begun=True)
        self._left.add(session)
        try:
            yield
        finally:
            self._left.discard(session)
            with suppress(OSError):
                tell(self._pipe, session, begun=False)

    def close(self) -> None:
        """End it, and whatever is left of what it watches over."""
        if not self._left:
            self._process.kill()
        os.close(self._pipe)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def tell(pipe: int, session: int, *, begun: bool) -> None:
    """Tell the guard at the other end of a pipe of a session that has begun or ended.

    :raises OSError: nobody is there.
    """
    os.write(pipe, b"%s%d\n" % (b"+" if begun else b"-", session))


_guard: Guard | None = None

_starting = threading.Lock()


def of_run() -> Guard:
    """Return the guard of this run, started when it is first needed.

    :raises OSError: it cannot be started: nothing may run beside pip.
    """
    global _guard
    with _starting:
        if _guard is None:
            _guard = Guard()
        return _guard


def forget() -> None:
    """End the guard; the run is over."""
    global _guard
    guard, _guard = _guard, None
    if guard is not None:
        guard.close()
