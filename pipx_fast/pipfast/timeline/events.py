"""Events of one run, noted as they end."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Thread = int | tuple[int, int]
"""A thread of this process by its identifier, or one of another process behind that process's."""

MOST = 200_000
"""Events of a run that are kept: fifty times as many as an installation of three hundred packages has."""

_LONGEST = 400
"""Characters of a text of another process that are kept."""

_SLACK_S = 5.0
"""Seconds by which another process's times may lie outside of the run: clocks are read at different moments."""

_FACTS = frozenset(("key", "name", "digest", "bytes", "files", "cache", "on", "how", "failed", "ranged"))
"""What another process may tell of an event."""


class Event(NamedTuple):
    """One event; times are seconds of ``time.monotonic``, which all processes of a machine share."""

    phase: str
    began: float
    ended: float
    thread: Thread
    facts: dict[str, Any]
    """``key`` is what the event is about (an address, a digest), ``on`` the key that it waited for, ``asked`` and
    ``by`` when and by which thread it was asked for."""


class Recorder:
    """The events of one process. Any thread may note some."""

    def __init__(self) -> None:
        # Until now this process has done nothing but start.
        self.began = time.monotonic() - time.process_time()
        self.pid = os.getpid()
        self.main = threading.get_ident()
        self.names: dict[int, str] = {}
        """Threads' names, by identifier."""
        self.dropped = 0
        self._events: list[tuple[str, float, float, Thread, dict[str, Any]]] = []

    def note(self, phase: str, began: float, facts: dict[str, Any], ended: float | None = None) -> None:
        """Note an event of this thread that ends now, or has ended."""
        if len(self._events) >= MOST:
            self.dropped += 1
            return
        thread = threading.get_ident()
        if thread not in self.names:
            self.names[thread] = threading.current_thread().name
        self._events.append((phase, began, time.monotonic() if ended is None else ended, thread, facts))

    def events(self) -> list[Event]:
        """Return what was noted so far, by their beginnings."""
        return sorted(map(Event._make, self._events), key=lambda event: event.began)

    def told(self) -> list[list[Any]]:
        """Return what was noted, as plain data for another process, and forget it."""
        events, self._events = self._events, []
        return [
            [phase, began, ended, thread if isinstance(thread, int) else thread[1],
             {name: value for name, value in facts.items() if name in _FACTS}]
            for phase, began, ended, thread, facts in events
        ]

    def take_in(self, pid: int, told: Iterable[Any], asked: dict[str, Any] | None = None) -> None:
        """Note what another process has told; what is no event, or not of this run, is left out.

        :param asked: when and by which thread the first of them was asked for.
        """
        now = time.monotonic()
        for each in told:
            event = _checked(pid, each, self.began - _SLACK_S, now + _SLACK_S)
            if event is None or len(self._events) >= MOST:
                self.dropped += 1
                continue
            event.facts.update(asked or {"asked": event.began, "by": event.thread})
            asked = None
            self._events.append(event)


def _checked(pid: int, told: Any, earliest: float, latest: float) -> Event | None:
    """Return an event that another process has told, None if it is none: builds run beside that process."""
    try:
        phase, began, ended, thread, facts = told
        began, ended = float(began), float(ended)
        if not (isinstance(phase, str) and isinstance(thread, int) and earliest <= began <= ended <= latest):
            return None
        kept = {name: _plain(value) for name, value in facts.items() if name in _FACTS}
    except (TypeError, ValueError, AttributeError):
        return None
    return Event(phase[:_LONGEST], began, ended, (pid, thread), kept)


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else str(value)[:_LONGEST]
