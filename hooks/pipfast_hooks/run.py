"""One run of pip: settings, intent, store and parts, and their end."""

from __future__ import annotations

import math
import os
import re
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pipfast.report import keep_timings, logger, record, say
from pipfast.settings import SPANS_VARIABLE, Settings
from pipfast_hooks.guard import guarded
from pipfast_hooks.storage import Aim, Intent, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pipfast.memo.watch import Watch
    from pipfast.timeline.keeper import Timeline

END_S = 0.2
"""Seconds to wait at the end for requests and checks under way: they leave nothing half done, and whoever pressed
Ctrl-C waits for a prompt."""


_LOUD = re.compile(r"-q*v[qv]*$|--verbose$")


class Part:
    """Something that a run has once: made at its first use, and ended with the run.

    A constructor asks the run for the parts that this one leans on; so these are older, and end later.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def give_way(self) -> None:
        """End the processes, threads and descriptors of this part: pip needs theirs, and the run goes on."""

    def stop(self) -> None:
        """Tell what is under way to end, without waiting."""

    def close(self, wait_s: float) -> None:
        """End everything of this part; wait at most ``wait_s`` seconds for threads. By default it gives way."""
        self.give_way()


P = TypeVar("P", bound=Part)
T = TypeVar("T")


class Run:
    """One command; its parts are made at their first use, and closed at its end."""

    def __init__(self, settings: Settings, umask: int, *, is_copy: bool = False) -> None:
        """:param is_copy: this process was forked from one that has imported all that a command needs."""
        self.settings, self.umask, self.is_copy = settings, umask, is_copy
        self.intent = Intent()
        self.timeline: Timeline | None = None
        self.recording: Watch | None = None
        """What watches the run, so that its answer can be kept."""
        self.has_failed = False
        """The command has ended, and not well."""
        self.store = Store(self)
        self._parts: dict[type[Part], Part] = {}
        self._making = threading.RLock()
        self._has_ended = False
        self._last_words: list[tuple[str, str | None]] = []
        self._daily_words: list[Callable[[], None]] = []
        """Say it then, at most once a day: what slows pipfast here."""

    def part(self, kind: type[P]) -> P:
        """Return the run's one part of a kind, made now if it is not there.

        :raises RuntimeError: a thread asks that does not know yet that the run has ended: nobody would end it.
        """
        with self._making:
            found = self.find(kind)
            if found is None:
                if self._has_ended and threading.current_thread() is not threading.main_thread():
                    raise RuntimeError(f"{kind.__name__} comes too late: the run has ended")
                found = kind(self)
                self._parts[kind] = found
            return found

    def lean(self, leaning: type[Part], kind: type[P]) -> P:
        """Return what ``part`` does for an older part, which ends before that from now on."""
        with self._making:
            found = self.part(kind)
            if leaning in self._parts:
                # In one step: others look for parts meanwhile.
                others = {each: part for each, part in self._parts.items() if each is not leaning}
                self._parts = {**others, leaning: self._parts[leaning]}
            return found

    def find(self, kind: type[P]) -> P | None:
        """Return the run's part of a kind if it was made."""
        return self._parts.get(kind)  # type: ignore[return-value]

    def end_part(self, kind: type[Part]) -> None:
        """End the run's part of a kind before the run ends, if it was made."""
        with self._making:
            part = self._parts.pop(kind, None)
        if part is not None:
            part.close(END_S)

    def for_children(self, **others: str) -> dict[str, str | None]:
        """Return the variables of a pip that fills a build environment, as ``Settings.for_children`` does."""
        told = self.timeline.variables() if self.timeline is not None else {}
        return {**self.settings.for_children(**others), **told}

    def note_request(self, url: str) -> None:
        """Note that a server's answer is needed: it holds for a time only, also where it is kept."""
        if self.recording is not None and not url.startswith("file:"):
            self.recording.note_request()

    def note_archive(self, link: Any) -> None:
        """Note that an archive is needed; out of the store, it is what its page says it is if that has a digest.

        :param link: pip's ``Link``.
        """
        if self.recording is None:
            return
        if link.hash_name == "sha256" and link.comes_from is not None:
            self.recording.note_archive()
        else:
            self.note_request(link.url)

    def note_fresh(self, paths: Iterable[Path], until: float = math.inf) -> None:
        """Note that these files of pip's cache answer for a server until a time, in seconds since the epoch."""
        if self.recording is not None:
            self.recording.note_fresh(map(os.fspath, paths), until)

    def say_at_end(self, message: str, hint: str | None = None) -> None:
        """Say something after pip's last line."""
        self._last_words.append((message, hint))

    def say_daily(self, message: str, hint: str | None = None) -> None:
        """Say something about the surroundings after pip's last line, at most once a day."""
        # Imported now: from pip 26.3 on nothing can be at the end.
        from pipfast.system.daily import say_daily

        self._daily_words.append(partial(say_daily, message, hint))

    def give_way(self) -> None:
        """End all that runs beside pip: the system has no process, thread or descriptor left for pip."""
        self.settings = replace(self.settings, builds=1, workers=1)
        self.store.stop()
        for part in reversed(list(self._parts.values())):
            part.give_way()

    def close(self) -> None:
        """End everything of ours, and say the last words."""
        # Without this, what still runs would start new workers.
        self.intent = replace(self.intent, aim=Aim.ARCHIVES)
        self.store.stop()
        self._close_parts()
        for message, hint in self._last_words:
            say(message, hint)
        self._last_words.clear()
        self.store.note_refusal()
        for tell in self._daily_words:
            tell()
        self._daily_words.clear()
        timeline, self.timeline = self.timeline, None
        if timeline is not None:
            timeline.end()
        self.store.tidy()

    def _close_parts(self) -> None:
        """End the parts, last made first: all are told to stop before any is waited for."""
        # Once more for what a thread has made while the others ended.
        for _ in range(2):
            with self._making:
                parts = list(reversed(self._parts.values()))
                self._has_ended = True
            for part in parts:
                self._end(part, part.stop)
            deadline = time.monotonic() + END_S
            for part in parts:
                self._end(part, partial(part.close, max(0.0, deadline - time.monotonic())))
                self._parts.pop(type(part), None)

    @staticmethod
    def _end(part: Part, end: Callable[[], None]) -> None:
        # The others still have threads, processes and files to end.
        with guarded("at the end of %s", type(part).__name__):
            end()


