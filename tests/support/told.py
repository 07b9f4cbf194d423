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
