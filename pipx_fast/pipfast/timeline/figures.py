"""Figures of a run: counts, bytes, rates, and what ran at once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from pipfast.timeline.path import critical_path
from pipfast.timeline.phases import CACHES, LANES, PHASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipfast.timeline.path import Step
    from pipfast.timeline.story import Row, Span, Story

AFTERWARDS = "pip itself, after installing"

Interval = tuple[float, float]
Level = tuple[float, float]
"""From when on, in seconds, and how many."""


class Figures(NamedTuple):
    """What is counted of one run."""

    seconds: float
    packages: int
    """Wheels that were placed."""
    requests: int
    """Answers of servers, those that said that nothing has changed among them."""
    received: int
    """Bytes of them: of files and pages, as they came over the network."""
    receiving: float
    """Seconds in which at least one connection was in use."""
    hits: int
    """Rows whose content a cache had."""
    misses: int
    lanes: Mapping[str, float]
    """Seconds of the critical path in each lane; together they are the run's."""
    busy: Mapping[str, float]
    """Seconds in which anything went on in a lane."""

    @property
    def rate(self) -> float:
        """Return bytes a second while anything was received."""
        return self.received / self.receiving if self.receiving else 0.0

    def as_data(self) -> dict[str, Any]:
        """Return them as plain data."""
        return {**self._asdict(), "lanes": dict(self.lanes), "busy": dict(self.busy)}

    @classmethod
    def from_data(cls, data: Any) -> Figures | None:
        """Return what ``as_data`` returned; None if it is something else: it was read from a file."""
        try:
            lanes, busy = (
                {lane: float(data[name].get(lane, 0.0)) for lane in LANES} for name in ("lanes", "busy")
            )
            seconds, receiving = float(data["seconds"]), float(data["receiving"])
            whole = {name: int(data[name]) for name in ("packages", "requests", "received", "hits", "misses")}
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError):
            return None
        return cls(seconds=seconds, receiving=receiving, lanes=lanes, busy=busy, **whole)


class Measured(NamedTuple):
    """A run's path, figures and what ran at once."""

    path: list[Step]
    figures: Figures
    connections: list[Level]
    workers: list[Level]


def measure(story: Story, own: int) -> Measured:
    """Measure a run.

    :param own: the process of pip itself.
    """
    path = critical_path(story.spans, story.main, story.seconds)
    lanes: dict[str, float] = defaultdict(float)
    for step in path:
        lanes[lane_of(step)] += step.seconds
    asked = [each for each in story.spans if is_exchange(each)]
    places, outcomes = PHASES["place"], [outcome_of(row) for row in story.rows]
    intervals: dict[str, list[Interval]] = defaultdict(list)
    for row in story.rows:
        intervals[row.lane] += [(each.began, each.ended) for each in row.spans]
    figures = Figures(
        seconds=story.seconds,
        packages=len({each.name for each in story.spans if each.phase is places and not each.facts.get("failed")}),
        requests=len(asked),
        received=sum(map(received_in, asked)),
        receiving=covered((each.began, each.ended) for each in asked),
        hits=outcomes.count("hit"),
        misses=outcomes.count("miss"),
        lanes={lane: lanes[lane] for lane in LANES},
        busy={lane: covered(intervals[lane]) for lane in LANES},
    )
    working = [each for each in story.spans if not isinstance(each.thread, int) and each.thread[0] != own
               and each.phase.lane in ("unpack", "compile", "link", "download")]
    return Measured(path, figures, levels(asked), levels(working))


def is_exchange(span: Span) -> bool:
    """Tell whether a span is one request and its answer over the network."""
    asks = span.phase.words in (PHASES["segment"].words, PHASES["ranged"].words, PHASES["request"].words)
    return asks and span.facts.get("cache") in ("network", "again")


def received_in(span: Span) -> int:
    """Return the bytes that came over the network in a span."""
    size = span.facts.get("bytes")
    return size if is_exchange(span) and isinstance(size, int) else 0


def lane_of(step: Step) -> str:
    """Return the lane that a step of the path counts for."""
    return step.span.phase.lane if step.span is not None else "pip"


def own_words(step: Step, story: Story) -> str:
    """Return what pip's thread was about in a step in which nothing was noted."""
    if step.began >= story.placed:
        return AFTERWARDS
    return "pip itself, before it resolves" if step.ended <= story.resolving else "pip itself"


def outcome_of(row: Row) -> str:
    """Return whether what a row is about was in a cache; empty where none was asked."""
    cache = CACHES.get(row.cache)
    return cache.outcome if cache is not None else ""


def covered(intervals: Iterable[Interval]) -> float:
    """Return the length of the union of intervals."""
    total, until = 0.0, 0.0
    for began, ended in sorted(intervals):
        if ended > until:
            total += ended - max(began, until)
            until = ended
    return total


def levels(spans: Sequence[Span]) -> list[Level]:
    """Return how many spans there are at once, at each moment at which that changes."""
    changes: dict[float, int] = defaultdict(int)
    for span in spans:
        changes[span.began] += 1
        changes[span.ended] -= 1
    level, found = 0, [(0.0, 0.0)]
    for at in sorted(changes):
        if changes[at]:
            level += changes[at]
            found.append((at, float(level)))
    return found


def peak(found: Iterable[Level]) -> int:
    """Return the highest level."""
    return int(max((level for _, level in found), default=0))

