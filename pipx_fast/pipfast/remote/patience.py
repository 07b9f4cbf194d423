"""The wait of one command for a server, in all."""

from __future__ import annotations

import threading
import time

FREE_S = 0.2
"""Seconds within which an answer costs no patience: a working server far away takes as much."""

LEAST_RATE = 1_000_000
"""Bytes in a second that cost no patience; what comes slower is worth less than the wait."""


class Patience:
    """What is left of a command's wait. One budget for all requests, so that no number of them takes longer.

    Several may wait at once: a second in which they all do is one second.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._left = seconds
        self._for_starts = seconds / 2
        self._waits: list[tuple[float, float]] = []
        """Times that were spent, none of which overlap."""
        self._lock = threading.Lock()
        self.is_given_up = False
        """One of those who wait has waited for all of it."""

    @property
    def is_over(self) -> bool:
        """Tell whether the command waits no more."""
        return self._left <= 0

    def limit(self, size: int = 0) -> float:
        """Return the seconds that the next step may take.

        :param size: bytes that are sent in it.
        """
        return max(0.0, self._left) + size / LEAST_RATE

    def spend(self, elapsed: float, size: int = 0, *, free: float = 0.0, now: float | None = None) -> None:
        """Note that a step took so many seconds, in which so many bytes came or went.

        :param now: when it ended, by ``time.monotonic``.
        """
        end = time.monotonic() if now is None else now
        begin = end - (elapsed - free - size / LEAST_RATE)
        if begin >= end:
            return
        with self._lock:
            overlapping = [each for each in self._waits if each[0] < end and begin < each[1]]
            self._left -= (end - begin) - sum(min(end, last) - max(begin, first) for first, last in overlapping)
            self._waits = [each for each in self._waits if each not in overlapping]
            self._waits.append((min([begin, *(first for first, _ in overlapping)]),
                                max([end, *(last for _, last in overlapping)])))

    def spend_start(self, elapsed: float) -> None:
        """Note that a process took so long to start.

        All starts together leave half of the patience to a good server: a busy machine is slow by itself.
        """
        with self._lock:
            spent = min(elapsed, self._for_starts)
            self._for_starts -= spent
            self._left -= spent

    def end(self) -> None:
        """Wait no more."""
        with self._lock:
            self._left = 0.0
            self.is_given_up = True
