"""Rows, figures and advice of runs made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast.settings import Settings
from pipfast.timeline.advice import advise
from pipfast.timeline.figures import Figures, Measured, covered, levels, measure, outcome_of, peak
from pipfast.timeline.words import in_bytes, in_seconds

if TYPE_CHECKING:
    from pipfast.timeline.events import Thread
    from pipfast.timeline.story import Row, Story
    from support.told import Told

WHEEL = "https://user:secret@files.example.org/a/demo-1.0-py3-none-any.whl?key=hidden"
FETCHER, WORKER = 101, (7, 1)


def measured(told: Told, seconds: float) -> tuple[Story, Measured]:
    story = told.story(seconds)
    return story, measure(story, told.recorder.pid)


def row(story: Story, lane: str, name: str) -> Row:
    (found,) = [each for each in story.rows if (each.lane, each.name) == (lane, name)]
    return found


def install(told: Told, *, size: int = 800, ranged: int = 1) -> None:
    """Tell of one wheel that is fetched, unpacked, compiled and placed: 10 seconds, 8 of them the download."""
    page = "https://index.example.org/simple/demo/"
    told.add("start", 0.0, 0.2)
    told.add("resolve", 0.2, 1.0)
    told.add("request", 0.3, 0.5, 55, key=page, bytes=50, cache="network", asked=0.2, by=told.main)
    told.add("page", 0.2, 0.6, name="demo", key=page)
    told.add("wait", 0.25, 0.5, on=page)
    told.add("download", 1.0, 9.0, FETCHER, key=WHEEL, bytes=size, digest="d" * 64, cache="network",
             asked=1.0, by=told.main)
    for _ in range(ranged):
        told.add("segment", 1.0, 9.0, FETCHER, key=WHEEL, bytes=size // ranged, cache="network", ranged=ranged > 1)
    told.add("wait", 1.0, 9.0, on=WHEEL)
    told.add("unpack", 9.0, 9.4, WORKER, digest="d" * 64, bytes=2000, asked=9.0, by=FETCHER)
    told.add("compile", 9.4, 9.6, WORKER, digest="d" * 64, files=3, asked=9.4, by=WORKER)
    told.add("prepare", 9.1, 9.6, name="demo", on="d" * 64)
    told.add("place", 9.6, 9.9, name="demo", files=5)


def test_rows_are_named_and_without_secrets(told: Told) -> None:
    install(told)
    story = told.story(10.0)
    name = "demo-1.0-py3-none-any.whl"
    assert {(each.lane, each.name) for each in story.rows} == {
        ("pip", "starting"), ("pip", "resolving"), ("index", "demo"), ("download", name), ("unpack", name),
        ("compile", name), ("link", "demo"),
    }
    assert row(story, "download", name).host == "files.example.org"
    assert row(story, "download", name).size == 800


def test_who_waited_for_whom(told: Told) -> None:
    install(told)
    story, name = told.story(10.0), "demo-1.0-py3-none-any.whl"
    assert row(story, "download", name).waited == pytest.approx(8.0)
    assert row(story, "index", "demo").waited == pytest.approx(0.25)
    assert row(story, "unpack", name).after is row(story, "download", name)
    assert row(story, "compile", name).after is row(story, "unpack", name)


def test_what_kept_the_connection_busy(told: Told) -> None:
    for number in range(2):
        told.add("download", 1.0 + 3 * number, 4.0 + 3 * number, FETCHER, key=f"https://host/{number}.whl",
                 asked=1.0, by=told.main, cache="network", bytes=1)
    story = told.story(8.0)
    first, second = row(story, "download", "0.whl"), row(story, "download", "1.whl")
    assert (first.after, second.after) == (None, first)
    assert [first.queued, second.queued] == pytest.approx([0.0, 3.0])


def test_figures(told: Told) -> None:
    install(told)
    story, found = measured(told, 10.0)
    figures = found.figures
    assert (figures.packages, figures.requests, figures.received) == (1, 2, 850)
    assert figures.receiving == pytest.approx(8.2) and figures.rate == pytest.approx(850 / 8.2)
    assert (figures.hits, figures.misses) == (0, 3)
    assert outcome_of(row(story, "link", "demo")) == "miss"
    assert sum(figures.lanes.values()) == pytest.approx(10.0)
    assert figures.lanes["download"] == pytest.approx(8.0)
    assert figures.busy["unpack"] == pytest.approx(0.4)
    assert (peak(found.connections), peak(found.workers)) == (1, 1)
    assert Figures.from_data(figures.as_data()) == figures


def test_wheel_that_was_prepared_before_is_a_hit(told: Told) -> None:
    told.add("check", 0.5, 0.6, 55, key=WHEEL, digest="d" * 64, cache="store", bytes=800)
    told.add("read", 0.1, 0.4, WORKER, digest="d" * 64, cache="store", bytes=800)
    told.add("prepare", 0.7, 0.7, name="demo", on="d" * 64)
    told.add("arrange", 0.2, 0.3, WORKER, digest="d" * 64)
    told.add("place", 0.7, 0.9, name="demo")
    story, found = measured(told, 1.0)
    assert [(each.lane, each.name, each.cache) for each in story.rows] == [
        ("download", "demo-1.0-py3-none-any.whl", "store"), ("link", "demo", "prepared"),
    ]
    assert (found.figures.hits, found.figures.received, found.figures.requests) == (2, 0, 0)


@pytest.mark.parametrize("data", [
    None, [], {}, {"seconds": 1}, {"seconds": "x", "receiving": 0, "lanes": {}, "busy": {}},
    {"seconds": 1, "receiving": 0, "lanes": 3, "busy": {}},
], ids=repr)
def test_figures_of_a_damaged_file(data: object) -> None:
    assert Figures.from_data(data) is None


def test_levels_and_unions(told: Told) -> None:
    told.add("download", 1.0, 3.0, 1)
    told.add("download", 2.0, 5.0, 2)
    told.add("download", 3.0, 4.0, 1)
    assert levels(told.story(6.0).spans) == [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (4.0, 1.0), (5.0, 0.0)]
    assert covered([(1, 3), (2, 5), (7, 8), (7.5, 7.6)]) == 5.0


def lines(told: Told, seconds: float, busy: float | None = None) -> list[str]:
    found = advise(*measured(told, seconds), Settings(workers=2), busy)
    assert len(found) == 3
    return found


def test_advice_names_the_one_connection(told: Told) -> None:
    install(told, size=20 << 20)
    assert lines(told, 10.0)[0] == (
        "80 % of 10.0 s was one connection to files.example.org: demo-1.0-py3-none-any.whl (21.0 MB at 2.6 MB/s); "
        "a server that answers range requests would send it in parts; the next run has it in the store"
    )


def test_advice_counts_connections(told: Told) -> None:
    install(told, size=20 << 20, ranged=4)
    assert lines(told, 10.0)[0].startswith("80 % of 10.0 s was 4 connections to files.example.org: demo-1.0")


def test_advice_of_a_build(told: Told) -> None:
    told.add("hook", 1.0, 2.0, key="h", name="needy: get_requires_for_build_wheel", failed=True)
    told.add("hook", 2.0, 9.0, key="h", name="needy: get_requires_for_build_wheel")
    assert lines(told, 10.0)[0] == (
        "80 % of 10.0 s was the build of needy: a wheel of it, built once and kept on an index; "
        "1 call of build hooks failed"
    )


@pytest.mark.parametrize(("busy", "said"), [
    (0.4, "the processor was 40 % in use, and PIPFAST_WORKERS=3 may use more"),
    (0.97, "the processor was full, so that only more cores would help"), (None, "more cores would help"),
])
def test_advice_of_workers(told: Told, busy: float | None, said: str) -> None:
    told.add("compile", 0.0, 9.0, WORKER, digest="d" * 64, files=500, asked=0.0, by=told.main)
    told.add("prepare", 0.0, 9.0, name="demo", on="d" * 64)
    assert lines(told, 10.0, busy)[0] == (
        "90 % of 10.0 s was unpacking wheels and compiling 500 sources, above all of demo: the next environment "
        f"on this machine has it from the store; {said}"
    )


@pytest.mark.parametrize(("phase", "thread", "said"), [
    ("download", FETCHER, "8 connections to be free: PIPFAST_CONNECTIONS=16, if the server bears it"),
    ("request", FETCHER, "8 connections to be free: PIPFAST_CONNECTIONS=16, if the server bears it"),
    ("unpack", WORKER, "2 workers to be free: more cores would help"),
])
def test_advice_where_something_had_to_queue(told: Told, phase: str, thread: Thread, said: str) -> None:
    told.add(phase, 9.0, 10.0, thread, key="https://host/simple/x/", asked=1.0, by=told.main)
    told.add("wait", 1.0, 10.0, on="https://host/simple/x/")
    assert lines(told, 10.0)[0] == f"80 % of 10.0 s was waiting for one of {said}"


@pytest.mark.parametrize(("events", "said"), [
    ({"start": (0.0, 6.0)}, "its start: one command for several packages starts once"),
    ({"place": (0.0, 1.0)}, "its checks after installing: `--no-warn-conflicts` leaves out the longest"),
    ({"wait": (0.0, 9.0)}, "what it does between these steps: fewer packages, or a faster processor"),
])
def test_advice_about_pip_itself(told: Told, events: dict[str, tuple[float, float]], said: str) -> None:
    for phase, (began, ended) in events.items():
        told.add(phase, began, ended)
    assert lines(told, 10.0)[0].endswith(f"was pip's own work, above all {said}")


def test_advice_where_nothing_happened(told: Told) -> None:
    assert lines(told, 0.5)[0].startswith("100 % of 0.50 s was pip's own work")


@pytest.mark.parametrize(("seconds", "said"), [
    (0.0, "0 ms"), (0.0123, "12 ms"), (0.42, "0.42 s"), (41.04, "41.0 s"), (185.9, "3 min 5 s"),
])
def test_seconds(seconds: float, said: str) -> None:
    assert in_seconds(seconds) == said


@pytest.mark.parametrize(("size", "said"), [
    (0, "0 B"), (999, "999 B"), (4200, "4.2 kB"), (83_100_000, "83.1 MB"), (812e6, "812 MB"), (1.2e9, "1.2 GB"),
])
def test_bytes(size: float, said: str) -> None:
    assert in_bytes(size) == said