_run: Run | None = None

_handed_down: dict[type, object] = {}
"""What a process has made for those that are forked from it, by kind; none elsewhere."""


def hand_down(value: object) -> None:
    """Keep something for the runs of the processes that are forked from this one."""
    _handed_down[type(value)] = value


def inherited(kind: type[T]) -> T | None:
    """Return what was handed down, if this process was forked from one that did."""
    return _handed_down.get(kind)  # type: ignore[return-value]


def begin_run(settings: Settings, command: Sequence[str] = ()) -> Run:
    """Start a new run with these settings; the one before is closed.

    :param command: the command line.
    """
    global _run
    if _run is not None:
        _run.close()
    keep_timings(settings.timings)
    mask = os.umask(0)
    os.umask(mask)
    _run = Run(settings, mask, is_copy=bool(_handed_down))
    _run.timeline = _begin_timeline(settings, command)
    return _run


def _begin_timeline(settings: Settings, command: Sequence[str]) -> Timeline | None:
    """Note events from now on, if somebody wants them: a page, another run, or whoever said ``-v``."""
    record(None)
    into = os.environ.pop(SPANS_VARIABLE, "")
    is_said = not into and any(map(_LOUD.match, command))
    if settings.timeline is None and not into and not is_said:
        return None
    with guarded("there is no timeline"):
        from pipfast.timeline.keeper import Timeline

        return Timeline(settings, command, into=into, is_said=is_said)
    return None


def current_run() -> Run:
    """Return the run that is under way; one with the environment's settings if none was begun."""
    return _run if _run is not None else begin_run(Settings.from_environ(os.environ))


def end_run(status: int | None = None) -> None:
    """Close the run that is under way, if there is one; a failure of that is not the command's.

    Nor is a Ctrl-C then: pip is done, and what is closed twice does no harm.

    :param status: the command's exit code, if it is known.
    """
    for _ in range(2):
        try:
            if _run is not None:
                _run.has_failed = status != 0
                if _run.timeline is not None:
                    _run.timeline.status = status
                _run.close()
        except KeyboardInterrupt:
            continue
        except Exception:
            logger.debug("pipfast: at the end of a command", exc_info=True)
        return
