"""Status of a long build on a terminal: time and last line.

pip's spinner turns only when a line comes, and stands still while a compiler is silent. At the end the status is
erased, and pip's line remains. Nothing is added where standard output is no terminal.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pip._internal.cli.spinners import InteractiveSpinner
from pip._internal.utils.logging import get_indentation
from pip._internal.utils.subprocess import subprocess_logger

from pipfast.system import threads
from pipfast_hooks.output.plain_text import columns, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast_hooks.call import Call

LONG_S = 2.0
"""Seconds after which a build is long."""

JOIN_S = 1.0
"""Seconds to wait for the thread that writes."""

LOOK_S = 0.5
"""Seconds between two updates."""

_ERASE = "\x1b[J"
"""From the cursor to the end of the screen (ECMA-48, ED)."""


class Progress:
    """Stands in for pip's spinner and shows the status."""

    def __init__(self, spinner: InteractiveSpinner) -> None:
        self._spinner = spinner
        self._began = time.monotonic()
        # Only this thread knows pip's indentation.
        self._begins_at = get_indentation() + len(spinner._message) + len(" ... ")
        self._can_erase = os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        self._is_shown = False
        self._last = ""
        self._over = threading.Event()
        self._lock = threading.Lock()
        # Without a thread, pip's spinner is all that is shown.
        self._thread = threads.start(self._show, "pipfast-progress")

    def said(self, line: str) -> None:
        """Take a line of the build's output; returns at once."""
        self._last = line

    def spin(self) -> None:
        """Turn pip's spinner until the build is long."""
        with self._lock:
            if self._thread is None or time.monotonic() - self._began < LONG_S:
                self._spinner.spin()

    def finish(self, final_status: str) -> None:
        """Erase the status and end pip's spinner."""
        self.close()
        self._spinner.finish(final_status)

    def close(self) -> None:
        """Stop the updates; the spinner is pip's again."""
        self._over.set()
        if self._thread is not None:
            threads.join([self._thread], JOIN_S)
        if self._is_shown:
            self._is_shown = False
            self._spinner._file.write(_ERASE)

    def _show(self) -> None:
        while not self._over.wait(LOOK_S):
            seconds = int(time.monotonic() - self._began)
            with self._lock:
                if seconds >= LONG_S and not self._spinner._finished:
                    self._draw(self._status(seconds))

    def _draw(self, status: str) -> None:
        """Show ``status`` and leave the cursor before it, to erase it even after a resize has wrapped it."""
        spinner = self._spinner
        if not self._can_erase:
            spinner._write(status)
            return
        if spinner._width:
            spinner._write("")
        self._is_shown = True
        spinner._file.write(_ERASE + status + "\b" * len(status))
        spinner._file.flush()

    def _status(self, seconds: int) -> str:
        # Some terminals wrap a line when its last column is written.
        room = columns(self._spinner._file) - self._begins_at - 1
        return f"{seconds // 60}:{seconds % 60:02} {plain(self._last)}".rstrip()[: max(room, 0)]


@contextmanager
def lively(opened: Any) -> Iterator[Any]:
    """Enter pip's ``open_spinner``; on a terminal, yield a ``Progress`` in its place."""
    with opened as spinner:
        if type(spinner) is not InteractiveSpinner:
            yield spinner
            return
        progress = Progress(spinner)
        original = subprocess_logger.verbose

        def verbose(msg: str, *args: Any, **kwargs: Any) -> None:
            # pip logs each line of a process like this, without arguments.
            if not args:
                progress.said(msg)
            original(msg, *args, **kwargs)

        vars(subprocess_logger)["verbose"] = verbose
        try:
            yield progress
        finally:
            vars(subprocess_logger).pop("verbose", None)
            progress.close()


def _around_open_spinner(call: Call) -> Any:
    """Show the status of a long build."""
    return lively(call.original())
