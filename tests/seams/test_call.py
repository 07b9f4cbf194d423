"""Arguments of a seam, by the parameters' names."""

from __future__ import annotations

from typing import Any

import pytest

from pipfast_hooks.call import Call


def passed(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def call(*args: Any, **kwargs: Any) -> Call:
    return Call(passed, None, args, kwargs, {"link": 0, "location": 1, "hashes": 2})


@pytest.mark.parametrize("made", [call("L", "P"), call("L", location="P"), call(location="P", link="L")])
def test_argument_is_known_by_name_however_it_was_passed(made: Call) -> None:
    """What pip has not passed is not there."""
    assert (made["link"], made["location"], made.get("location")) == ("L", "P", "P")
    assert "link" in made and "hashes" not in made and "another" not in made
    assert (made.get("hashes"), made.get("hashes", 3)) == (None, 3)
    with pytest.raises(KeyError):
        _ = made["hashes"]


def test_original_gets_what_was_passed_as_it_was_passed() -> None:
    """By position stays by position, by name by name."""
    assert call("L", location="P", further=1).original() == (("L",), {"location": "P", "further": 1})


def test_one_argument_takes_the_place_of_pips() -> None:
    """Where pip had it; what pip did not pass is added by name, and the call itself stays as it was."""
    made = call("L", location="P")
    assert made.original(link="M") == (("M",), {"location": "P"})
    assert made.original(location="Q") == (("L",), {"location": "Q"})
    assert made.original(hashes=1, new=2) == (("L",), {"location": "P", "hashes": 1, "new": 2})
    assert made.original() == (("L",), {"location": "P"})
