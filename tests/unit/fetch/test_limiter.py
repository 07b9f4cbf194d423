"""Fewer connections for servers in trouble, slowly more again."""

from __future__ import annotations

import pytest

from pipfast.fetch import limiter as limits
from pipfast.fetch.limiter import ConnectionLimiter, RetryBudget


def test_halves_down_to_one() -> None:
    """Each sign of trouble halves what is allowed, and one always is."""
    limiter = ConnectionLimiter(8)
    seen = []
    for now in range(5):
        limiter.busy(started=now, now=now + 0.5)
        seen.append(limiter.allowed)
    assert seen == [4, 2, 1, 1, 1]


def test_failures_at_once_are_one_sign() -> None:
    """Requests that began before the last cut do not cut again."""
    limiter = ConnectionLimiter(8)
    for now in range(10, 18):
        limiter.busy(started=1.0, now=now)
    assert limiter.allowed == 4


def test_recovers_slowly_and_never_beyond_the_setting() -> None:
    """One connection more after each row of good answers, and a failure ends the row."""
    limiter = ConnectionLimiter(3)
    limiter.busy(started=0, now=1)
    assert limiter.allowed == 1
    for _ in range(limits.RECOVER_AFTER - 1):
        limiter.good()
    limiter.busy(started=0, now=2)
    limiter.good()
    assert limiter.allowed == 1
    for _ in range(limits.RECOVER_AFTER * 10):
        limiter.good()
    assert limiter.allowed == 3


def test_counts_requests_in_flight() -> None:
    """There is room while fewer than allowed are in flight."""
    limiter = ConnectionLimiter(2)
    for count, has_room in ((1, True), (2, False), (1, True)):
        limiter.in_flight = count
        assert limiter.has_room() is has_room


def test_no_connections_are_refused() -> None:
    """A pool that could never start anything cannot be made."""
    with pytest.raises(ValueError, match="at least 1"):
        ConnectionLimiter(0)


def test_budget_alone() -> None:
    """Failures of the only request in flight are soon enough."""
    budget = RetryBudget()
    assert [budget.failed(started=0.0, now=0.1, alone=True) for _ in range(limits.MAX_ATTEMPTS)] == [
        *[True] * (limits.MAX_ATTEMPTS - 1),
        False,
    ]


def test_budget_in_company() -> None:
    """Failures among others are allowed more often, but not for ever."""
    budget = RetryBudget()
    results = [budget.failed(started=0.0, now=0.1, alone=False) for _ in range(limits.MAX_FAILURES)]
    assert results.index(False) == limits.MAX_FAILURES - 1


def test_budget_of_time() -> None:
    """One failure that used up all of the transport's own retries is enough."""
    assert not RetryBudget().failed(started=0.0, now=limits.SPENT_LIMIT_S + 1, alone=True)


def test_progress_renews_the_budget() -> None:
    """What brings something new may fail again as often."""
    budget = RetryBudget()
    for _ in range(100):
        assert budget.failed(started=0.0, now=20.0, alone=True)
        budget.progressed()


def test_delays_grow_within_bounds() -> None:
    """Jittered, doubled, capped."""
    budget = RetryBudget()
    for attempt in range(10):
        budget.failed(started=attempt, now=attempt, alone=False)
        full = min(limits.BACKOFF_CAP_S, limits.BACKOFF_START_S * 2**attempt)
        assert full / 2 <= budget.delay() <= full


def test_failures_at_once_are_one_reason_to_wait() -> None:
    """Eight streams that were broken off together are asked for again at once."""
    budget = RetryBudget()
    for now in range(10, 18):
        budget.failed(started=1.0, now=now, alone=False)
    assert budget.delay() <= limits.BACKOFF_START_S
    budget.failed(started=20.0, now=21.0, alone=False)
    assert limits.BACKOFF_START_S <= budget.delay() <= 2 * limits.BACKOFF_START_S
