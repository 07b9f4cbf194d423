"""Trace in the Trace Event Format, which Perfetto and Chrome open.

Times are microseconds since the run began. Complete events (``X``) have ``ts`` and ``dur``; what waited and what
it waited for are joined by flows (``s``, ``f``); connections, workers and processor are counters (``C``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipfast.timeline.path import SLACK_S
from pipfast.timeline.story import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pipfast.timeline.events import Recorder, Thread
    from pipfast.timeline.figures import Level
    from pipfast.timeline.story import Span, Story

BEGINNING = '{"otherData":'
"""Begin of each trace: what the next run compares itself with stands first, so that the rest need not be read."""

_SHOWN = frozenset(("bytes", "files", "cache", "how", "status", "ranged", "moved", "failed"))
"""Facts that a trace shows of an event: numbers and words of ours."""


def trace(
    story: Story, recorder: Recorder, counters: Mapping[str, Iterable[Level]], other: Mapping[str, Any]
) -> str:
    """Return the trace as JSON.

    :param other: what stands first, as ``otherData``.
    """
    events = list(_Threads(story, recorder).events())
    events += [
        {"ph": "C", "name": name, "pid": recorder.pid, "tid": 0, "ts": _us(at), "args": {name: round(level, 3)}}
        for name, levels in counters.items() for at, level in levels
    ]
    rest = json.dumps({"displayTimeUnit": "ms", "traceEvents": events}, separators=(",", ":"))
    return f"{BEGINNING}{json.dumps(other, separators=(',', ':'))},{rest[1:]}\n"


def is_trace(begin: bytes) -> bool:
    """Tell whether a file that begins so is a trace of ours: others may have a like beginning, but no command."""
    return begin.startswith(f'{BEGINNING}{{"command":'.encode("ascii"))


def other_data(text: str) -> Any:
    """Return what stands first in a trace. Raises ValueError: it is no trace of ours."""
    if not text.startswith(BEGINNING):
        raise ValueError("no trace of pipfast's")
    return json.JSONDecoder().raw_decode(text, len(BEGINNING))[0]


class _Threads:
    """The threads of a trace, numbered in the order in which they appear; pip's own is the first."""

    def __init__(self, story: Story, recorder: Recorder) -> None:
        self._story, self._recorder = story, recorder
        self._numbers: dict[Thread, int] = {recorder.main: 1}

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield an event for each span, flows between them, and the names of processes and threads."""
        ends: dict[str, list[Span]] = {}
        for span in self._story.spans:
            if not span.phase.waits:
                for key in span.keys:
                    ends.setdefault(key, []).append(span)
        for span in self._story.spans:
            yield self._complete(span)
            if span.on:
                yield from self._flow(span, ends.get(span.on, []))
        for thread, number in self._numbers.items():
            yield self._metadata("thread_name", thread, number, self._name(thread))
        for pid in sorted({self._pid(thread) for thread in self._numbers}):
            name = "pip" if pid == self._recorder.pid else f"process {pid}"
            yield {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "ts": 0, "args": {"name": name}}

    def _complete(self, span: Span) -> dict[str, Any]:
        facts = {
            name: clean(value) if isinstance(value, str) else value
            for name, value in span.facts.items() if name in _SHOWN and value is not None
        }
        began = _us(span.began)
        return {
            "ph": "X", "name": f"{span.phase.words}: {span.name}", "cat": span.phase.lane,
            **self._place(span.thread), "ts": began, "dur": _us(span.ended) - began, "args": facts,
        }

    def _flow(self, span: Span, ends: list[Span]) -> Iterator[dict[str, Any]]:
        found = [each for each in ends if span.began < each.ended <= span.ended + SLACK_S]
        if found:
            last = max(found, key=lambda each: each.ended)
            same = {"name": "waits", "cat": "waits", "id": span.number}
            at = max(last.began, min(last.ended, span.ended) - 1e-6)
            yield {"ph": "s", **same, **self._place(last.thread), "ts": _us(at)}
            yield {"ph": "f", "bp": "e", **same, **self._place(span.thread), "ts": _us(max(at, span.ended))}

    def _place(self, thread: Thread) -> dict[str, int]:
        number = self._numbers.setdefault(thread, len(self._numbers) + 1)
        return {"pid": self._pid(thread), "tid": number}

    def _pid(self, thread: Thread) -> int:
        return self._recorder.pid if isinstance(thread, int) else thread[0]

    def _metadata(self, name: str, thread: Thread, number: int, value: str) -> dict[str, Any]:
        return {"ph": "M", "name": name, "pid": self._pid(thread), "tid": number, "ts": 0, "args": {"name": value}}

    def _name(self, thread: Thread) -> str:
        if thread == self._recorder.main:
            return "pip"
        if isinstance(thread, int):
            return self._recorder.names.get(thread, "a thread").removeprefix("pipfast-")
        return f"worker or pip {thread[0]}"


def _us(seconds: float) -> int:
    return int(1e6 * seconds + 0.5)
