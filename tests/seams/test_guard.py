"""A surprise in our own code goes to pip's."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.settings import Settings
from pipfast_hooks.attach import Hooks, SeamState, _Late
from pipfast_hooks.guard import guarded, or_original
from pipfast_hooks.seams import Seam

if TYPE_CHECKING:
    from pipfast_hooks.call import Call


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


def called(around: Any, original: Any) -> Any:
    """Call ``original`` with 1 through a seam that ``around`` stands around."""
    seam = Seam("module", "function", "program", ("number",), "module:around")
    late = _Late(Hooks(Settings(), "26.3", ()), SeamState(seam))
    late._function = around
    return late(original, None, (1,), {})


def test_function_that_fails_before_the_original_gives_way_to_it(said: pytest.LogCaptureFixture) -> None:
    """The original runs outside the handling of that error: its own traceback begins with itself."""

    @or_original("a number is left to pip")
    def around(call: Call) -> Any:
        raise LookupError

    def fails(number: int) -> int:
        raise ValueError(number)

    assert called(around, lambda number: number + 1) == 2
    assert [each.getMessage() for each in said.records] == ["pipfast: a number is left to pip"]
    with pytest.raises(ValueError) as raised:
        called(around, fails)
    assert raised.value.__context__ is None


def test_error_of_the_original_is_pips_and_so_is_one_after_it() -> None:
    """It is called once."""
    calls: list[int] = []

    def fails(number: int) -> int:
        calls.append(number)
        raise ValueError(number)

    @or_original("a number is left to pip")
    def around(call: Call) -> Any:
        return call.original()

    with pytest.raises(ValueError):
        called(around, fails)
    assert calls == [1]


def test_function_without_words_keeps_its_errors() -> None:
    """It may have written something by then."""

    def around(call: Call) -> Any:
        raise LookupError

    with pytest.raises(LookupError):
        called(around, lambda number: number)
