"""Layout and text of download rows."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pipfast_hooks.output import lines
from pipfast_hooks.output.display import Meter
from pipfast_hooks.output.rows import BAR_MIN, Row, lay_out, short_name

if TYPE_CHECKING:
    from pipfast_hooks.output.rows import Parts

MB = 1_000_000
ROWS = [
    Row("pandas 3.1.1", 9_900_000, 12_700_000, 45.2 * MB),
    Row("nvidia-cuda-nvrtc-cu12-with-a-long-name 12.8.93", 1, 999_900_000, 999_900.0),
    Row("of unknown size 1.0", 12 * MB, None, None),
    Row("total", 9_900_000, 2_012_700_000, 3.0),
]
LINK = SimpleNamespace(show_url="demo.whl", url_without_fragment="demo.whl", netloc="127.0.0.1")


def text(parts: Parts) -> str:
    """Return a row as it stands on the screen."""
    numbers = " ".join(each for each in (parts.size, parts.rate, parts.left) if each)
    return parts.before + (parts.bar * "=" + " " if parts.bar else "") + numbers


@pytest.mark.once
@pytest.mark.parametrize("indent", [0, 2, 6])
def test_no_row_is_wider_than_its_room(indent: int) -> None:
    for width in range(5, 200):
        for rows in (ROWS, ROWS[:1], ROWS[2:3]):
            assert all(len(text(parts)) <= width for parts in lay_out(rows, width, indent)), width


@pytest.mark.once
@pytest.mark.parametrize(("width", "row"), [
    (40, "  pan… ===== 9.9/12.7 MB 45.2 MB/s 0:00"),
    (60, "  pandas 3.1.1 ================= 9.9/12.7 MB 45.2 MB/s 0:00"),
    (80, "  pandas 3.1.1 ================================= 9.9/12.7 MB 45.2 MB/s eta 0:00"),
    (100, "  pandas 3.1.1 ======================================== 9.9/12.7 MB 45.2 MB/s eta 0:00"),
    (140, "  pandas 3.1.1 ======================================== 9.9/12.7 MB 45.2 MB/s eta 0:00"),
])
def test_what_stays_at_each_width(width: int, row: str) -> None:
    """The name is cut first; size, rate and time left stay, and so does a bar."""
    (parts,) = lay_out(ROWS[:1], width - 1, 2)
    assert text(parts) == row
    assert parts.bar >= BAR_MIN


@pytest.mark.once
def test_columns_are_aligned() -> None:
    found = lay_out(ROWS, 79, 2)
    widths = {(len(each.before), each.bar, len(each.size), len(each.rate), len(each.left)) for each in found}
    assert len(widths) == 1
    assert [each.left.strip() for each in found] == ["0:00", "16:40", "-:--", "-:--"]
    assert found[2].size.strip() == "12.0 MB" and found[2].rate.strip() == "?"


@pytest.mark.once
@pytest.mark.parametrize(("filename", "name"), [
    ("pandas-3.1.1-cp313-cp313-manylinux_2_17_x86_64.whl", "pandas 3.1.1"),
    ("python_dateutil-2.9.0.post0-1build-py2.py3-none-any.whl", "python-dateutil 2.9.0.post0"),
    ("flash-attn-2.8.tar.gz", "flash-attn 2.8"), ("main.zip", "main.zip"),
    ("a\x1b[2J\x07-1.0-py3-none-any.whl", "a? 1.0"),
])
def test_short_names(filename: str, name: str) -> None:
    """A project and a version; an index cannot move the cursor."""
    assert short_name(filename) == name


@pytest.mark.once
def test_rate_counts_from_when_bytes_began_to_come() -> None:
    meter = Meter(100.0)
    assert meter.rate(100.0, 0) is None
    assert meter.rate(102.0, 4 * MB) == 2 * MB
    for second in range(103, 120):
        rate = meter.rate(second, 4 * MB + (second - 102) * MB)
    assert rate == MB


@pytest.mark.parametrize(("times", "rate", "elapsed"), [
    ((10.0, 14.0), "2.0 MB/s", "0:00:04"), ((10.0, 90.0), "100.0 kB/s", "0:01:20"), (None, "?", "0:00:00"),
    ((10.0, 10.0), "?", "0:00:00"),
])
def test_pips_bar_has_the_rate_that_the_download_had(
    times: tuple[float, float] | None, rate: str, elapsed: str, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not that of counting its bytes afterwards, "361.3 GB/s"; and no rate where nothing was transferred."""
    caplog.set_level(logging.INFO, "pip")
    lines.tell(lines.StandIn(8 * MB, False), LINK, "on", 8 * MB, iter([8 * MB]), times=lambda: times)
    bar = capsys.readouterr().out
    assert "8.0/8.0 MB" in bar and bar.split(" MB ", 1)[1].startswith(rate)
    # Older pips show what is left.
    assert elapsed in bar or "0:00:00" in bar

def test_no_bar_of_a_download_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    def increments() -> Any:
        yield 100
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        lines.tell(lines.StandIn(8 * MB, False), LINK, "on", 8 * MB, increments())
    assert capsys.readouterr().out == ""
