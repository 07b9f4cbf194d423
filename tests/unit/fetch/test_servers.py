"""Who may ask a server, and what its answers mean."""

from __future__ import annotations

import pytest

from pipfast.fetch.servers import LeftToPip, Server, Turn


def own() -> Turn:
    return Turn(early=False, is_open=lambda: True)


def early(url: str = "a", *, ranged: bool = False) -> Turn:
    return Turn(early=True, url=url, is_open=lambda: True, ranged=ranged)


def heard() -> Server:
    server, first = Server(), own()
    server.enter(first)
    server.answered(first, 200)
    server.ended(first)
    return server


def test_two_answers_at_once_open_a_server() -> None:
    """Whoever is answered while another one has been, over a connection that is open, shows it."""
    server = heard()
    first, second = own(), early()
    server.enter(first)
    server.enter(second)
    server.answered(first, 200)
    assert not server.two
    server.answered(second, 200)
    assert server.two


def test_one_after_the_other_shows_nothing() -> None:
    """A connection that was closed in between is what a single thread needs, too."""
    server = heard()
    first, second = own(), early()
    server.enter(first)
    server.enter(second)
    server.answered(first, 200)
    server.ended(first)
    first.is_open = lambda: False
    server.answered(second, 200)
    assert not server.two


@pytest.mark.parametrize("status", [429, 500, 503, 401, 407])
def test_refusal_in_company_leaves_a_server_to_pip(status: int) -> None:
    server = heard()
    first, second = own(), early()
    server.enter(first)
    server.enter(second)
    server.answered(second, status)
    assert server.left
    assert not server.is_answer(second)
    with pytest.raises(LeftToPip):
        server.enter(early("b"))


@pytest.mark.parametrize(("alone", "left"), [(404, False), (200, True)])
def test_refusal_that_may_be_honest_is_judged_by_pips_own(alone: int, left: bool) -> None:
    """If pip, alone, is refused in the same way, company was not the reason."""
    server = heard()
    first, second = own(), early()
    server.enter(first)
    server.enter(second)
    server.answered(second, 404)
    assert server.doubted == {"a": 404}
    server.ended(second)
    server.judge("a", 404, alone)
    assert (server.left, server.is_answer(second)) == (left, not left)


def test_refused_range_costs_ranges_only() -> None:
    server = heard()
    turn = early(ranged=True)
    server.enter(turn)
    server.answered(turn, 416)
    assert (server.ranges, server.left) == (False, False)
    with pytest.raises(LeftToPip):
        server.enter(early("b", ranged=True))


def test_stall_is_broken_off() -> None:
    """Two seconds after it was sent."""
    server = heard()
    killed: list[Turn] = []
    turn = early()
    server.enter(turn)
    turn.kill, turn.silence = lambda: killed.append(turn), lambda: 2.5
    server.look(turn.sent + 1.9)
    assert not killed
    server.look(turn.sent + 2.1)
    assert killed == [turn]
    assert server.left
