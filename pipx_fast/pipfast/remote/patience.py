"""The wait of one command for a server, in all."""

from __future__ import annotations

import threading

FREE_S = 0.2
"""Seconds within which an answer costs no patience: a working server far away takes as much."""

LEAST_RATE = 1_000_000
"""Bytes in a second that cost no patience; what comes slower is worth less than the wait."""


class Patience:
    """What is left of a command's wait. One budget for all requests, so that no number of them takes longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._left = seconds
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Tell whether the command waits no more."""
        return self._left <= 0

    def limit(self, size: int = 0) -> float:
        """Return the seconds that the next step may take.

        :param size: bytes that are sent in it.
        """
        return max(0.0, self._left) + size / LEAST_RATE

    def spend(self, elapsed: float, size: int = 0, *, free: float = 0.0) -> None:
        """Note that a step took so many seconds, in which so many bytes came or went."""
        with self._lock:
            self._left -= max(0.0, elapsed - free - size / LEAST_RATE)

    def end(self) -> None:
        """Wait no more."""
        with self._lock:
            self._left = 0.0
