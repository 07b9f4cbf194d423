"""Display of running downloads on a terminal: rows and a total.

The cursor rests at the start of the first row: "erase from here to the end" removes all rows, even after a resize
has wrapped them.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from pip._vendor.rich.control import Control
from pip._vendor.rich.progress_bar import ProgressBar
from pip._vendor.rich.segment import ControlType, Segment

from pipfast import report
from pipfast.address import file_name
from pipfast.system import threads
from pipfast_hooks.output.plain_text import columns
from pipfast_hooks.output.rows import Row, lay_out, short_name
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pipfast.fetch.job import Download

SHOWN_FROM = 512 * 1024
"""Bytes; pip draws no bar for smaller files."""

REFRESH_S = 0.125
"""Seconds between two updates."""

JOIN_S = 1.0
"""Seconds to wait for the thread that draws."""

RATE_S = 5.0
"""Seconds over which a rate is measured; longer than a hiccup of the network."""

_ERASE = Control()
# rich has no name for "erase to the end of the screen" (ED 0).
_ERASE.segment = Segment("\r\x1b[J", None, [(ControlType.CARRIAGE_RETURN,)])


class Shown(Part):
    """The display that is on the screen, if one is: an exception may have left it there."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._display: Display | None = None

    def put(self, display: Display) -> None:
        """Take note of a display that begins; another one leaves the screen."""
        self.close(0.0)
        self._display = display

    def close(self, wait_s: float) -> None:
        """Take the display off the screen."""
        display, self._display = self._display, None
        if display is not None:
            display.__exit__()


class Meter:
    """Bytes per second over the last ``RATE_S`` seconds; at first, since the first byte."""

    def __init__(self, began: float) -> None:
        self._samples: deque[tuple[float, int]] = deque([(began, 0)])

    def rate(self, now: float, arrived: int) -> float | None:
        """Note the bytes that have arrived by ``now``, and return the rate; None while it is unknown."""
        samples = self._samples
        samples.append((now, arrived))
        while len(samples) > 2 and samples[1][0] < now - RATE_S:
            samples.popleft()
        since, before = samples[0]
        seconds = now - since
        return (arrived - before) / seconds if seconds > 0 else None


