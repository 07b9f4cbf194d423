"""Layout of the rows that show running downloads.

A row is a name, a bar, the size, the rate and the time left. Where the terminal is narrow the name is cut first,
then the bar; no row is wider than its room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast_hooks.output.plain_text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME_MAX = 32
"""Columns; `nvidia-cuda-nvrtc-cu12 12.8.93` has 31."""
NAME_MIN = 4
"""Columns; less of a name is useless."""
BAR_MAX = 40
"""Columns; the width of pip's own bar."""
BAR_GOOD = 10
"""Columns that the bar keeps while the name can be cut."""
BAR_MIN = 5
"""Columns; a shorter bar shows nothing."""
ETA = "eta "
ETA_FROM = 20
"""Columns of the bar from which the word ``eta`` has room."""

_UNITS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"), (1, "bytes"))
"""pip's units: powers of ten."""


@dataclass(frozen=True, slots=True)
class Row:
    """One download, or the sum of all."""

    name: str
    arrived: int
    size: int | None = None
    rate: float | None = None
    """Bytes per second."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The texts of one row; the bar takes ``bar`` columns after ``before``."""

    before: str
    bar: int
    size: str
    rate: str
    left: str


def lay_out(rows: Sequence[Row], room: int, indent: int = 0, *, ascii_only: bool = False) -> list[Parts]:
    """Return the parts of each row; all columns are aligned. ``room``: the columns that a row may take."""
    if not rows:
        return []
    sizes, rates, lefts = [[make(row) for row in rows] for make in (_size, _rate, _left)]
    widths = [max(map(len, texts)) for texts in (sizes, rates, lefts)]
    names = min(max(len(row.name) for row in rows), NAME_MAX)
    # Three blanks: after the bar, the size and the rate.
    spare = room - sum(widths) - 3
    if spare - indent - len(ETA) - names - 1 >= ETA_FROM:
        spare -= len(ETA)
        lefts = [f"{ETA}{left}" for left in lefts]
        widths[2] += len(ETA)
    if spare - indent < NAME_MIN + 1 + BAR_MIN:
        indent = 0
    name, bar = _share(spare - indent, names)
    laid_out = []
    for row, *numbers in zip(rows, sizes, rates, lefts, strict=True):
        size, rate, left = (f"{text:>{width}}" for text, width in zip(numbers, widths, strict=True))
        if not bar:
            size, rate, left = _within(size, rate, left, room)
        is_whole = ascii_only or len(row.name) <= name
        cut = row.name[:name] if is_whole else f"{row.name[: name - 1]}\N{HORIZONTAL ELLIPSIS}"
        before = f"{cut:<{name}} " if name else ""
        laid_out.append(Parts(" " * indent + before, bar, size, rate, left))
    return laid_out


def short_name(filename: str) -> str:
    """Return ``pandas 3.1.1`` for ``pandas-3.1.1-cp313-cp313-manylinux_2_17_x86_64.whl``."""
    filename = plain(filename)
    if filename.endswith(".whl"):
        project, _, rest = filename.partition("-")
        version = rest.partition("-")[0]
    else:
        stem = filename.removesuffix(".zip").removesuffix(".tar.gz")
        project, _, version = stem.rpartition("-")
    return f"{project.replace('_', '-')} {version}" if project and version else filename


def _share(spare: int, names: int) -> tuple[int, int]:
    bar = min(BAR_MAX, spare - names - 1)
    if bar >= BAR_GOOD:
        return names, bar
    name = max(min(NAME_MIN, names), spare - BAR_GOOD - 1)
    if spare - name - 1 >= BAR_MIN:
        return name, spare - name - 1
    return 0, spare if spare >= BAR_MIN else 0


def _within(size: str, rate: str, left: str, room: int) -> tuple[str, str, str]:
    if len(size) + len(rate) + len(left) + 2 <= room:
        return size, rate, left
    if len(size) + len(rate) + 1 <= room:
        return size, rate, ""
    return size[: max(room, 0)], "", ""


def _size(row: Row) -> str:
    unit, name = next((each for each in _UNITS if (row.size or row.arrived) >= each[0]), _UNITS[-1])
    digits = 1 if unit > 1 else 0
    whole = f"/{row.size / unit:.{digits}f}" if row.size else ""
    return f"{row.arrived / unit:.{digits}f}{whole} {name}"


def _rate(row: Row) -> str:
    if row.rate is None:
        return "?"
    unit, name = next((each for each in _UNITS[:-1] if row.rate >= each[0]), _UNITS[-2])
    return f"{row.rate / unit:.1f} {name}/s"


def _left(row: Row) -> str:
    if not row.rate or row.size is None:
        return "-:--"
    minutes, seconds = divmod(int(max(row.size - row.arrived, 0) / row.rate + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours > 99:
        return "-:--"
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
