"""Turns at a server, and what its answers mean for them."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import pytest

from pipfast.fetch import servers
from pipfast.fetch.servers import Server
from pipfast.fetch.turns import LeftToPip, Turn


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


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that pip's own requests were held up for, which takes none."""
    seconds: list[float] = []
    monkeypatch.setattr(servers, "time", SimpleNamespace(monotonic=lambda: 1000.0, sleep=seconds.append))
    return seconds


def told_to_rest(rest_s: float, *, company: bool) -> Server:
    server = heard()
    if company:
        server.enter(own())
    turn = early()
    turn.target = "/a"
    server.enter(turn)
    server.answered(turn, 429, asks_for_rest=True, rest_s=rest_s)
    server.ended(turn)
    return server


@pytest.mark.parametrize(
    ("rest_s", "company", "target", "waits"),
    [
        (1, False, "/a", [1]),
        (90, False, "/a", [90]),
        (1, True, "/a", [1]),
        (90, True, "/a", []),
        (1, False, "/b", []),
    ],
)
def test_rest_is_for_pip_too(
    slept: list[float], rest_s: float, company: bool, target: str, waits: list[float]
) -> None:
    """What is asked for again has its rest; in company pip might not have been told so, and waits shortly only."""
    server = told_to_rest(rest_s, company=company)
    again = own()
    again.target = target
    server.enter(again)
    assert slept == waits
    server.enter(again)
    assert slept == waits


def test_pip_gives_a_server_time_to_see_what_was_broken_off(slept: list[float]) -> None:
    """It would count what it has not seen the end of as company."""
    server = heard()
    first, second = early("a"), early("b")
    server.two = True
    server.enter(first)
    server.enter(second)
    server.failed(first)
    assert second.dead
    server.failed(second)
    server.enter(own())
    assert slept == [pytest.approx(servers.GRACE_S)]


def test_ranges_that_hang_are_given_up_together() -> None:
    """Two seconds after the first, however slow the server is; what flows goes on."""
    server, slow = heard(), own()
    server.enter(slow)
    server.answered(slow, 200)
    server._slowest, server.two = 60.0, True
    killed: list[Turn] = []
    waits, hangs, flows, plain = (early(ranged=ranged) for ranged in (True, True, True, False))
    for turn, silence in ((waits, 2.5), (hangs, 1.0), (flows, 0.0), (plain, 0.0)):
        server.enter(turn)
        turn.kill, turn.silence = functools.partial(killed.append, turn), functools.partial(float, silence)
        if turn is not waits:
            server.answered(turn, 206 if turn.ranged else 200)
    server.look(waits.sent + 2.1)
    assert killed == [waits, hangs]
    assert (server.ranges, server.left) == (False, False)
    with pytest.raises(LeftToPip):
        server.enter(early("b", ranged=True))


def ranged_turn(server: Server) -> Turn:
    """Return a range under way, of which something has come."""
    turn = early(ranged=True)
    server.enter(turn)
    server.answered(turn, 206)
    return turn


def test_a_range_that_hangs_after_others_came_is_asked_for_once_more() -> None:
    """What is missing comes by one range at a time; the second that does not come was the last."""
    server = heard()
    server.two = True
    server.came(ranged_turn(server))
    for turn in (ranged_turn(server), ranged_turn(server)):
        turn.silence = lambda: 2.5
    server.look(turn.sent + 2.1)
    # Broken off, they fail; that is no second fault.
    for turn in list(server._under_way):
        assert turn.dead
        server.broke(turn)
    assert server.ranges
    again, waiting = ranged_turn(server), early("b", ranged=True)
    assert not server._has_room(waiting)
    server.came(again)
    assert server._has_room(waiting)
    server.broke(ranged_turn(server))
    with pytest.raises(LeftToPip):
        server.enter(waiting)


def test_what_we_give_up_is_no_fault_of_a_server() -> None:
    """Its thread still reads, and meets a broken connection."""
    server = heard()
    server.two = True
    plain = early()
    server.enter(plain)
    for turn in (ranged_turn(server), plain):
        turn.dead = True
        server.broke(turn)
    assert (server.ranges, server.narrow) == (True, False)
