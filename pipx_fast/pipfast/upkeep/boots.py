"""Entries of the store that a power cut may have spoiled.

No entry is synced when it is made: that takes up to a second and longer on slow disks, in each run that makes
something. Hashing takes as long, but once after a boot, and only for what was made shortly before the machine went
down: the kernel has written older entries.

``<root>/boots`` holds the boot in which it was written, the last time a command was alive then, and the times of
entries that have to be proved. An entry's time is its manifest's ctime, which no archiver sets.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pipfast.report import logger
from pipfast.store.reading import read_file

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout

NAME = "boots"

WRITTEN_S = 300.0
"""Seconds after which the kernel of a living machine has written dirty data, which waits for 30."""

NOTED_S = 3600.0
"""Seconds for which a noted time stands: finer would cost a write for each command."""

_MOST_BYTES = 1 << 16
_MOST_TIMES = 32
"""Times that are kept apart; more are joined into one."""

Times = list[tuple[float, float]]


def unproved(layout: Layout) -> Times:
    """Return the times of entries that have to be proved before they are used; notes a new boot."""
    boot, began = _boot()
    if not boot:
        return []
    known, alive, times = _read(layout)
    if known != boot:
        # At least a minute, even if the clock was put back (no battery).
        times.append((alive - WRITTEN_S, max(began, alive + 60.0)))
        if len(times) > _MOST_TIMES:
            times = [(min(first for first, _ in times), max(last for _, last in times))]
        _write(layout, boot, times)
    return times


def note_alive(layout: Layout) -> None:
    """Note that the machine is up, once an hour."""
    boot, _ = _boot()
    with suppress(OSError):
        if boot and time.time() - os.stat(layout.root / NAME).st_mtime > NOTED_S:
            known, _, times = _read(layout)
            if known == boot:
                _write(layout, boot, times)


def is_unproved(times: Times, entry: Path) -> bool:
    """Tell whether an entry has to be proved."""
    if not times:
        return False
    try:
        made = os.stat(entry / "manifest").st_ctime
    except OSError:
        return False
    return any(first <= made <= last for first, last in times)


def note_proved(entry: Path) -> None:
    """Note that an entry is whole, by a new ctime of its manifest."""
    path = entry / "manifest"
    with suppress(OSError):
        found = os.stat(path)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _boot() -> tuple[str, float]:
    """Return the name of this boot, empty if it has none, and when it began."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(64).strip(), time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, ValueError, AttributeError):
        return "", 0.0


def _read(layout: Layout) -> tuple[str, float, Times]:
    try:
        noted = json.loads(read_file(layout.root / NAME, _MOST_BYTES))
        return str(noted["boot"]), float(noted["alive"]), [(float(a), float(b)) for a, b in noted["unproved"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "", 0.0, []


def _write(layout: Layout, boot: str, times: Times) -> None:
    noted = json.dumps({"boot": boot, "alive": time.time(), "unproved": times})
    try:
        layout.replace_file(layout.root / NAME, noted.encode("ascii"))
    except OSError as error:
        logger.debug("pipfast: this boot is not noted: %r", error)
