"""A surprise in our own code goes to pip's."""

from __future__ import annotations

import logging
import threading

import pytest

from pipfast_hooks.guard import guarded


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "pipfast")
    return caplog


def test_error_goes_no_further_and_is_logged(said: pytest.LogCaptureFixture) -> None:
    """With its traceback, or in brief where it is expected."""
    with guarded("%s is left to pip", "x"):
        raise ValueError("one")
    with guarded("%s is left to pip", "y", brief=True):
        raise ValueError("two")
    first, second = said.records
    assert (first.getMessage(), second.getMessage()) == (
        "pipfast: x is left to pip", "pipfast: y is left to pip: ValueError('two')",
    )
    assert first.exc_info is not None and isinstance(first.exc_info[1], ValueError)
    assert second.exc_info is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_a_command_passes(error: type[BaseException]) -> None:
    """Ctrl-C is the user's."""
    with pytest.raises(error), guarded("nothing"):
        raise error


def test_interrupt_is_not_mistaken_for_a_surprise() -> None:
    """It may come while a condition has its lock given up, and turns into an error of the lock's."""
    condition = threading.Condition(threading.Lock())

    def interrupted() -> bool:
        condition._release_save()  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), guarded("nothing"), condition:
        condition.wait_for(interrupted)
