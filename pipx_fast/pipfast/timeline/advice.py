"""Advice: what a run waited for most, and what would have helped."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from pipfast.report import counted
from pipfast.settings import MAX_CONNECTIONS
from pipfast.timeline.figures import AFTERWARDS, is_exchange, lane_of, own_words, received_in
from pipfast.timeline.path import Step
from pipfast.timeline.phases import PHASES
from pipfast.timeline.words import in_bytes, in_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast.settings import Settings
    from pipfast.timeline.figures import Figures, Measured
    from pipfast.timeline.story import Row, Story

LARGE_BYTES = 8 << 20
"""Bytes of a file from which it comes in several ranges, if its server has ranges."""

LINES = 3
"""Lines of advice: more nobody reads."""

_ENOUGH = 0.8
"""Share of a lane's time on the path from which one thing is named as its reason."""

_FULL_BUSY = 0.85
"""Share of the processor from which more workers would gain nothing."""


class Advice(NamedTuple):
    """One reason why the run took as long as it did."""

    seconds: float
    """On the critical path."""
    what: str
    cure: str

    def line(self, total: float) -> str:
        """Return it as a line: ``72 % of 41 s was …: …``."""
        share = round(100 * self.seconds / total) if total > 0 else 0
        return f"{share} % of {in_seconds(total)} was {self.what}: {self.cure}"


def advise(story: Story, measured: Measured, settings: Settings, busy: float | None = None) -> list[str]:
    """Return three lines, what took longest first; the seconds of all advice add up to the run's.

    :param busy: the mean share of the processor that was in use, if that is known.
    """
    found = sorted(_Adviser(story, measured, settings, busy).all(), key=lambda each: -each.seconds)
    lines = [each.line(story.seconds) for each in found[:LINES]]
    return [*lines, *_facts(measured.figures)][:LINES]


def _facts(figures: Figures) -> list[str]:
    """Return what can be said of any run."""
    received = f"{in_bytes(figures.received)} at {in_bytes(figures.rate)}/s"
    told = (
        f"{counted(figures.requests, 'answer')} of servers, {received}",
        f"{figures.hits} of {counted(figures.hits + figures.misses, 'thing')} in caches",
        f"{counted(figures.packages, 'package')} installed",
    )
    return [f"in {in_seconds(figures.seconds)}: {each}" for each in told]


