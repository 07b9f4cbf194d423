"""Samples of the processor's use while a run goes on."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pipfast.system import threads

EVERY_S = 0.1
"""Seconds between two samples at first."""

MOST = 600
"""Samples that are kept: more than a page has pixels for. A longer run is sampled less often."""

_STAT = Path("/proc/stat")


class Sample(NamedTuple):
    """Seconds of processor time up to a moment."""

    at: float
    """Seconds of ``time.monotonic``."""
    own: float
    """Of pip's own process."""
    busy: float
    """Of all processes of the machine; 0 where the system does not tell."""


class Processor:
    """Takes samples in a thread; if the system has none to spare, only at begin and end."""

    def __init__(self) -> None:
        self.cores = os.cpu_count() or 1
        self._samples = [_sample()]
        self._ended = threading.Event()
        self._every = EVERY_S
        self._thread = threads.start(self._watch, "pipfast-processor")

    def end(self) -> list[Sample]:
        """Take the last sample, and return all."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._samples.append(_sample())
        return self._samples

    def _watch(self) -> None:
        while not self._ended.wait(self._every):
            self._samples.append(_sample())
            if len(self._samples) >= MOST:
                del self._samples[1::2]
                self._every *= 2


def shares(samples: list[Sample]) -> list[tuple[float, float, float]]:
    """Return for each stretch between two samples its end, and the cores that pip and that the machine used."""
    found = []
    for before, after in pairwise(samples):
        seconds = after.at - before.at
        if seconds > 0:
            found.append((after.at, (after.own - before.own) / seconds, (after.busy - before.busy) / seconds))
    return found


def mean_share(samples: list[Sample], cores: int) -> float | None:
    """Return the mean share of the machine's processor that was in use; None where the system does not tell."""
    seconds = samples[-1].at - samples[0].at
    if not samples[-1].busy or seconds <= 0:
        return None
    return min(1.0, (samples[-1].busy - samples[0].busy) / seconds / cores)


def _sample() -> Sample:
    busy = 0.0
    with suppress(OSError, ValueError, IndexError), _STAT.open("rb") as file:
        # user nice system idle iowait irq softirq steal, in ticks
        ticks = [int(each) for each in file.readline().split()[1:9]]
        busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    return Sample(time.monotonic(), time.process_time(), busy)
