"""Bound on the store's size, kept at a command's end.

What was not used for longest goes. Counted is what only the store holds: what environments share costs nothing,
and goes last. A process whose entry goes makes it again, as with `prune`.
"""

from __future__ import annotations

import heapq
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pipfast.report import logger
from pipfast.store.folder import TAG
from pipfast.store.names import ARCHIVES, BYTECODE, TREES
from pipfast.upkeep.ledger import Ledger

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast.store.layout import Layout
    from pipfast.upkeep.ledger import Row

WORK_S = 0.05
"""Seconds that a command may take for it; what is left to do then waits for the next one."""

_LOOK_S = 0.025
"""Of these, the part in which new entries are measured."""

_SHARES_S = 0.008
"""And the part in which old ones are looked at; what is about to go is, in any case."""

_REMOVE_S = 0.042
"""Seconds after which no more is removed: what was found has to be written."""

_FILE_S = 15e-6
"""Seconds to remove one file, by measurement: 8 to 15 µs on ext4 and XFS."""

FULL = 0.9
"""Part of the bound to which the store is brought back: beside this command others have begun to fill it again."""

_RETRY_S = 0.005


def keep_below(layout: Layout, bound: int) -> int:
    """Remove what was not used for longest until nine tenths of the bound are left; return the bytes removed.

    Ends after ``WORK_S``. Later than that only as much goes as new entries brought, so that the store does not
    grow beyond the bound, however much each command brings.

    :param bound: bytes that only the store may hold.
    """
    with _alone(layout) as alone:
        if not alone:
            # Whoever is at it sees what this command brought, or the next one does.
            return 0
        began = time.monotonic()
        ledger = Ledger(layout)
        ledger.look(began + _LOOK_S)
        removed = 0
        if ledger.own + ledger.shared > bound * FULL:
            ledger.look_at_shares(time.monotonic() + _SHARES_S)
            removed = _Removal(layout, ledger, bound, began + _REMOVE_S).run()
        ledger.write(layout)
    if removed:
        logger.debug("pipfast: %d bytes were removed from the store to keep it below %d", removed, bound)
    return removed


class _Removal:
    def __init__(self, layout: Layout, ledger: Ledger, bound: int, deadline: float) -> None:
        self._layout = layout
        self._ledger = ledger
        self._bound = bound
        self._deadline = deadline
        self._left = ledger.own
        self._removed = 0

    def run(self) -> int:
        """Return the bytes that were removed."""
        if self._left <= self._bound * FULL:
            return 0
        waiting = [_turn(*each) for each in self._ledger.rows()]
        heapq.heapify(waiting)
        while waiting and self._left > self._bound * FULL:
            turn = heapq.heappop(waiting)
            _, _, folder, name = turn
            row = self._ledger.refresh(folder, name)
            if row is None:
                continue
            if _turn(folder, name, row) > turn:
                # Used, or taken by an environment, since the ledger was written.
                heapq.heappush(waiting, _turn(folder, name, row))
                continue
            if self._is_over(row):
                break
            self._take(folder, name, row)
        return self._removed

    def _is_over(self, row: Row) -> bool:
        if time.monotonic() + row.files * _FILE_S < self._deadline or not self._removed:
            return False
        return self._left <= self._bound or self._removed >= self._ledger.gained

    def _take(self, folder: str, name: str, row: Row) -> None:
        path = self._layout.root / folder / name
        bucket, fan = folder.split("/")[:2]
        if bucket in (ARCHIVES, TREES, BYTECODE):
            if not self._layout.discard(path):
                return
        else:
            try:
                path.unlink()
            except OSError:
                return
        self._ledger.drop(folder, name)
        self._left -= row.own
        self._removed += row.own
        if bucket == BYTECODE:
            with suppress(OSError):
                path.parent.rmdir()
        elif bucket == TREES:
            # Without its tree it is of no use.
            for other, tag in self._ledger.bytecode_of(fan, name):
                compiled = self._ledger.refresh(other, tag)
                if compiled is not None:
                    self._take(other, tag, compiled)


def _turn(folder: str, name: str, row: Row) -> tuple[bool, float, str, str]:
    return row.is_mostly_shared, row.used, folder, name


@contextmanager
def _alone(layout: Layout) -> Iterator[bool]:
    """Keep others from the same work meanwhile; yield False if one is at it for longer than that takes."""
    try:
        descriptor = os.open(layout.root / TAG, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        yield False
        return
    try:
        yield _locks(descriptor)
    finally:
        os.close(descriptor)


def _locks(descriptor: int) -> bool:
    deadline = time.monotonic() + WORK_S
    while fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_RETRY_S)
        except OSError as error:
            # E.g. NFS without a lock daemon: two at once remove a little too much.
            logger.debug("pipfast: the store's tag is not locked: %r", error)
            break
        else:
            break
    return True
