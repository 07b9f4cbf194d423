"""The critical path of graphs made by hand."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from pipfast.timeline.path import critical_path

if TYPE_CHECKING:
    from pipfast.timeline.events import Thread
    from support.told import Told

FIRST, SECOND, WORKER = 101, 102, (7, 1)


def path_of(told: Told, seconds: float) -> list[tuple[str, float, float]]:
    """Return the path's steps: what, from, to. ``-`` is pip itself; a wait for a turn ends with ``?``."""
    story = told.story(seconds)
    steps = critical_path(story.spans, story.main, seconds)
    assert sum(step.seconds for step in steps) == pytest.approx(seconds)
    assert [step.began for step in steps] == pytest.approx([0.0, *(step.ended for step in steps[:-1])])
    return [
        ("-" if step.span is None else f"{step.span.name}{'?' if step.is_queue else ''}",
         round(step.began, 6), round(step.ended, 6))
        for step in steps
    ]


def test_nothing_noted_is_pips_own(told: Told) -> None:
    assert path_of(told, 3.0) == [("-", 0.0, 3.0)]


def test_one_thread_alone(told: Told) -> None:
    told.add("resolve", 1.0, 4.0, name="r")
    told.add("page", 2.0, 3.0, name="p")
    told.add("place", 5.0, 6.0, name="l")
    assert path_of(told, 6.5) == [
        ("-", 0.0, 1.0), ("r", 1.0, 2.0), ("p", 2.0, 3.0), ("r", 3.0, 4.0), ("-", 4.0, 5.0), ("l", 5.0, 6.0),
        ("-", 6.0, 6.5),
    ]


def test_waiting_goes_over_to_what_was_awaited(told: Told) -> None:
    """What pip did between asking and waiting is not on the path: the download went on meanwhile."""
    told.add("download", 1.0, 5.0, FIRST, key="a", name="a", asked=1.0, by=told.main)
    told.add("resolve", 1.5, 3.0, name="r")
    told.add("wait", 4.0, 5.0, on="a", name="w")
    assert path_of(told, 6.0) == [("-", 0.0, 1.0), ("a", 1.0, 5.0), ("-", 5.0, 6.0)]


def test_what_was_there_in_time_is_not_on_the_path(told: Told) -> None:
    told.add("download", 1.0, 2.0, FIRST, key="a", name="a", asked=1.0, by=told.main)
    told.add("wait", 4.0, 4.001, on="a", name="w")
    assert path_of(told, 6.0) == [("-", 0.0, 4.0), ("w", 4.0, 4.001), ("-", 4.001, 6.0)]


def test_the_longer_of_two_counts(told: Told) -> None:
    told.add("download", 1.0, 3.0, FIRST, key="a", name="a", asked=1.0, by=told.main)
    told.add("download", 1.0, 5.0, SECOND, key="b", name="b", asked=1.0, by=told.main)
    told.add("wait", 1.0, 3.0, on="a", name="w")
    told.add("wait", 3.0, 5.0, on="b", name="v")
    assert path_of(told, 5.0) == [("-", 0.0, 1.0), ("b", 1.0, 5.0)]


def test_a_busy_connection_is_the_reason(told: Told) -> None:
    """The second file was asked for with the first one, and there was one connection."""
    told.add("download", 1.0, 4.0, FIRST, key="a", name="a", asked=1.0, by=told.main)
    told.add("download", 4.2, 5.0, FIRST, key="b", name="b", asked=1.0, by=told.main)
    told.add("wait", 2.0, 5.0, on="b", name="w")
    assert path_of(told, 5.0) == [("-", 0.0, 1.0), ("a", 1.0, 4.0), ("b?", 4.0, 4.2), ("b", 4.2, 5.0)]


def test_a_turn_that_nobody_held(told: Told) -> None:
    told.add("download", 3.0, 5.0, FIRST, key="b", name="b", asked=1.0, by=told.main)
    told.add("wait", 2.0, 5.0, on="b", name="w")
    assert path_of(told, 5.0) == [("-", 0.0, 1.0), ("b?", 1.0, 3.0), ("b", 3.0, 5.0)]


def test_a_chain_through_three_threads(told: Told) -> None:
    """A file arrives, a worker unpacks and compiles it, pip places it."""
    told.add("download", 1.0, 3.0, FIRST, key="a", digest="d", name="a", asked=1.0, by=told.main)
    told.add("unpack", 3.5, 4.0, WORKER, digest="d", name="u", asked=3.0, by=FIRST)
    told.add("compile", 4.0, 6.0, WORKER, digest="d", name="c", asked=4.0, by=WORKER)
    told.add("prepare", 1.2, 6.0, on="d", name="w")
    told.add("place", 6.0, 7.0, name="l")
    assert path_of(told, 7.0) == [
        ("-", 0.0, 1.0), ("a", 1.0, 3.0), ("u?", 3.0, 3.5), ("u", 3.5, 4.0), ("c", 4.0, 6.0), ("l", 6.0, 7.0),
    ]


def test_waiting_for_a_part_of_something_that_goes_on(told: Told) -> None:
    """pip needs the environment of a build, which is built on."""
    told.add("build", 1.0, 9.0, FIRST, key="build b", name="b", asked=1.0, by=told.main)
    told.add("environment", 2.0, 4.0, FIRST, name="e")
    told.add("wait", 1.0, 4.0, on="build b", name="w")
    assert path_of(told, 5.0) == [("-", 0.0, 1.0), ("b", 1.0, 2.0), ("e", 2.0, 4.0), ("-", 4.0, 5.0)]


def test_waiting_for_what_nobody_noted(told: Told) -> None:
    told.add("wait", 1.0, 4.0, on="unknown", name="w")
    assert path_of(told, 5.0) == [("-", 0.0, 1.0), ("w", 1.0, 4.0), ("-", 4.0, 5.0)]


def test_waking_up_is_the_waiters(told: Told) -> None:
    told.add("download", 0.0, 3.0, FIRST, key="a", name="a", asked=0.0, by=told.main)
    told.add("wait", 1.0, 3.5, on="a", name="w")
    assert path_of(told, 3.5) == [("a", 0.0, 3.0), ("w", 3.0, 3.5)]


@pytest.mark.parametrize("seed", range(60))
def test_any_events_make_a_whole_path(told: Told, seed: int) -> None:
    """Overlapping, empty, asked for late or by threads that nobody knows: the steps still add up, and it ends."""
    drawn = random.Random(seed)
    threads: list[Thread] = [told.main, FIRST, SECOND, WORKER, 999]
    for _ in range(80):
        began, took = drawn.choice([drawn.uniform(0, 9), 3.0]), drawn.choice([0.0, drawn.uniform(0, 3)])
        facts = {"key": drawn.choice("abc"), "asked": drawn.uniform(0, 10), "by": drawn.choice(threads)}
        if drawn.random() < 0.4:
            facts["on"] = drawn.choice("abcd")
        told.add(drawn.choice(["wait", "download", "segment", "place", "what"]), began, began + took,
                 drawn.choice(threads), **facts)
    path_of(told, 10.0)
