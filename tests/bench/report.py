"""Medians, spread and ratios: as a table, as JSON, as a picture.

A ratio is made of two runs of the same round and then summed up, so that a slow minute of the machine, which
meets all tools alike, does not widen it.
"""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FIGURES = (
    "wall_s", "cpu_s", "install_phase_s", "settled_phase_s", "download_phase_s",
    "largest_rss", "tree_pss", "tree_rss", "others_cpu_s", "late_close_s",
)  # fmt: skip
_FROM_MEMORY_ROUNDS = frozenset({"tree_pss", "tree_rss"})
_MB = 1e6

BASES = ("pip", "uv", "uv-compile")
"""What every tool is compared with."""

Cell = tuple[str, str, str]
"""Set, line, scenario."""


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Return median, least and greatest, or ``None`` of nothing."""
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarise(runs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each set, line, scenario and tool.

    ``faster_than[base][figure]`` is the base's figure divided by the tool's: above 1 the tool is better.
    """
    cells: dict[Cell, dict[str, list[Mapping[str, Any]]]] = {}
    for run in runs:
        cell = cells.setdefault((run["set"], run["line"], run["scenario"]), {})
        cell.setdefault(run["tool"], []).append(run)
    rows = []
    for (name, line, scenario), by_tool in cells.items():
        for tool, own in by_tool.items():
            row: dict[str, Any] = {"set": name, "line": line, "scenario": scenario, "tool": tool}
            row.update({figure: spread(list(_values(own, figure).values())) for figure in FIGURES})
            row["faster_than"] = {
                base: {figure: _ratio(by_tool[base], own, figure) for figure in FIGURES}
                for base in BASES
                if base in by_tool and base != tool
            }
            rows.append(row)
    return rows


def _values(runs: Iterable[Mapping[str, Any]], figure: str) -> dict[int, float]:
    """Return round -> value, from the rounds in which ``figure`` was measured undisturbed."""
    kind = "memory" if figure in _FROM_MEMORY_ROUNDS else "timing"
    return {run["round"]: run[figure] for run in runs if run["kind"] == kind and run[figure] is not None}


def _ratio(
    base: Iterable[Mapping[str, Any]], own: Iterable[Mapping[str, Any]], figure: str
) -> dict[str, float] | None:
    theirs, ours = _values(base, figure), _values(own, figure)
    return spread([theirs[number] / ours[number] for number in theirs if ours.get(number)])


def table(results: Mapping[str, Any]) -> str:
    """Return everything measured as text."""
    lines = [f"{name}: {value}" for name, value in results["meta"].items()]
    titles = ["", "wall s", "CPU s", "install phase s", "download s", "MB one", "MB tree"]
    cell: Cell | None = None
    for row in summarise(results["runs"]):
        if cell != (row["set"], row["line"], row["scenario"]):
            cell = (row["set"], row["line"], row["scenario"])
            lines += ["", " / ".join(cell), _columns([*titles, *(f"x {base}" for base in BASES)])]
        ratios = [_seconds(row["faster_than"].get(base, {}).get("wall_s")) for base in BASES]
        lines.append(
            _columns(
                [row["tool"]]
                + [_seconds(row[figure]) for figure in ("wall_s", "cpu_s", "install_phase_s", "download_phase_s")]
                + [_megabytes(row["largest_rss"]), _megabytes(row["tree_pss"])]
                + ratios
            )
        )
    lines += _extras(results)
    notes = [*results.get("notes", []), *_disturbed(results["runs"])]
    lines += ["", *(f"note: {note}" for note in notes)]
    legend = (
        "median (least-greatest). x TOOL: how many times faster than TOOL, whole command, run against run of the "
        "same round. MB one: the largest process; MB tree: all processes, shared pages shared out."
    )
    return "\n".join([*lines, legend])


DISTURBED = 0.5
"""Cores that others may use while something is measured: server and relay take a quarter of one at most."""


