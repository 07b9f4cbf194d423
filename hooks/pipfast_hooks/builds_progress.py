"""A long build on a terminal shows that it lives: for how long, and the last line that it said.

pip's spinner turns when a line comes, and stands still while a compiler is silent. What stands there in the end is
pip's line, and where standard output is no terminal nothing is added.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pip._internal.cli.spinners import InteractiveSpinner
from pip._internal.utils.logging import get_indentation
from pip._internal.utils.subprocess import subprocess_logger

from pipfast import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG_S = 2.0
"""Seconds after which a build is long."""

LOOK_S = 0.5
"""Seconds between two updates."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Colours, titles and what else a build tells a terminal (ECMA-48, section 5)."""

_NOT_PLAIN = re.compile(r"[^ -~]")
"""What is not one column wide everywhere, or moves the cursor."""


class Progress:
    """What a build has said last, in the place of pip's turning bar."""

    def __init__(self, spinner: InteractiveSpinner) -> None:
        self._spinner = spinner
        self._began = time.monotonic()
        self._last = ""
        self._over = threading.Event()
        self._lock = threading.Lock()
        # Without a thread it shows what pip's spinner shows.
        self._thread = threads.start(self._show, "pipfast-progress")

    def said(self, line: str) -> None:
        """Take a line of the build's output; returns at once."""
        self._last = line

    def spin(self) -> None:
        """Stand in the place of the spinner's own."""
        with self._lock:
            if self._thread is None or time.monotonic() - self._began < LONG_S:
                self._spinner.spin()

    def finish(self, final_status: str) -> None:
        """Stand in the place of the spinner's own; nothing is shown after it."""
        self.close()
        self._spinner.finish(final_status)

    def close(self) -> None:
        """Show nothing more; the spinner is pip's again."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _show(self) -> None:
        while not self._over.wait(LOOK_S):
            seconds = int(time.monotonic() - self._began)
            with self._lock:
                if seconds >= LONG_S and not self._spinner._finished:
                    self._spinner._write(self._status(seconds))

    def _status(self, seconds: int) -> str:
        begun = get_indentation() + len(self._spinner._message) + len(" ... ")
        # One column stays free: in the last one, some terminals go on to the next line.
        room = shutil.get_terminal_size().columns - begun - 1
        return f"{seconds // 60}:{seconds % 60:02} {plain(self._last)}".rstrip()[: max(room, 0)]


def plain(line: str) -> str:
    """Return a line without what a terminal would take for an order, each character one column wide."""
    # What a carriage return was written over is not seen either.
    return _NOT_PLAIN.sub("?", _ESCAPES.sub("", line.rstrip().rpartition("\r")[2].replace("\t", " "))).strip()


@contextmanager
def lively(opened: Any) -> Iterator[Any]:
    """Enter what pip's ``open_spinner`` returned; on a terminal, let its spinner show more in a long build."""
    with opened as spinner:
        if type(spinner) is not InteractiveSpinner:
            yield spinner
            return
        progress = Progress(spinner)
        original = subprocess_logger.verbose

        def verbose(msg: str, *args: Any, **kwargs: Any) -> None:
            # As pip's reader of a process logs its lines.
            if not args:
                progress.said(msg)
            original(msg, *args, **kwargs)

        vars(subprocess_logger)["verbose"] = verbose
        try:
            yield progress
        finally:
            vars(subprocess_logger).pop("verbose", None)
            progress.close()


def _around_open_spinner(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Show how a build goes on."""
    return lively(wrapped(*args, **kwargs))
