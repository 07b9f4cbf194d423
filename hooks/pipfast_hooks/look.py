"""What a terminal shows of parallel downloads: a line for each running one, and the total."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from pip._vendor.rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from pipfast import threads
from pipfast.address import file_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipfast.fetch.job import Download

SHOWN_FROM = 512 * 1024
"""Bytes: pip draws no bar for smaller files."""


class Display:
    """Lines that follow downloads until it is left; then they are gone, as pip's own lines remain."""

    def __init__(self, console: Any, downloads: Iterable[Download], indent: int) -> None:
        self._downloads = list(downloads)
        # rich draws in a thread; where there is none, what is drawn changes with each increment.
        self._by_hand = threads.start(int, "pipfast-display") is None
        self._progress = Progress(
            TextColumn(" " * indent),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            refresh_per_second=8,
            transient=True,
            auto_refresh=not self._by_hand,
        )
        self._total = self._progress.add_task("in all", total=None, visible=False)
        self._lines: dict[Download, Any] = {}

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def watch(self, increments: Iterator[int]) -> Iterator[int]:
        """Pass the increments of one download through; bring all lines up to date with each."""
        for increment in increments:
            self._update()
            yield increment
        self._update()

    def _update(self) -> None:
        known = [download for download in self._downloads if download.size]
        arrived = sum(download.arrived for download in known)
        total = sum(download.size or 0 for download in known)
        self._progress.update(
            self._total, completed=arrived, total=total, visible=len(known) > 1 and total > SHOWN_FROM
        )
        for download in known:
            line = self._lines.get(download)
            if download.finished:
                if line is not None:
                    self._progress.update(line, visible=False)
            elif download.arrived and (download.size or 0) > SHOWN_FROM:
                if line is None:
                    name = file_name(download.url)
                    line = self._lines[download] = self._progress.add_task(name, total=download.size)
                self._progress.update(line, completed=download.arrived)
        if self._by_hand:
            self._progress.refresh()


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
            return console
    return None
