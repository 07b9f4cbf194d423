"""Page of one run: one HTML file that asks no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections import defaultdict
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

from pipfast.report import counted
from pipfast.timeline.figures import covered, lane_of, outcome_of, own_words, peak
from pipfast.timeline.phases import CACHES, LANES
from pipfast.timeline.story import clean
from pipfast.timeline.words import in_bytes, in_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pipfast.timeline.figures import Figures, Level, Measured
    from pipfast.timeline.path import Step
    from pipfast.timeline.story import Row, Story

_HERE = Path(__file__).parent

_GENERATOR = b'<meta name="generator" content="pipfast">'
"""By this line of the frame a page is known, also one that was cut short."""

_PATH_LINES = 10
"""Lines of the critical path that are shown; the rest is a line for each lane."""

_PATH_SHARE = 0.01
"""Share of the time from which something has a line of its own."""

# e.g. `-cp311-cp311-manylinux2014_x86_64.whl`
_TAGS = re.compile(r"-[^-]+-[^-]+-[^-]+\.whl$")

_KEY = (
    ("◇", "miss", '<rect x="1" y="1" width="24" height="10" rx="1" fill="currentColor" fill-opacity=".78"/>'),
    ("◆", "hit", '<rect x="1" y="1" width="24" height="10" rx="5" fill="url(#hit)" stroke="currentColor"/>'),
    ("◈", "asked again, and not modified",
     '<rect x="1" y="1" width="24" height="10" rx="1" fill="currentColor" fill-opacity=".78"/>'),
    ("✕", "failed", '<rect x="1" y="1" width="24" height="10" rx="1" fill="url(#failed)" stroke="currentColor"/>'),
    ("", "not begun yet", '<rect x="1" y="5" width="24" height="2" fill="currentColor" opacity=".45"/>'),
    ("", "on the critical path", '<rect x="1" y="9" width="24" height="2" fill="var(--ink)"/>'),
)
"""Sign, words and picture of each kind of bar."""


class Earlier(NamedTuple):
    """The run before of the same command."""

    began_at: float
    """Seconds since the epoch."""
    figures: Figures


class Shown(NamedTuple):
    """What a page shows of a run."""

    command: Sequence[str]
    began_at: float
    status: int | None
    story: Story
    measured: Measured
    advice: Sequence[str]
    counters: Mapping[str, Sequence[Level]]
    cores: int
    dropped: int
    earlier: Earlier | None
    trace: str
    """Name of the trace's file."""