class _Adviser:
    def __init__(self, story: Story, measured: Measured, settings: Settings, busy: float | None) -> None:
        self._story, self._measured, self._settings, self._busy = story, measured, settings, busy
        self._lanes: dict[str, list[Step]] = defaultdict(list)
        for step in measured.path:
            self._lanes["queue" if step.is_queue else lane_of(step)].append(step)

    def all(self) -> Iterator[Advice]:
        if steps := self._lanes["pip"]:
            yield from self._pip(steps)
        if steps := self._lanes["queue"]:
            yield from self._queue(steps)
        if steps := [*self._lanes["index"], *self._lanes["metadata"]]:
            yield self._index(steps)
        if steps := self._lanes["download"]:
            yield self._download(steps)
        if steps := [*self._lanes["unpack"], *self._lanes["compile"]]:
            yield self._preparation(steps)
        if steps := self._lanes["build"]:
            yield self._build(steps)
        if steps := self._lanes["link"]:
            yield self._link(steps)

    def _pip(self, steps: list[Step]) -> Iterator[Advice]:
        resolving, others = list[Step](), list[Step]()
        for each in steps:
            (resolving if _words(each) == PHASES["resolve"].words else others).append(each)
        if resolving:
            pages = sum(row.lane == "index" for row in self._story.rows)
            yield Advice(
                _sum(resolving), f"pip's resolver, with {counted(pages, 'index page')} to choose from",
                "pinned versions (`pip lock`, or a constraints file) leave it little to choose",
            )
        if others:
            parts = {
                "its start": (
                    [each for each in others if _words(each) == PHASES["start"].words],
                    "one command for several packages starts once",
                ),
                "its checks after installing": (
                    [each for each in others if each.span is None and own_words(each, self._story) == AFTERWARDS],
                    "`--no-warn-conflicts` leaves out the longest",
                ),
            }
            longest = max(parts, key=lambda name: _sum(parts[name][0]))
            steps, cure = parts[longest]
            if 2 * _sum(steps) < _sum(others):
                longest, cure = "what it does between these steps", "fewer packages, or a faster processor"
            yield Advice(_sum(others), f"pip's own work, above all {longest}", cure)

    def _queue(self, steps: list[Step]) -> Iterator[Advice]:
        for_answers = [each for each in steps if lane_of(each) in ("index", "metadata", "download")]
        others = [each for each in steps if each not in for_answers]
        if for_answers:
            count = self._settings.connections
            yield Advice(
                _sum(for_answers), f"waiting for one of {counted(count, 'connection')} to be free",
                f"PIPFAST_CONNECTIONS={min(MAX_CONNECTIONS, 2 * count)}, if the server bears it",
            )
        if others:
            workers = counted(self._settings.workers, "worker")
            yield Advice(_sum(others), f"waiting for one of {workers} to be free", self._more_workers())

    def _index(self, steps: list[Step]) -> Advice:
        asked = [
            each for each in self._story.spans if is_exchange(each) and each.phase.lane in ("index", "metadata")
        ]
        if not asked:
            return Advice(_sum(steps), "reading index pages and metadata that were at hand",
                          "pinned versions need fewer of them")
        mean, row = sum(each.seconds for each in asked) / len(asked), self._heaviest(steps)
        host = f" to {row.host}" if row is not None and row.host else ""
        return Advice(
            _sum(steps),
            f"index pages and metadata, {counted(len(asked), 'request')}{host} of {in_seconds(mean)} each",
            "a nearer index or a caching proxy; pinned versions ask for fewer",
        )

    def _download(self, steps: list[Step]) -> Advice:
        seconds, row = _sum(steps), self._heaviest(steps)
        stored = [each for each in steps if each.span is not None and each.span.facts.get("cache") == "store"]
        if row is None or _sum(stored) > seconds / 2:
            return Advice(seconds, "reading stored archives again, to be sure of them",
                          "a faster disk; nothing is received again")
        parts = [each for each in row.spans if is_exchange(each)]
        size = sum(map(received_in, parts))
        rate = in_bytes(size / max(row.ended - row.began, 1e-6))
        file = f"{row.name} ({in_bytes(size)} at {rate}/s)"
        if self._share(steps, row) < _ENOUGH:
            files, figures = sum(each.lane == "download" for each in self._story.rows), self._measured.figures
            received = f"{in_bytes(figures.received)} at {in_bytes(figures.rate)}/s"
            return Advice(
                seconds, f"{counted(files, 'download')}, {received}",
                f"a nearer mirror, or a store that is kept; the slowest was {file}",
            )
        through = "one connection" if len(parts) < 2 else counted(len(parts), "connection")
        cure = "the next run has it in the store"
        if len(parts) < 2 and size >= LARGE_BYTES:
            cure = f"a server that answers range requests would send it in parts; {cure}"
        return Advice(seconds, f"{through}{f' to {row.host}' if row.host else ''}", f"{file}; {cure}")

    def _preparation(self, steps: list[Step]) -> Advice:
        row = self._heaviest(steps)
        files = sum(_int(each.facts.get("files")) for each in self._story.spans if each.phase.lane == "compile")
        above_all = f", above all of {row.name}" if row is not None else ""
        return Advice(
            _sum(steps), f"unpacking wheels and compiling {counted(files, 'source')}{above_all}",
            f"the next environment on this machine has it from the store; {self._more_workers()}",
        )

    def _build(self, steps: list[Step]) -> Advice:
        row = self._heaviest(steps)
        spans = [each for each in self._story.spans if each.phase.lane == "build"]
        failed = sum(bool(each.facts.get("failed")) for each in spans)
        cure = "a wheel of it, built once and kept on an index"
        if failed:
            cure = f"{cure}; {counted(failed, 'call')} of build hooks failed"
        name = row.name.partition(":")[0] if row is not None else "a source"
        return Advice(_sum(steps), f"the build of {name}", cure)

    def _link(self, steps: list[Step]) -> Advice:
        spans = [each for each in self._story.spans if each.phase.lane == "link"]
        files = sum(_int(each.facts.get("files")) for each in spans)
        by_pip = [each for each in steps if each.span is not None and each.span.facts.get("how") == "pip"]
        if _sum(by_pip) > _sum(steps) / 2:
            return Advice(_sum(steps), "pip's own placing of wheels", "`-vv` says why they were left to pip")
        return Advice(
            _sum(steps), f"placing {counted(files, 'file')}",
            "where the store is on the environment's own filesystem, they are links or clones",
        )

    def _more_workers(self) -> str:
        if self._busy is None:
            return "more cores would help"
        if self._busy > _FULL_BUSY:
            return "the processor was full, so that only more cores would help"
        workers = self._settings.workers + 1
        return f"the processor was {round(100 * self._busy)} % in use, and PIPFAST_WORKERS={workers} may use more"

    def _heaviest(self, steps: list[Step]) -> Row | None:
        seconds = self._seconds_of(steps)
        number = max(seconds, key=lambda each: seconds[each], default=None)
        return None if number is None else self._story.rows[number]

    def _share(self, steps: list[Step], row: Row) -> float:
        return self._seconds_of(steps)[row.number] / max(_sum(steps), 1e-9)

    def _seconds_of(self, steps: list[Step]) -> dict[int, float]:
        found: dict[int, float] = defaultdict(float)
        for step in steps:
            if step.span is not None and step.span.number in self._story.row_of:
                found[self._story.row_of[step.span.number].number] += step.seconds
        return found


def _words(step: Step) -> str:
    return step.span.phase.words if step.span is not None else ""


def _sum(steps: list[Step]) -> float:
    return sum(each.seconds for each in steps)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