def _disturbed(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say so when the machine was doing something else meanwhile."""
    timed = [run for run in runs if run["kind"] == "timing" and run["wall_s"] > 1]
    shares = [run["others_cpu_s"] / run["wall_s"] for run in timed]
    if not shares or statistics.median(shares) < DISTURBED:
        return []
    typical, worst = statistics.median(shares), max(shares)
    return [f"other processes used {typical:.1f} cores meanwhile (at worst {worst:.1f}): measure again in quiet"]


def _extras(results: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    placing = results.get("placing", [])
    for name in dict.fromkeys(row["set"] for row in placing):
        rows = [row for row in placing if row["set"] == name]
        ratio = spread([row["place_s"] / row["cp_s"] for row in rows if row["place_s"] is not None])
        place = spread([row["place_s"] for row in rows if row["place_s"] is not None])
        phase = spread([row["install_phase_s"] for row in rows if row["install_phase_s"] is not None])
        lines += [
            "",
            f"placing / {name}: {_seconds(place)} s (whole install phase {_seconds(phase)} s), "
            f"cp -al {_seconds(spread([row['cp_s'] for row in rows]))} s, {rows[0]['cp_files']} files, "
            f"ratio {_seconds(ratio)}",
        ]
    for row in results.get("stream", []):
        lines += ["", f"one stream / {row['set']} / {row['line']}: {_seconds(spread(row['seconds']))} s"]
    races = results.get("race", [])
    if races:
        wrong = [row for row in races if row["wrong"]]
        lines += ["", f"race / {races[0]['set']}: {len(races)} times, {len(wrong)} wrong"]
        lines += [f"  {row['round'] + 1}: {problem}" for row in wrong for problem in row["wrong"]]
    return lines


def _columns(cells: Sequence[str]) -> str:
    first, *others = cells
    return f"{first:<11}" + "".join(f" {cell:>21}" for cell in others).rstrip()


def _seconds(value: Mapping[str, float] | None) -> str:
    if value is None:
        return "-"
    places = 3 if value["median"] < 1 else 2 if value["median"] < 100 else 0
    median, least, greatest = (f"{value[key]:.{places}f}" for key in ("median", "min", "max"))
    return f"{median} ({least}-{greatest})"


def _megabytes(value: Mapping[str, float] | None) -> str:
    return "-" if not value or not value["max"] else f"{value['median'] / _MB:.0f}"


def write(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``results.json``, ``results.txt`` and ``results.png``; return those that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    summary = {**results, "summary": summarise(results["runs"])}
    written = [folder / "results.json", folder / "results.txt"]
    written[0].write_text(json.dumps(summary, indent=1), encoding="utf-8")
    written[1].write_text(table(results) + "\n", encoding="utf-8")
    if results["runs"]:
        written.append(draw(results, folder / "results.png"))
    return written


COLOURS = {"pip": "#8c8c8c", "pipfast": "#1f77b4", "uv": "#d98cb3", "uv-compile": "#a64d79"}


def draw(results: Mapping[str, Any], path: Path) -> Path:
    """Draw whole-command times: a row of panels for each set and line, a panel for each scenario."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = summarise(results["runs"])
    places = list(dict.fromkeys((row["set"], row["line"]) for row in rows))
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    size = (4.2 * len(scenarios) + 0.6, 1.9 * len(places) + 0.9)
    figure, panels = pyplot.subplots(len(places), len(scenarios), figsize=size, squeeze=False)
    for (name, line), across in zip(places, panels, strict=True):
        for scenario, panel in zip(scenarios, across, strict=True):
            here = [row for row in rows if (row["set"], row["line"], row["scenario"]) == (name, line, scenario)]
            here = [row for row in here if row["wall_s"]]
            panel.set_title(f"{name}, {line}: {scenario}", fontsize=9)
            medians = [row["wall_s"]["median"] for row in here]
            reach = [
                [row["wall_s"]["median"] - row["wall_s"]["min"] for row in here],
                [row["wall_s"]["max"] - row["wall_s"]["median"] for row in here],
            ]
            labels = [row["tool"] for row in here]
            bars = panel.barh(
                labels, medians, xerr=reach, color=[COLOURS.get(label, "#444444") for label in labels],
                error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
            )  # fmt: skip
            panel.bar_label(bars, [f"{median:.2f} s" for median in medians], padding=6, fontsize=8)
            panel.set_xlim(0, 1.3 * max([*(row["wall_s"]["max"] for row in here), 1e-3]))
            panel.invert_yaxis()
            panel.tick_params(labelsize=8)
            panel.spines[["top", "right"]].set_visible(False)
    versions = results["meta"].get("versions", {})
    figure.suptitle("Whole command, seconds: median, least and greatest\n" + _once(versions.values()), fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
    return path


def _once(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))
