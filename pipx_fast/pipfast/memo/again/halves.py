"""Placing by two processes, each half of the wheels.

The second one does as the first one tells it: nothing is written before both have looked at everything, and what
one of them cannot finish both take away.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from pipfast.memo.again.placing import Declined, Placing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipfast.memo.again.elsewhere import Environment
    from pipfast.memo.again.installation import Installation, KeptWheel

LEAST_FILES = 4_000
"""Files for which a second process is worth its start."""

_READY, _GO, _DONE, _UNDO = b"r", b"g", b"d", b"u"


def is_worth_it(kept: Installation) -> bool:
    """Tell whether two processes are sooner ready than one, and may each place any of the wheels."""
    files = sum(each.files for each in kept.wheels)
    return kept.apart and files >= LEAST_FILES and len(os.sched_getaffinity(0)) > 1


def halves(wheels: Sequence[KeptWheel]) -> tuple[list[KeptWheel], list[KeptWheel]]:
    """Return wheels in two parts with about as many files."""
    first: list[KeptWheel] = []
    second: list[KeptWheel] = []
    more = 0
    for wheel in sorted(wheels, key=lambda each: -each.files):
        (first if more <= 0 else second).append(wheel)
        more += wheel.files if more <= 0 else -wheel.files
    return first, second


class Halves:
    """An installation on its way into one environment by two processes; as ``Placing``, which see.

    :raises OSError: there is no second process. Declined, Damaged: it cannot be placed.
    """

    def __init__(self, kept: Installation, store: str, environment: Environment) -> None:
        ours, theirs = halves(kept.wheels)
        self._other = _Other(kept.of(theirs), store, environment)
        try:
            self._own = Placing(kept.of(ours, kept.weekly), store, environment)
            self._other.expect(_READY)
        except BaseException:
            self._other.end()
            raise

    def run(self) -> None:
        """Place the wheels. Raises as ``Placing.run`` does; then both halves have to be undone."""
        self._other.tell(_GO)
        self._own.run()
        self._other.expect(_DONE)

    def undo(self) -> None:
        """Take away what was placed."""
        with suppress(OSError):
            self._other.tell(_UNDO)
        self._own.undo()
        self._other.end()

    def end(self) -> None:
        """Leave everything where it is."""
        self._other.end()


class _Other:
    """The second process, which ends with its orders.

    :raises OSError: there is none.
    """

    def __init__(self, kept: Installation, store: str, environment: Environment) -> None:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        parent = os.getpid()
        try:
            self._pid = os.fork()
        except OSError:
            for each in (orders, self._orders, self._answers, answers):
                os.close(each)
            raise
        if not self._pid:
            try:
                # Who presses Ctrl-C is heard by the first one.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                os.close(self._orders)
                os.close(self._answers)
                _obey(kept, store, environment, orders, answers, parent)
            finally:
                os._exit(0)
        os.close(orders)
        os.close(answers)

    def tell(self, order: bytes) -> None:
        """Give an order. Raises OSError: the process has ended."""
        os.write(self._orders, order)

    def expect(self, answer: bytes) -> None:
        """Wait for an answer. Raises Declined: it is another one."""
        found = os.read(self._answers, 1)
        if found != answer:
            why = os.read(self._answers, 4096) if found else b"the second process ended"
            raise Declined(why.decode("utf-8", "replace"))

    def end(self) -> None:
        """Wait for its end; it has nothing to undo if it was not told so."""
        with suppress(OSError):
            os.close(self._orders)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        with suppress(OSError):
            os.close(self._answers)


def _obey(
    kept: Installation, store: str, environment: Environment, orders: int, answers: int, parent: int
) -> None:
    def stop() -> None:
        if os.getppid() != parent or select.select([orders], [], [], 0)[0]:
            raise Declined("the first process has ended, or could not finish its half")

    try:
        placing = Placing(kept, store, environment)
        os.write(answers, _READY)
        if os.read(orders, 1) != _GO:
            return
        try:
            placing.run(stop)
        except BaseException:
            placing.undo()
            raise
        with suppress(OSError):
            # Nobody may hear it any more; the order counts all the same.
            os.write(answers, _DONE)
        if os.read(orders, 1) == _UNDO:
            placing.undo()
    except Exception as error:
        os.write(answers, b"n" + (str(error) or repr(error)).encode("utf-8", "replace")[:4000])
