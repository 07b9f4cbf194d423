"""Time of putting a stored tree in place, against ``cp -al`` on the same filesystem."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from bench import measure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.environment import Tool
    from bench.scenarios import Place, Rounds

TIMINGS = "PIPFAST_TIMINGS"
"""Names a file to which pipfast appends a JSON line for each phase: ``{"phase", "seconds", "files"}``."""


def measure_placing(rounds: Rounds, place: Place, pipfast: Tool, number: int) -> Iterator[dict[str, Any]]:
    """Yield, for each round, what pipfast took to place the files of a warm install and what ``cp -al`` took.

    ``place_s`` is ``None`` where pipfast tells no timings; ``install_phase_s`` then bounds it from above: it
    has the planning, the scripts and pip's own conflict check and report too.
    """
    workshop = rounds.workshop
    before = {path.name for path in workshop.site_packages(workshop.template / "bin" / "python").iterdir()}
    timings = workshop.root / "timings"
    for count in range(number):
        timings.unlink(missing_ok=True)
        keep = workshop.root / "placed"
        outcome = rounds.once(place, "warm", pipfast, extra_env={TIMINGS: str(timings)}, keep=keep)
        packages = workshop.site_packages(keep / "bin" / "python")
        entries = sorted(path for path in packages.iterdir() if path.name not in before)
        copy = workshop.root / "copy"
        workshop.discard(copy)
        copy.mkdir()
        os.sync()
        command = ["cp", "-al", "-t", str(copy), *map(str, entries)]
        copied = measure.run(command, {"PATH": os.environ["PATH"]}, workshop.root)
        files = sum(len(names) for _, _, names in os.walk(copy))
        seconds, placed = _told(timings)
        yield {
            "set": place.wanted.name,
            "round": count,
            "place_s": seconds,
            "place_files": placed,
            "install_phase_s": outcome.install_phase_s,
            "cp_s": copied.wall_s,
            "cp_files": files,
        }
        rounds.say(f"placing {count + 1}: {seconds} s, cp -al {copied.wall_s:.3f} s, {files} files")
        workshop.discard(copy)
        workshop.discard(keep)


def _told(timings: Path) -> tuple[float | None, int]:
    """Return the seconds and files of all placing in ``timings``; no seconds if it tells of none."""
    lines = timings.read_text(encoding="utf-8").splitlines() if timings.exists() else []
    told = [row for row in map(json.loads, lines) if row.get("phase") == "place"]
    return (sum(row["seconds"] for row in told) if told else None), sum(row.get("files", 0) for row in told)
