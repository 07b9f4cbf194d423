"""The status line in the place of pip's spinner."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pip._internal.cli.spinners import InteractiveSpinner as Spinner
from pip._internal.utils.logging import indent_log

from pipfast_hooks.output import progress as builds_progress
from pipfast_hooks.output.plain_text import plain


@pytest.mark.parametrize(("line", "seen"), [
    ("\x1b]0;title\x07[1/9] \x1b[1;32mcc\x1b[0m -c a.c\n", "[1/9] cc -c a.c"),
    ("10 %\r20 %\r30 %\n", "30 %"),
    ("a\tb\x08\x00\x9b2J", "a b???2J"),
    ("\u5b8c\u4e86 \U0001f600", "?? ?"),
])
def test_a_build_cannot_move_the_cursor(line: str, seen: str) -> None:
    assert plain(line) == seen


def test_short_builds_turn_as_under_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []

    spinner = Spinner("Building", io.StringIO())
    monkeypatch.setattr(spinner, "spin", lambda: turns.append(1))
    progress = builds_progress.Progress(spinner)
    progress.spin()
    monkeypatch.setattr(time, "monotonic", lambda: float("inf"))
    progress.spin()
    monkeypatch.undo()
    progress.finish("done")
    assert turns == [1]


def test_it_stays_in_one_line_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen = io.StringIO()
    spinner = Spinner("Building", screen)
    progress = builds_progress.Progress(spinner)
    progress.close()
    progress.said("x" * 100)
    assert len(screen.getvalue() + progress._status(4000)) == 39
    assert progress._status(4000).startswith("66:40 xxx")


def test_indentation_counts_although_the_status_is_made_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's indentation is the thread's own: the status of an indented line was two columns too wide."""
    monkeypatch.setenv("COLUMNS", "60")
    screen = io.StringIO()
    with indent_log():
        spinner = Spinner("Preparing metadata (pyproject.toml)", screen)
        progress = builds_progress.Progress(spinner)
    progress.said("x" * 100)
    with ThreadPoolExecutor() as other:
        status = other.submit(progress._status, 4).result()
    progress.close()
    assert len(screen.getvalue() + status) == 59
