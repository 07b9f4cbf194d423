"""Download rows on the screen, and others' output among them."""

from __future__ import annotations

import io
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from pip._internal.utils import logging as pip_logging

from pipfast import report
from pipfast.settings import Settings
from pipfast.system import threads
from pipfast_hooks.output import display as look
from pipfast_hooks.run import begin_run, current_run, end_run
from support.terminal import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

MB = 1_000_000


class Terminal:
    """A console of pip's, and the screen that it writes to."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.console: Any = getattr(pip_logging, "PipConsole", pip_logging.Console)(
            file=self.stream, force_terminal=True, width=60, height=20, color_system=None
        )

    @property
    def text(self) -> str:
        """What stands on the screen."""
        screen = Screen(60)
        screen.write(self.stream.getvalue())
        return screen.text()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    # The test draws itself.
    monkeypatch.setattr(threads, "start", lambda *_: None)
    monkeypatch.setattr(report, "_said", set())
    begin_run(Settings())
    yield Terminal()
    end_run()


@dataclass(eq=False)
class _Download:
    url: str
    arrived: int
    size: int | None
    began: float
    finished: bool


def download(name: str, arrived: int, size: int | None, *, finished: bool = False) -> Any:
    began = time.monotonic() - 2
    return _Download(f"http://127.0.0.1/{name}-1.0-py3-none-any.whl", arrived, size, began, finished)


def downloads() -> list[Any]:
    return [download("first", 4 * MB, 8 * MB), download("second", MB, None), download("small", 100, 1000),
            download("over", 2 * MB, 2 * MB, finished=True)]


def test_a_row_for_each_running_download_and_one_for_the_total(terminal: Terminal) -> None:
    running = downloads()
    with look.Display(current_run(), terminal.console, lambda: running, 2) as display:
        list(display.watch(iter([1])))
        first, second, total = terminal.text.splitlines()
        assert first.split()[:2] == ["first", "1.0"] and "4.0/8.0 MB" in first and "B/s " in first
        assert second.split()[:4] == ["second", "1.0", "1.0", "MB"] or "1.0 MB" in second
        assert total.split()[0] == "total"
    assert terminal.text == ""
    assert terminal.stream.getvalue().endswith("\x1b[?25h")


def test_rows_stay_below_what_is_printed(terminal: Terminal) -> None:
    running = downloads()[:1]
    with look.Display(current_run(), terminal.console, lambda: running, 2) as display:
        list(display.watch(iter([1])))
        terminal.console.print("Collecting numpy")
        assert [line.split()[0] for line in terminal.text.splitlines()] == ["Collecting", "first"]
        with display.aside():
            assert terminal.text == "Collecting numpy"
            # pip may ask for a password.
            assert terminal.stream.getvalue().endswith("\x1b[?25h")
            terminal.console.print("pip's own bar")
            list(display.watch(iter([1])))
            assert terminal.text == "Collecting numpy\npip's own bar"
    assert terminal.text == "Collecting numpy\npip's own bar"


@pytest.mark.parametrize("who", ["pip", "pipfast"])
def test_a_line_on_standard_error_has_its_own_place(
    who: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shorter than the row that stood there, whose end must not stand behind it."""
    handler: Any = logging.StreamHandler(terminal.stream)
    handler.console = object()
    monkeypatch.setattr("sys.stderr", terminal.stream)
    root = logging.getLogger()
    root.addHandler(handler)
    running = downloads()[:1]
    try:
        with look.Display(current_run(), terminal.console, lambda: running, 2) as display:
            list(display.watch(iter([1])))
            if who == "pip":
                logging.getLogger("pip").warning("WARNING: x")
            else:
                report.say("x")
            # One refresh is left out: the line may not be written yet.
            list(display.watch(iter([1, 1])))
            said, row = terminal.text.splitlines()
            assert said in ("WARNING: x", "pipfast: x") and row.split()[0] == "first"
        assert terminal.text == said
    finally:
        root.removeHandler(handler)


def test_what_an_exception_left_is_taken_off(terminal: Terminal) -> None:
    """pip's frames keep a generator alive in which a display is open."""
    running = downloads()
    display = look.Display(current_run(), terminal.console, lambda: running, 2)
    display.__enter__()
    list(display.watch(iter([1])))
    assert terminal.text
    current_run().part(look.Shown).close(0.0)
    assert terminal.text == ""
    display.__exit__()
    assert terminal.stream.getvalue().count("\x1b[?25h") == 1


def test_more_rows_than_the_screen_has_lines(terminal: Terminal) -> None:
    """The total stays: moving the cursor above the screen's first line would lose it."""
    many = [download(f"number{number}", MB, 2 * MB) for number in range(50)]
    with look.Display(current_run(), terminal.console, lambda: many, 2) as display:
        list(display.watch(iter([1])))
        assert len(terminal.text.splitlines()) == 18
        assert terminal.text.splitlines()[-1].split()[0] == "total"