def page(shown: Shown) -> str:
    """Return the page. Each text of the run is escaped, or stands in the data, which is never read as HTML."""
    names = ("page.html", "page.css", "page.js")
    frame, style, script = ((_HERE / name).read_text(encoding="utf-8") for name in names)
    policy = (
        f"default-src 'none'; style-src '{_source(style)}'; script-src '{_source(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    key = (f'<span><svg aria-hidden="true">{picture}</svg>{sign} {words}</span>' for sign, words, picture in _KEY)
    return Template(frame).substitute(
        policy=escape(policy), style=style, script=script, status=_status(shown), figures=_figures(shown),
        command=escape(" ".join(["pipfast", *map(clean, shown.command)])),
        advice="".join(f"<li>{escape(each)}</li>" for each in shown.advice),
        path=_path(shown), comparison=_comparison(shown), key="".join(key), footer=_footer(shown),
        trace=escape(shown.trace),
        # In a script element nothing but its end is read; U+2028 is no matter to JSON.parse.
        data=json.dumps(_data(shown), separators=(",", ":")).replace("<", "\\u003c"),
    )


def is_page(begin: bytes) -> bool:
    """Tell whether a file that begins so is a page of ours."""
    return _GENERATOR in begin


def _source(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def _status(shown: Shown) -> str:
    when = time.strftime("%d %B %Y, %H:%M:%S", time.localtime(shown.began_at))
    if shown.status == 0:
        words, kind = "✓ succeeded", "good"
    else:
        words = "✕ failed" + (f" (exit code {shown.status})" if shown.status is not None else "")
        kind = "bad"
    return f'<p><span class="status {kind}">{words}</span> <span class="soft">· begun {escape(when)}</span></p>'


def _figures(shown: Shown) -> str:
    figures, known = shown.measured.figures, [row for row in shown.story.rows if outcome_of(row)]
    hits = sum(outcome_of(row) == "hit" for row in known)
    failed = sum(row.has_failed for row in shown.story.rows)
    told = [
        ("time", in_seconds(figures.seconds), _against(shown)),
        ("packages installed", str(figures.packages), f"{counted(failed, 'attempt')} failed" if failed else ""),
        ("received", in_bytes(figures.received), f"at {in_bytes(figures.rate)}/s" if figures.received else ""),
        ("answers of servers", str(figures.requests),
         f"in {in_seconds(figures.receiving)}" if figures.requests else ""),
        ("from caches", f"{hits} of {len(known)}", "hits, of all that was looked for"),
        ("at once", counted(peak(shown.measured.connections), "connection"),
         counted(peak(shown.measured.workers), "worker")),
    ]
    return '<dl class="figures">' + "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}{f'<small>{escape(more)}</small>' if more else ''}</dd></div>"
        for name, value, more in told
    ) + "</dl>"


def _against(shown: Shown) -> str:
    if shown.earlier is None:
        return ""
    before, now = shown.earlier.figures.seconds, shown.measured.figures.seconds
    if abs(before - now) < 0.01 * max(before, now):
        return "as the run before"
    return f"{in_seconds(abs(before - now))} {'less' if now < before else 'more'} than the run before"


def _path(shown: Shown) -> str:
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for step in shown.measured.path:
        seconds[lane_of(step), _words(step, shown.story)] += step.seconds
    total = shown.measured.figures.seconds
    lines, rest = [], dict[str, list[float]]()
    for number, ((lane, words), taken) in enumerate(sorted(seconds.items(), key=lambda item: -item[1])):
        if number < _PATH_LINES and taken >= _PATH_SHARE * total:
            lines.append((taken, lane, words))
        else:
            rest.setdefault(lane, []).append(taken)
    lines += [(sum(each), lane, f"{counted(len(each), 'shorter step')}") for lane, each in rest.items()]
    cells = (_path_line(lane, words, taken, total) for taken, lane, words in sorted(lines, reverse=True))
    return (
        '<section aria-labelledby="path"><h2 id="path">Critical path: what the end had to wait for</h2>'
        '<table><thead><tr><th scope="col">lane</th><th scope="col">what</th><th scope="col" class="n">time</th>'
        f'<th scope="col" class="n">share</th></tr></thead><tbody>{"".join(cells)}</tbody>'
        f'<tfoot><tr><th scope="row" colspan="2">sum</th><td class="n">'
        f'{escape(in_seconds(sum(seconds.values())))}</td><td class="n">100 %</td></tr></tfoot></table></section>'
    )


def _path_line(lane: str, words: str, seconds: float, total: float) -> str:
    name = f'<span class="lane c-{lane}"><span>{lane}</span></span>'
    share = f"{100 * seconds / total:.0f} %" if total else ""
    return (
        f'<tr><td>{name}</td><td>{escape(words)}</td><td class="n">{escape(in_seconds(seconds))}</td>'
        f'<td class="n">{share}</td></tr>'
    )


def _words(step: Step, story: Story) -> str:
    span = step.span
    if span is None:
        return own_words(step, story)
    if span.phase.waits or span.phase.lane == "pip":
        return span.phase.words
    name = story.row_of[span.number].name
    if name.endswith(".whl"):
        name = _TAGS.sub("", name)
    return f"waiting for a turn: {name}" if step.is_queue else f"{span.phase.words}: {name}"


def _comparison(shown: Shown) -> str:
    if shown.earlier is None:
        return ""
    now, before = shown.measured.figures, shown.earlier.figures
    lines: list[tuple[str, float, float, Callable[[float], str]]] = [
        ("time", before.seconds, now.seconds, in_seconds)
    ]
    lines += [(f"on the path: {lane}", before.lanes[lane], now.lanes[lane], in_seconds) for lane in LANES
              if max(before.lanes[lane], now.lanes[lane]) >= 0.0005]
    lines += [("received", before.received, now.received, in_bytes)]
    lines += [(name, float(getattr(before, name)), float(getattr(now, name)), "{:.0f}".format)
              for name in ("requests", "hits", "misses", "packages")]
    cells = "".join(
        f'<tr><td>{name}</td><td class="n">{show(old)}</td><td class="n">{show(new)}</td>'
        f'<td class="n">{"+" if new > old else "-" if new < old else "±"}{show(abs(new - old))}</td></tr>'
        for name, old, new, show in lines
    )
    when = time.strftime("%d %B %Y, %H:%M:%S", time.localtime(shown.earlier.began_at))
    return (
        '<section aria-labelledby="before"><h2 id="before">Against the run before</h2>'
        f'<p class="soft">The same command, begun {escape(when)}.</p><table><thead><tr>'
        '<th scope="col"></th><th scope="col" class="n">before</th><th scope="col" class="n">now</th>'
        f'<th scope="col" class="n">difference</th></tr></thead><tbody>{cells}</tbody></table></section>'
    )


def _footer(shown: Shown) -> str:
    dropped = f" {shown.dropped} events were too many, or no events, and are not shown." if shown.dropped else ""
    return (
        f"Beside this page, {escape(shown.trace)} has the same events for ui.perfetto.dev or chrome://tracing."
        f"{dropped} Times are of this machine's clock; bytes are those that were kept."
    )


def _data(shown: Shown) -> dict[str, Any]:
    story, measured = shown.story, shown.measured
    on_path: dict[int, float] = defaultdict(float)
    numbers = [_row_number(step, story) for step in measured.path]
    for number, step in zip(numbers, measured.path, strict=True):
        on_path[number] += step.seconds
    lanes = {lane: number for number, lane in enumerate(LANES)}
    counters = shown.counters
    return {
        "seconds": _round(story.seconds), "lanes": LANES,
        "rows": [_row(row, on_path[row.number]) for row in story.rows],
        "path": [
            [
                _round(step.began), _round(step.ended), lanes[lane_of(step)], _words(step, story),
                step.is_queue, number,
            ]
            for number, step in zip(numbers, measured.path, strict=True)
        ],
        "levels": [
            ["connections", f"in use; {peak(measured.connections)} at most", _levels(counters["connections"])],
            ["workers", f"at work; {peak(measured.workers)} at most", _levels(counters["workers"])],
            ["processor", f"cores in use, of {shown.cores}: all programs, and dashed pip itself",
             _stairs(counters["processor of all"]), _stairs(counters["processor of pip"])],
        ],
    }


def _row_number(step: Step, story: Story) -> int:
    row = story.row_of.get(step.span.number) if step.span is not None else None
    return -1 if row is None else row.number


def _row(row: Row, on_path: float) -> list[Any]:
    cache = CACHES.get(row.cache)
    parts = [each for each in row.spans if each.phase.is_part]
    bars = [[_round(each.began), _round(each.ended)] for each in parts or row.spans]
    busy = covered([(each.began, each.ended) for each in row.spans])
    return [
        LANES.index(row.lane), row.name, _round(row.began), _round(row.ended), _round(busy), row.size,
        cache.outcome if cache is not None else "", cache.words if cache is not None else "", clean(row.host),
        _round(row.waited), _round(row.queued), -1 if row.after is None else row.after.number, row.has_failed,
        _round(on_path), bars,
    ]


def _levels(levels: Iterable[Level]) -> list[list[float]]:
    return [[_round(at), level] for at, level in levels]


def _stairs(shares: Sequence[Level]) -> list[list[float]]:
    """Return levels that hold from a moment on, for shares that hold until one."""
    begins = [0.0, *(at for at, _ in shares)]
    return [[_round(began), round(share, 2)] for began, (_, share) in zip(begins, shares, strict=False)]


def _round(seconds: float) -> float:
    # In a third of the time of `round(seconds, 5)`.
    return int(1e5 * seconds + 0.5) / 1e5