class Display:
    """Rows that follow downloads; they are erased when the display is left."""

    def __init__(
        self, run: Run, console: Any, downloads: Callable[[], Iterable[Download]], indent: int,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        """:param sizes: bytes by address, as far as indexes tell."""
        self._shown = run.part(Shown)
        self._console = console
        self._downloads = downloads
        self._indent = indent
        self._sizes = {} if sizes is None else sizes
        self._meters: dict[object, Meter] = {}
        self._lock = threading.RLock()
        self._paused = 0
        self._skip = False
        self._left = threading.Event()
        self._thread: threading.Thread | None = None
        self._handlers: list[logging.Handler] = []

    def __enter__(self) -> Display:
        self._shown.put(self)
        self._console.push_render_hook(self)
        self._console.show_cursor(False)
        report.before_saying(self.make_room)
        for handler in logging.getLogger().handlers:
            console = getattr(handler, "console", None)
            if console is not None and console is not self._console:
                handler.addFilter(self._before)
                self._handlers.append(handler)
        # Without a thread, rows are drawn when bytes of the file arrive that pip waits for.
        self._thread = threads.start(self._paint, "pipfast-display")
        return self

    def __exit__(self, *_: object) -> None:
        if self._left.is_set():
            return
        self._left.set()
        try:
            if self._thread is not None:
                # It may be writing to a terminal that takes nothing (Ctrl-S).
                threads.join([self._thread], JOIN_S)
        finally:
            report.before_saying(None)
            for handler in self._handlers:
                handler.removeFilter(self._before)
            with self._lock:
                self._console.pop_render_hook()
                self._console.control(_ERASE)
                self._console.show_cursor(True)

    def watch(self, increments: Iterator[int]) -> Iterator[int]:
        """Pass the increments of one download through; draw the rows if no thread does."""
        for increment in increments:
            if self._thread is None:
                self._refresh()
            yield increment

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Erase the rows while others write to the screen."""
        with self._lock:
            if not self._paused:
                self._console.control(_ERASE)
                # pip may ask for a password there.
                self._console.show_cursor(True)
            self._paused += 1
        try:
            yield
        finally:
            with self._lock:
                self._paused -= 1
                if not self._paused and not self._left.is_set():
                    self._console.show_cursor(False)

    def make_room(self) -> None:
        """Erase the rows until the next refresh but one, for a line on standard error."""
        with self._lock:
            if not self._paused and not self._left.is_set():
                self._skip = True
                self._console.control(_ERASE)

    def _before(self, record: logging.LogRecord) -> bool:
        """Make room for a record of another handler; a filter that lets every record pass."""
        self.make_room()
        return True

    def process_renderables(self, renderables: list[Any]) -> list[Any]:
        """Add the rows below pip's output; rich calls this for its render hooks."""
        with self._lock:
            if self._paused or self._left.is_set():
                return renderables
            return [_ERASE, *renderables, _Frame(self._segments())]

    def _paint(self) -> None:
        try:
            while not self._left.wait(REFRESH_S):
                self._refresh()
        except Exception:
            # If standard output was closed, pip finds out by itself.
            report.logger.debug("pipfast: the display of downloads ends", exc_info=True)

    def _refresh(self) -> None:
        with self._lock:
            if self._skip:
                self._skip = False
            elif not self._paused and not self._left.is_set():
                # Printing calls the hook, which adds the rows.
                self._console.print(Control())

    def rows(self, now: float) -> list[Row]:
        """Return the rows of running downloads, and of the total if there are several."""
        downloads = [
            (each, size or 0) for each in self._downloads()
            if (size := each.size or self._sizes.get(each.url)) or each.began is not None
        ]
        shown = [
            Row(short_name(file_name(each.url)), each.arrived, size or None,
                self._meter(each, each.began).rate(now, each.arrived))
            for each, size in downloads
            if each.began is not None and not each.finished and max(size, each.arrived) > SHOWN_FROM
        ]
        arrived, whole = sum(each.arrived for each, _ in downloads), sum(size for _, size in downloads)
        if len(downloads) > 1 and shown:
            began = min(each.began for each, _ in downloads if each.began is not None)
            rate = self._meter(None, began).rate(now, arrived)
            shown.append(Row("total", arrived, max(whole, arrived), rate))
        return shown

    def _meter(self, key: object, began: float) -> Meter:
        return self._meters.setdefault(key, Meter(began))

    def _segments(self) -> list[Segment]:
        console = self._console
        height = max(console.size.height - 2, 1)
        # Some terminals wrap a line when its last column is written.
        room = min(columns(console.file), console.width) - 1
        options = console.options
        rows = self.rows(time.monotonic())[-height:]
        segments: list[Segment] = []
        for row, parts in zip(rows, lay_out(rows, room, self._indent, ascii_only=options.ascii_only), strict=True):
            if segments:
                segments.append(Segment.line())
            segments.append(Segment(parts.before))
            if parts.bar:
                bar = ProgressBar(row.size or 1, row.arrived if row.size else 0, width=parts.bar)
                drawn = list(console.render(bar, options.update(width=parts.bar)))
                drawn = [each for each in drawn if each.text != "\n"]
                segments += [*drawn, Segment(" " * (parts.bar - Segment.get_line_length(drawn) + 1))]
            for text, style in ((parts.size, "progress.download"), (parts.rate, "progress.data.speed"),
                                (parts.left, "progress.remaining")):
                if text:
                    blank = " " if style != "progress.download" else ""
                    segments.append(Segment(blank + text, console.get_style(style)))
        if rows:
            codes: list[Any] = [ControlType.CARRIAGE_RETURN]
            if len(rows) > 1:
                codes.append((ControlType.CURSOR_UP, len(rows) - 1))
            segments.append(Control(*codes).segment)
        return segments


class _Frame:
    """Segments that rich prints unchanged."""

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Segment]:
        yield from self._segments


def terminal_console(progress_bar: str) -> Any | None:
    """Return pip's console if it writes to a terminal and a bar is wanted, else None."""
    # Without a standard output (`>&-`), sys.stdout is None.
    if progress_bar != "on" or sys.stdout is None or not sys.stdout.isatty():
        return None
    if logging.getLogger("pip").getEffectiveLevel() > logging.INFO:
        return None
    for handler in logging.getLogger().handlers:
        console = getattr(handler, "console", None)
        if console is not None and getattr(console, "file", None) is sys.stdout:
            # TERM=dumb has no cursor to move; there pip prints its bars when they are full.
            usable = console.is_terminal and not console.is_dumb_terminal and not console.legacy_windows
            return console if usable else None
    return None
