"""A run whose events are made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipfast.timeline.events import Recorder
from pipfast.timeline.story import Story

if TYPE_CHECKING:
    from pipfast.timeline.events import Thread

HOSTILE = (
    "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>https://user:secret@host/?key=hidden"
)
"""A name that would be a program if it were read as HTML, with a password and a signed query in it."""


class Told:
    """A run whose events are given in seconds since its beginning; ``main`` is pip's thread."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.main = self.recorder.main
        self.recorder.began = 1000.0

    def add(
        self, phase: str, began: float, ended: float, thread: Thread | None = None, **facts: Any
    ) -> None:
        """Add an event; ``asked`` is in seconds since the beginning as well."""
        if "asked" in facts:
            facts["asked"] += 1000.0
        event = (phase, 1000.0 + began, 1000.0 + ended, self.main if thread is None else thread, facts)
        self.recorder._events.append(event)

    def story(self, seconds: float) -> Story:
        """Return the story of a run that took so long."""
        return Story(self.recorder, 1000.0 + seconds)


def check_trace(events: list[dict[str, Any]]) -> None:
    """Check the events of a trace by what the Trace Event Format asks of each ``ph``."""
    flows: dict[Any, list[str]] = {}
    for event in events:
        assert type(event["pid"]) is int and type(event["tid"]) is int
        assert type(event["ts"]) is int and event["ts"] >= 0
        assert event["name"]
        if event["ph"] == "X":
            assert type(event["dur"]) is int and event["dur"] >= 0 and event["cat"]
        elif event["ph"] == "C":
            assert all(isinstance(value, int | float) for value in event["args"].values())
        elif event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name") and event["args"]["name"]
        else:
            flows.setdefault(event["id"], []).append(event["ph"])
    assert all(phs == ["s", "f"] for phs in flows.values())
