"""One command waits so long in all, whatever it asks for."""

from __future__ import annotations

from pipfast.remote.patience import LEAST_RATE, Patience


def test_waits_add_up() -> None:
    patience = Patience(2)
    patience.spend(1.5)
    assert patience.limit() == 0.5 and not patience.is_over
    patience.spend(0.5)
    assert patience.limit() == 0 and patience.is_over


def test_bytes_that_come_and_quick_answers_cost_nothing() -> None:
    patience = Patience(2)
    patience.spend(10, 10 * LEAST_RATE)
    patience.spend(0.1, free=0.2)
    assert patience.limit() == 2
    assert patience.limit(3 * LEAST_RATE) == 5
    patience.spend(10, 9 * LEAST_RATE)
    assert patience.limit() == 1
