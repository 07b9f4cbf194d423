"""Files of a run that is over: its page and its trace."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pipfast.system.whole import replace_files
from pipfast.timeline.advice import advise
from pipfast.timeline.figures import Figures, measure
from pipfast.timeline.page import Earlier, Shown, page
from pipfast.timeline.processor import mean_share, shares
from pipfast.timeline.story import Story
from pipfast.timeline.trace import other_data, trace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipfast.settings import Settings
    from pipfast.timeline.events import Recorder
    from pipfast.timeline.processor import Sample

_READ = 1 << 18
"""Characters of a trace's beginning that are read: what is compared has two thousand."""


class Run(NamedTuple):
    """A run that is over."""

    recorder: Recorder
    settings: Settings
    command: Sequence[str]
    """Its command line, without secrets."""
    began_at: float
    """Seconds since the epoch."""
    status: int | None
    samples: Sequence[Sample]


def write(run: Run, target: Path | None) -> list[str]:
    """Write page and trace, if they are wanted; return three lines on what the time went into.

    :raises OSError: a file cannot be written; those of an earlier run stay.
    """
    story = Story(run.recorder, time.monotonic())
    measured = measure(story, run.recorder.pid)
    cores = os.cpu_count() or 1
    busy = mean_share(list(run.samples), cores) if run.samples else None
    advice = advise(story, measured, run.settings, busy)
    if target is None:
        return advice
    beside = target.with_suffix(".json")
    earlier = find_earlier(beside, run.command)
    used = [(at - run.recorder.began, own, machine) for at, own, machine in shares(list(run.samples))]
    counters = {
        "connections": measured.connections, "workers": measured.workers,
        "processor of pip": [(at, own) for at, own, _ in used],
        "processor of all": [(at, machine) for at, _, machine in used],
    }
    other: dict[str, Any] = {
        "command": list(run.command), "began_at": run.began_at, "status": run.status,
        "figures": measured.figures.as_data(), "advice": advice, "dropped": run.recorder.dropped,
    }
    shown = Shown(
        run.command, run.began_at, run.status, story, measured, advice, counters, cores, run.recorder.dropped,
        earlier, beside.name,
    )
    # A name need not be text in every place.
    replace_files({
        target: page(shown).encode("utf-8", "replace"),
        beside: trace(story, run.recorder, counters, other).encode("utf-8", "replace"),
    })
    return advice


def find_earlier(path: Path, command: Sequence[str]) -> Earlier | None:
    """Return the run before, if it was one of the same command: its trace lies where this one's is going to be."""
    try:
        with path.open(encoding="utf-8") as file:
            told = other_data(file.read(_READ))
        if told["command"] != list(command):
            return None
        figures = Figures.from_data(told["figures"])
        return None if figures is None else Earlier(float(told["began_at"]), figures)
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None

