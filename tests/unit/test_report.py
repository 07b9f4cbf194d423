"""Messages on standard error, and times of phases."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from pipfast import report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(report, "_said", set())
    yield
    report.keep_timings(None)


def test_each_thing_once_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    report.say("something", "do this")
    report.say("something", "do this")
    report.say("something else")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "pipfast: something\nhint: do this\npipfast: something else\n"


def test_hint_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        report.say(f"problem {number}", "one cure for all")
    assert capsys.readouterr().err.splitlines() == [
        "pipfast: problem 0", "hint: one cure for all", "pipfast: problem 1", "pipfast: problem 2",
    ]


@pytest.mark.parametrize(("text", "shown"), [
    ("plain, naïve and 文", "plain, naïve and 文"), ("\x1b[2J\x9b1m\b", r"\x1b[2J\x9b1m\x08"),
    ("\u202etxt.exe\u2066", r"\u202etxt.exe\u2066"), ("a\nERROR: b\r", r"a\nERROR: b\r"), ("\udcff", "\udcff"),
])
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert report.visible(text) == shown


def test_no_text_of_others_forges_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    """A further line of ours is set in; whatever else a name has in it stays in its line."""
    report.say("x\x1b[1A\nERROR: y imports\n  this", "run z\npipfast: do\n  that\x07")
    assert capsys.readouterr().err == (
        "pipfast: x\\x1b[1A\\nERROR: y imports\n  this\nhint: run z\\npipfast: do\n  that\\x07\n"
    )


def test_debug_log_moves_no_cursor(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "pipfast"):
        report.logger.debug("pipfast: %s", "a\x1b[2J\nb")
    assert caplog.messages == ["pipfast: a\\x1b[2J\nb"]


def test_rows_make_room_before_something_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    report.before_saying(lambda: print("room", file=sys.stderr))
    report.say("something new")
    report.before_saying(None)
    report.say("something newer")
    assert capsys.readouterr().err == "room\npipfast: something new\npipfast: something newer\n"


def test_closed_or_missing_standard_error_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        report.say(f"to {stream!r}")


def test_timings(tmp_path: Path) -> None:
    path = tmp_path / "times"
    with report.timed("before"):
        pass
    report.keep_timings(path)
    with report.timed("place", name="demo") as facts:
        facts["files"] = 3
    with pytest.raises(KeyError), report.timed("failing"):
        raise KeyError
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["phase"] for line in lines] == ["place", "failing"]
    assert lines[0]["files"] == 3 and lines[0]["seconds"] >= 0


def test_timings_that_cannot_be_written_are_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what is timed goes on."""
    path = tmp_path / "missing" / "timings"
    report.keep_timings(path)
    done = 0
    for _ in range(2):
        with report.timed("a phase"):
            done += 1
    lines = capsys.readouterr().err.splitlines()
    assert done == 2 and len(lines) == 2
    assert lines[0] == f"pipfast: no timings are kept: {path}: No such file or directory"
    assert lines[1] == "hint: set PIPFAST_TIMINGS to a file that can be written"
