"""A run's events as spans and rows, with names to be shown."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pipfast.address import file_name, redacted, shown
from pipfast.timeline.phases import CACHES, OTHER, PHASES, Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipfast.timeline.events import Event, Recorder, Thread

_LONGEST = 160
"""Characters of a name that are shown: names are others' texts."""


NOTICED_S = 0.002
"""Seconds of waiting that count."""


class Span(NamedTuple):
    """One event, in seconds since the run began."""

    number: int
    phase: Phase
    key: str
    """As it was noted, with whatever secrets: it is compared, never shown."""
    name: str
    began: float
    ended: float
    thread: Thread
    on: str
    """The key that it waits for; empty if it waits for nothing."""
    asked: float
    by: Thread
    facts: dict[str, Any]

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return self.ended - self.began


@dataclass(slots=True)
class Row:
    """All spans about one thing in one lane."""

    number: int
    lane: str
    name: str
    spans: list[Span] = field(default_factory=list)
    waited: float = 0.0
    """Seconds that pip's thread waited for it."""
    after: Row | None = None
    """What had to end before it began: what asked for it, or kept its connection or worker busy."""

    @property
    def began(self) -> float:
        """Return when the first of them began."""
        return min(each.began for each in self.spans)

    @property
    def ended(self) -> float:
        """Return when the last of them ended."""
        return max(each.ended for each in self.spans)

    @property
    def queued(self) -> float:
        """Return the seconds between the first request for it and its beginning."""
        return max(0.0, self.began - min(each.asked for each in self.spans))

    @property
    def size(self) -> int:
        """Return its bytes: of what came over the network, or else of what was read or made."""
        brought = [each for each in self.spans if not each.phase.is_part]
        sizes = [_number(each.facts.get("bytes")) for each in brought if each.facts.get("cache") == "network"]
        return sum(sizes) or max((_number(each.facts.get("bytes")) for each in brought), default=0)

    @property
    def cache(self) -> str:
        """Return which of ``CACHES`` it was; the network's word counts most, for something was missing there."""
        found = {each.facts.get("cache") for each in self.spans}
        return next((each for each in ("network", "made", "again", *CACHES) if each in found), "")

    @property
    def host(self) -> str:
        """Return the server that it came from."""
        return next((host for each in self.spans if (host := host_of(each.key))), "")

    @property
    def has_failed(self) -> bool:
        """Tell whether its last span failed."""
        return bool(max(self.spans, key=lambda each: each.ended).facts.get("failed"))


