"""One command waits so long in all, whatever it asks for."""

from __future__ import annotations

from pipfast.remote.patience import LEAST_RATE, Patience


def test_waits_add_up() -> None:
    patience = Patience(2)
    patience.spend(1.5, now=10)
    assert patience.limit() == 0.5 and not patience.is_over
    patience.spend(0.5, now=11)
    assert patience.limit() == 0 and patience.is_over


def test_bytes_that_come_and_quick_answers_cost_nothing() -> None:
    patience = Patience(2)
    patience.spend(10, 10 * LEAST_RATE)
    patience.spend(0.1, free=0.2)
    assert patience.limit() == 2
    assert patience.limit(3 * LEAST_RATE) == 5
    patience.spend(10, 9 * LEAST_RATE)
    assert patience.limit() == 1


def test_those_who_wait_at_once_wait_once() -> None:
    """Whatever part of a time several have waited for."""
    patience = Patience(10)
    patience.spend(2, now=12)
    patience.spend(2, now=12)
    assert patience.limit() == 8
    patience.spend(1, now=15)
    assert patience.limit() == 7
    patience.spend(5, now=16)
    assert patience.limit() == 4
    patience.spend(7, now=16.5)
    assert patience.limit() == 3


def test_starts_of_processes_leave_half_of_it_together() -> None:
    """Four of them on a busy machine are no server's fault."""
    patience = Patience(2)
    for _ in range(4):
        patience.spend_start(0.8)
    assert patience.limit() == 1
