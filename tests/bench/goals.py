"""Figures that must be reached, and whether they are."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.relay import Line
from bench.report import summarise

if TYPE_CHECKING:
    from collections.abc import Mapping

CAPPED = Line(mbit=80)
"""The line of the torch figures: each connection no faster than 80 Mbit/s."""

DISTANT = Line(30, 80)
"""The line of the web figures: 30 ms away besides."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure, as it must be and as it is."""

    what: str
    needed: str
    measured: float | None
    reached: bool

    def __str__(self) -> str:
        shown = "not measured" if self.measured is None else f"{self.measured:.2f}"
        mark = "ok  " if self.reached else "MISS" if self.measured is not None else "?   "
        return f"{mark} {shown:>13}  needed {self.needed:<8} {self.what}"


def goals(results: Mapping[str, Any]) -> list[Goal]:
    """Hold ``results`` against every figure; what was not measured is not reached."""
    rows = {
        (row["set"], row["line"], row["scenario"]): row
        for row in summarise(results["runs"])
        if row["tool"] == "pipfast"
    }

    def faster(where: tuple[str, str, str], base: str, figure: str = "wall_s") -> float | None:
        ratio = rows.get(where, {}).get("faster_than", {}).get(base, {}).get(figure)
        return None if ratio is None else float(ratio["median"])

    warm, cold, dry, satisfied = (
        ("jupyter", "loopback", scenario) for scenario in ("warm", "cold", "dry-run", "satisfied")
    )
    torch, web = ("torch", str(CAPPED), "cold"), ("web", str(DISTANT), "cold")
    sources = [("sdists", "loopback", scenario) for scenario in ("cold", "warm")]
    return [
        _at_least("jupyter warm, install phase, against pip", 50, faster(warm, "pip", "install_phase_s")),
        _at_least("jupyter warm, whole command, against pip", 22, faster(warm, "pip")),
        _at_least("jupyter warm, whole command, against uv --compile-bytecode", 8, faster(warm, "uv-compile")),
        _at_least("jupyter warm, whole command, against uv", 1 / 3.5, faster(warm, "uv")),
        _at_most("jupyter warm, placing against cp -al", 1.5, _placing(results)),
        _at_least("jupyter cold, whole command, against pip", 2.3, faster(cold, "pip")),
        _at_least("jupyter cold, whole command, against uv --compile-bytecode", 1, faster(cold, "uv-compile")),
        _at_least("jupyter warm, dry run, against pip", 6, faster(dry, "pip")),
        _at_least("jupyter satisfied already, against pip", 1.8, faster(satisfied, "pip")),
        _at_least("torch capped, the download, against one stream", 7, _download(results, rows.get(torch))),
        _at_least("torch capped, whole command, against pip", 3.5, faster(torch, "pip")),
        _at_least("torch capped, whole command, against uv --compile-bytecode", 2.7, faster(torch, "uv-compile")),
        _at_least("web far away, cold, against pip", 5, faster(web, "pip")),
        _at_least("web far away, cold, against uv --compile-bytecode", 1, faster(web, "uv-compile")),
        _at_least("eight sources, cold, against pip", 3, faster(sources[0], "pip")),
        _at_least("eight sources, cold, against uv", 1, faster(sources[0], "uv")),
        _at_least("eight sources, warm, against pip", 10, faster(sources[1], "pip")),
        _at_most("peak memory of the largest process, worst case, against pip", 1, _memory(rows, "largest_rss")),
        _at_most("peak memory of all processes, worst case, against pip", 1.3, _memory(rows, "tree_pss")),
        _race(results),
    ]


def _at_least(what: str, bound: float, measured: float | None) -> Goal:
    return Goal(what, f">= {bound:g}", measured, measured is not None and measured >= bound)


def _at_most(what: str, bound: float, measured: float | None) -> Goal:
    return Goal(what, f"<= {bound:g}", measured, measured is not None and measured <= bound)


def _placing(results: Mapping[str, Any]) -> float | None:
    rows = [row for row in results.get("placing", []) if row["set"] == "jupyter"]
    ratios = [row["place_s"] / row["cp_s"] for row in rows if row["place_s"] is not None]
    return float(statistics.median(ratios)) if ratios else None


def _download(results: Mapping[str, Any], torch: Mapping[str, Any] | None) -> float | None:
    streams = [row["seconds"] for row in results.get("stream", []) if row["line"] == str(CAPPED)]
    if not streams or torch is None or torch["download_phase_s"] is None:
        return None
    return float(statistics.median(streams[0])) / float(torch["download_phase_s"]["median"])


def _memory(rows: Mapping[Any, Mapping[str, Any]], figure: str) -> float | None:
    ratios = [row["faster_than"].get("pip", {}).get(figure) for row in rows.values()]
    known = [1 / float(ratio["median"]) for ratio in ratios if ratio]
    return max(known, default=None)


def _race(results: Mapping[str, Any]) -> Goal:
    times = results.get("race", [])
    wrong = sum(bool(row["wrong"]) for row in times)
    what = f"two runs at once from one empty store, {len(times)} times: wrong"
    return Goal(what, "== 0", float(wrong) if times else None, bool(times) and not wrong)