class Story:
    """What happened in one run."""

    def __init__(self, recorder: Recorder, ended: float) -> None:
        """:param ended: seconds of ``time.monotonic``."""
        self.main: Thread = recorder.main
        self.seconds = ended - recorder.began
        events = recorder.events()
        self._files, self._packages = _files(events), _packages(events)
        self.spans = [self._span(number, event, recorder) for number, event in enumerate(events)]
        self.rows: list[Row] = []
        self.row_of: dict[int, Row] = {}
        """By the number of a span."""
        self.resolving = min((each.began for each in self.spans if each.phase is PHASES["resolve"]), default=0.0)
        """When pip began to resolve."""
        self.placed = max(
            (each.ended for each in self.spans if each.phase is PHASES["place"] and each.thread == self.main),
            default=self.seconds,
        )
        """When the last wheel was placed."""
        self._make_rows()
        self._note_preparation()
        self._note_waits()
        self._note_order()

    def _span(self, number: int, event: Event, recorder: Recorder) -> Span:
        facts, zero = event.facts, recorder.began
        phase = PHASES.get(event.phase, OTHER)
        key = str(facts.get("key") or facts.get("digest") or facts.get("name") or phase.words)
        if not phase.lane:
            phase = phase._replace(lane=_lane_of(key))
        began = min(max(0.0, event.began - zero), self.seconds)
        asked = facts.get("asked")
        return Span(
            number, phase, key, self._name(facts, key), began, min(max(began, event.ended - zero), self.seconds),
            event.thread, str(facts.get("on", "")),
            began if asked is None else min(began, max(0.0, asked - zero)), facts.get("by", recorder.main), facts,
        )

    def _name(self, facts: dict[str, Any], key: str) -> str:
        name = str(facts.get("name") or "")
        if not name:
            key = self._files.get(key) or self._packages.get(key, key)
            name = _of_address(key) if "://" in key else key[:12] if facts.get("digest") == key else key
        return clean(name)

    def _make_rows(self) -> None:
        rows: dict[tuple[str, str], Row] = {}
        for span in self.spans:
            if span.phase.waits:
                continue
            identity = span.phase.lane, self._about(span)
            row = rows.get(identity)
            if row is None:
                row = rows[identity] = Row(len(rows), span.phase.lane, span.name)
                self.rows.append(row)
            elif span.facts.get("name"):
                # A page is called by its project, as soon as pip names it.
                row.name = span.name
            row.spans.append(span)
            self.row_of[span.number] = row

    def _about(self, span: Span) -> str:
        """Return what a span's row is called: workers know archives by their digests alone."""
        known = {"download": self._files, "link": self._packages}.get(span.phase.lane, {})
        return known.get(span.key, span.key).rstrip("/")

    def _note_preparation(self) -> None:
        """Tell wheels that were unpacked in an earlier run from those of this one."""
        digests = {name: digest for digest, name in self._packages.items()}
        made = {span.facts.get("digest") for span in self.spans if span.phase.lane in ("unpack", "compile")}
        for span in self.spans:
            if span.phase is PHASES["place"] and (digest := digests.get(span.key)):
                span.facts["cache"] = "made" if digest in made else "prepared"

    def _note_waits(self) -> None:
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            for key in {each.key for each in row.spans} | {str(each.facts.get("digest")) for each in row.spans}:
                rows[key].append(row)
        for span in self.spans:
            if span.on and span.thread == self.main:
                for row in rows.get(span.on, ()):
                    row.waited += max(0.0, min(span.ended, row.ended) - max(span.began, row.began))


    def _note_order(self) -> None:
        threads: dict[Thread, list[Span]] = defaultdict(list)
        for span in sorted(self.spans, key=lambda each: each.ended):
            if span.number in self.row_of and not span.phase.is_part:
                threads[span.thread].append(span)
        ends = {thread: [each.ended for each in spans] for thread, spans in threads.items()}

        def last(thread: Thread, earliest: float, until: float) -> Row | None:
            index = bisect_right(ends.get(thread, []), until) - 1
            found = threads[thread][index] if index >= 0 else None
            return self.row_of[found.number] if found is not None and found.ended >= earliest else None

        for row in self.rows:
            first = min(row.spans, key=lambda each: each.began)
            if first.thread != self.main:
                busy = last(first.thread, first.asked, first.began) if row.queued > NOTICED_S else None
                asking = last(first.by, first.asked - NOTICED_S, first.asked) if first.by != self.main else None
                row.after = next((each for each in (busy, asking) if each not in (None, row)), None)


def host_of(key: str) -> str:
    """Return the host and port of an address."""
    # An address may stand in another one.
    return shown(redacted(key)).partition("://")[2].partition("/")[0]


def clean(text: str) -> str:
    """Return a text without secrets and control characters, short enough to be shown."""
    text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in redacted(text))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _of_address(key: str) -> str:
    """Return a file's name, or for a page the last part of its path."""
    path = shown(redacted(key)).removesuffix("/index.html").rstrip("/")
    return file_name(path).removesuffix(".metadata") or path


def _lane_of(key: str) -> str:
    path = shown(redacted(key))
    if path.endswith(".metadata"):
        return "metadata"
    return "download" if path.endswith((".whl", ".zip", ".gz", ".bz2", ".xz", ".tgz")) else "index"


def _files(events: Sequence[Event]) -> dict[str, str]:
    """Return the addresses of archives, by digest."""
    return {
        str(event.facts["digest"]): str(event.facts["key"])
        for event in events if event.facts.get("digest") and event.facts.get("key")
    }


def _packages(events: Sequence[Event]) -> dict[str, str]:
    """Return the packages of archives that were waited for, by digest."""
    waits = (event.facts for event in events if event.phase == "prepare")
    return {str(facts.get("on")): str(facts.get("name")) for facts in waits}


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
