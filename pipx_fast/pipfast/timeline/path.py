"""Critical path: the chain of spans that decided when the run ended."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipfast.timeline.events import Thread
    from pipfast.timeline.story import Span

SLACK_S = 0.002
"""Seconds from the end of what was waited for to the end of the waiting: a thread wakes up no sooner."""


class Step(NamedTuple):
    """A stretch of the path, in seconds since the run began. Each begins where the one before has ended."""

    began: float
    ended: float
    span: Span | None
    """None: pip's own thread did something that nobody noted."""
    is_queue: bool = False
    """It had been asked for, and there was no connection or worker for it."""

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return self.ended - self.began


class _Stretch(NamedTuple):
    began: float
    ended: float
    span: Span


def critical_path(spans: Sequence[Span], main: Thread, seconds: float) -> list[Step]:
    """Return the path from 0 to ``seconds``, whose steps add up to that.

    It is followed backwards from the end, on pip's thread. Where that thread waits, the path goes over to what it
    waited for; at the beginning of a span to whoever asked for it, or, if it was asked for before, to what kept
    its connection or worker busy.
    """
    return _Path(spans, main).follow(seconds)


class _Path:
    def __init__(self, spans: Sequence[Span], main: Thread) -> None:
        self._main = main
        threads: dict[Thread, list[Span]] = defaultdict(list)
        self._by_key: dict[str, list[Span]] = defaultdict(list)
        for span in spans:
            threads[span.thread].append(span)
            if not span.phase.waits and not span.phase.is_part:
                for key in span.keys:
                    self._by_key[key].append(span)
        self._stretches = {thread: _leaves(found) for thread, found in threads.items()}
        self._ends = {thread: [each.ended for each in found] for thread, found in self._stretches.items()}
        self._met: set[int | tuple[int, float]] = set()
        self._steps: list[Step] = []

    def follow(self, seconds: float) -> list[Step]:
        at, thread = seconds, self._main
        while at > 0.0:
            at, thread = self._before(at, thread)
        return _joined(reversed(self._steps))

    def _before(self, at: float, thread: Thread) -> tuple[float, Thread]:
        """Add what was done until then by a thread; return when that began, and whose thread comes before."""
        stretch, earlier = self._until(at, thread)
        if stretch is None:
            if thread != self._main:
                return at, self._main
            self._steps.append(Step(earlier, at, None))
            return earlier, thread
        span = stretch.span
        awaited = self._awaited(span, at) if span.on else None
        if awaited is not None:
            self._met.add(awaited.number)
            if awaited.ended < at:
                self._steps.append(Step(awaited.ended, at, span))
            at = min(at, awaited.ended)
            return self._through(awaited, at)
        working = self._under_way(span, at) if span.on else None
        if working is not None:
            return at, working.thread
        began = stretch.began
        self._steps.append(Step(began, at, span))
        if thread == self._main or began > span.began:
            return began, thread
        return self._asker(span, began)

    def _through(self, span: Span, at: float) -> tuple[float, Thread]:
        if span.began < at:
            self._steps.append(Step(span.began, at, span))
            at = span.began
        return self._asker(span, at)

    def _asker(self, span: Span, at: float) -> tuple[float, Thread]:
        """Go from the beginning of a span to the reason why it did not begin sooner."""
        asked = min(span.asked, at)
        if asked >= at - SLACK_S or span.thread == self._main:
            return at, span.by
        _, busy_until = self._until(at, span.thread)
        until = max(asked, busy_until)
        self._steps.append(Step(until, at, span, is_queue=True))
        return until, span.thread if until > asked else span.by

    def _awaited(self, span: Span, at: float) -> Span | None:
        """Return what a waiting span got in the end: the last thing of that key that ended in it."""
        found = [
            each for each in self._by_key.get(span.on, ())
            if span.began < each.ended <= at + SLACK_S
            and each.thread != span.thread and each.number not in self._met
        ]
        return max(found, key=lambda each: each.ended, default=None)

    def _under_way(self, span: Span, at: float) -> Span | None:
        """Return what another thread still does then of what a span waits for a part of, once."""
        for each in self._by_key.get(span.on, ()):
            is_new = each.thread != span.thread and (each.number, at) not in self._met
            if is_new and each.began < at < each.ended:
                self._met.add((each.number, at))
                return each
        return None

    def _until(self, at: float, thread: Thread) -> tuple[_Stretch | None, float]:
        """Return the stretch of a thread that lasts until then, or beyond, and the end of the one before it."""
        stretches = self._stretches.get(thread, [])
        index = bisect_left(self._ends.get(thread, []), at)
        found = stretches[index] if index < len(stretches) and stretches[index].began < at else None
        return found, stretches[index - 1].ended if index else 0.0


def _leaves(spans: Iterable[Span]) -> list[_Stretch]:
    """Return what a thread was about: of spans within each other, the innermost one."""
    found: list[_Stretch] = []
    open_spans: list[Span] = []
    at = 0.0

    def advance(until: float) -> None:
        nonlocal at
        while open_spans and open_spans[-1].ended <= until:
            span = open_spans.pop()
            if span.ended > at:
                found.append(_Stretch(at, span.ended, span))
                at = span.ended
        if open_spans and until > at:
            found.append(_Stretch(at, until, open_spans[-1]))
        at = max(at, until)

    for span in sorted(spans, key=lambda each: (each.began, -each.ended)):
        advance(span.began)
        open_spans.append(span)
    advance(math.inf)
    return found


def _joined(steps: Iterable[Step]) -> list[Step]:
    """Join neighbours that are about the same."""
    joined: list[Step] = []
    for step in steps:
        last = joined[-1] if joined else None
        if last is not None and last.span is step.span and last.is_queue == step.is_queue:
            joined[-1] = last._replace(ended=step.ended)
        else:
            joined.append(step)
    return joined
