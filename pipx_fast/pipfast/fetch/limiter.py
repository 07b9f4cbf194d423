"""Number of connections: additive increase, multiplicative decrease."""

from __future__ import annotations

import random
from dataclasses import dataclass

RECOVER_AFTER = 12
"""Good answers in a row before one more connection is tried: many, since a refusal costs a server work."""

MAX_ATTEMPTS = 5
"""Failures without progress while nothing else ran: our number of connections is not the reason."""

MAX_FAILURES = 12
"""Failures without progress in all: enough to come down from 8 connections to 1 and fail there."""

SPENT_LIMIT_S = 60.0
"""Seconds spent in failed requests; pip's own retries and timeouts are among them."""

BACKOFF_START_S = 0.1
BACKOFF_CAP_S = 5.0
"""Seconds before the second attempt, doubled for each further one; the transport waits besides."""


class ConnectionLimiter:
    """Counts requests in flight against the number that is allowed now. The caller holds its own lock."""

    def __init__(self, connections: int) -> None:
        if connections < 1:
            raise ValueError(f"connections must be at least 1, not {connections}")
        self.connections = connections
        self.allowed = connections
        self.in_flight = 0
        self._good = 0
        self._cut_at = float("-inf")

    def has_room(self) -> bool:
        """Whether another request may start."""
        return self.in_flight < self.allowed

    def good(self) -> None:
        """Note an answer that came whole."""
        self._good += 1
        if self._good >= RECOVER_AFTER and self.allowed < self.connections:
            self.allowed += 1
            self._good = 0

    def busy(self, *, started: float, now: float) -> None:
        """Note a refusal, reset or stall of a request that began at ``started``.

        Requests that began before the last cut do not count again: eight resets at once are one sign.
        """
        self._good = 0
        if started >= self._cut_at:
            self.allowed = max(1, self.allowed // 2)
            self._cut_at = now


@dataclass(slots=True)
class RetryBudget:
    """Failures of one download, and whether it may be tried again."""

    alone: int = 0
    total: int = 0
    spent_s: float = 0.0
    _rounds: int = 0
    _failed_at: float = float("-inf")

    def progressed(self) -> None:
        """Forget the failures: new bytes have arrived."""
        self.alone = self.total = self._rounds = 0
        self.spent_s = 0.0

    def failed(self, *, started: float, now: float, alone: bool) -> bool:
        """Count a request that began at ``started`` and has failed ``now``; return whether to try again."""
        self.total += 1
        if started >= self._failed_at:
            # Of those that began before a failure, all are one reason to wait.
            self._rounds += 1
            self._failed_at = now
        if not alone:
            return self.total < MAX_FAILURES
        self.alone += 1
        self.spent_s += now - started
        return self.alone < MAX_ATTEMPTS and self.total < MAX_FAILURES and self.spent_s < SPENT_LIMIT_S

    def delay(self) -> float:
        """Return the seconds before the next attempt, with jitter: streams must not come back in step."""
        backoff = min(BACKOFF_CAP_S, BACKOFF_START_S * 2.0 ** max(0, self._rounds - 1))
        return backoff * random.uniform(0.5, 1.0)
