"""A run's events as spans and rows, with names to be shown."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from pipfast.address import redacted, shown
from pipfast.timeline.phases import CACHES, OTHER, PHASES, Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipfast.timeline.events import Event, Recorder, Thread

_LONGEST = 160
"""Characters of a name that are shown: names are others' texts."""


_HARMLESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9_.~+!%=-]*)+")

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

    @property
    def keys(self) -> tuple[str, ...]:
        """Return by which keys others may wait for it: its own, and a digest."""
        digest = self.facts.get("digest")
        return (self.key,) if not digest or digest == self.key else (self.key, str(digest))


class Row:
    """All spans about one thing in one lane; what follows from them is there after ``close``."""

    __slots__ = (
        "after", "began", "cache", "ended", "has_failed", "host", "lane", "name", "number", "queued", "size",
        "spans", "waited",
    )

    def __init__(self, number: int, lane: str, name: str) -> None:
        self.number, self.lane, self.name = number, lane, name
        self.spans: list[Span] = []
        self.waited = 0.0
        """Seconds that pip's thread waited for it."""
        self.after: Row | None = None
        """What had to end before it began: what asked for it, or kept its connection or worker busy."""

    def close(self) -> None:
        """Work out what follows from its spans."""
        # In one pass, and without a look at each field of each span: a run has thousands.
        last = self.spans[0]
        _, _, key, _, self.began, self.ended, _, _, asked, _, _ = last
        received = largest = 0
        caches, address = set[Any](), ""
        for span in self.spans:
            _, phase, key, _, began, ended, _, _, asked_for, _, facts = span
            self.began, asked = min(self.began, began), min(asked, asked_for)
            if ended > self.ended:
                self.ended, last = ended, span
            cache = facts.get("cache")
            caches.add(cache)
            if not phase.is_part:
                size = _number(facts.get("bytes"))
                largest = max(largest, size)
                received += size if cache == "network" else 0
            if not address and "://" in key:
                address = key
        self.queued = max(0.0, self.began - asked)
        """Seconds between the first request for it and its beginning."""
        # The network's word counts most: something was missing there.
        self.cache: str = next((each for each in _CACHES if each in caches), "") if caches != {None} else ""
        """Which of ``CACHES`` it was; empty where none was asked."""
        self.size = received or largest
        """Its bytes: of what came over the network, or else of what was read or made."""
        self.host = host_of(address) if address else ""
        """The server that it came from."""
        self.has_failed = bool(last.facts.get("failed"))
        """Whether its last span failed."""


_CACHES = ("network", "made", "again", *CACHES)
"""What a row's cache is called: the first of these that one of its spans has."""


class Story:
    """What happened in one run."""

    def __init__(self, recorder: Recorder, ended: float) -> None:
        """:param ended: seconds of ``time.monotonic``."""
        self.main: Thread = recorder.main
        self.seconds = ended - recorder.began
        events = recorder.events()
        self._files, self._packages = _files(events), _packages(events)
        self._names: dict[tuple[str, str], str] = {}
        """What is shown, by what was noted: name and key."""
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
        for row in self.rows:
            row.close()
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
        found = self._names.get((name, key))
        if found is None:
            shown_name = name
            if not name:
                about = self._files.get(key) or self._packages.get(key, key)
                is_digest = facts.get("digest") == about
                shown_name = _of_address(about) if "://" in about else about[:12] if is_digest else about
            found = self._names[name, key] = clean(shown_name)
        return found

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
            for key in {key for each in row.spans for key in each.keys}:
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
    return _plain(key).partition("://")[2].partition("/")[0]


def clean(text: str) -> str:
    """Return a text without secrets and control characters, short enough to be shown."""
    text = redacted(text)
    if not text.isprintable():
        text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _of_address(key: str) -> str:
    """Return a file's name, or for a page the last part of its path."""
    path = _plain(key).removesuffix("/index.html").rstrip("/")
    return path.rpartition("/")[2].removesuffix(".metadata") or path


def _plain(key: str) -> str:
    """Return an address without its secrets."""
    # Most have none, and are not taken apart. In others a second address may stand.
    return key if _HARMLESS.fullmatch(key) else shown(redacted(key))


def _lane_of(key: str) -> str:
    path = _plain(key)
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
