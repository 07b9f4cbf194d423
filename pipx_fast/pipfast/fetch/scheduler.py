"""Choice of the next task for a free connection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipfast.fetch.board import Board, Task
from pipfast.fetch.errors import DownloadCancelled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast.fetch.job import Download

LOOK_AGAIN_S = 0.5
"""Seconds between two looks of an idle worker for stalled streams."""


class Scheduler:
    """Hands out tasks: files that nobody works on, then parts of large ones, then what has stalled."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def submit(self, download: Download) -> None:
        """Queue a download behind those that are there, unless nobody can be called for it; with the lock held."""
        key = (download.url, download.directory)
        self._board.unfinished[key] = download
        try:
            self._board.call_for_help()
        except BaseException:
            del self._board.unfinished[key]
            raise

    def close(self) -> None:
        """Cancel everything."""
        with self._board.lock:
            self._board.closing = True
            for download in list(self._board.unfinished.values()):
                self._board.fail(download, DownloadCancelled(download.url))
            self._board.work.notify_all()
        self._board.close_stale()

    def next_task(self) -> Task | None:
        """Wait for something to do; None when the pool is closing."""
        while True:
            with self._board:
                task = self._wait_for_task()
                if task is not None or self._board.closing:
                    return task

    def _wait_for_task(self) -> Task | None:
        """Return a task; None where there is something else to do first."""
        board = self._board
        while not board.closing:
            now = time.monotonic()
            task = self._choose(now) if board.limiter.has_room() else None
            if task is not None:
                board.begin(task)
                if len(board.unfinished) > len(board.tasks) or (task.assembly and task.assembly.plan.streams > 1):
                    board.call_for_help()
                return task
            if board.stale:
                return None
            board.idle += 1
            try:
                board.work.wait(self._patience(now))
            finally:
                board.idle -= 1
        return None

    def _choose(self, now: float) -> Task | None:
        ready = [download for download in self._board.unfinished.values() if download.state.not_before <= now]
        for download in ready:
            # Files that nobody works on come first, in the order they were asked for ...
            if not download.state.running and (task := self._task_for(download, now)):
                return task
        for download in ready:
            # ... then further parts of large ones.
            if download.state.running and download.state.assembly and (task := self._task_for(download, now)):
                return task
        return self._take_over_stalled(ready, now)

    @staticmethod
    def _task_for(download: Download, now: float) -> Task | None:
        assembly = download.state.assembly
        if assembly is None:
            return Task(download, None, None, now, ranged=False)
        if assembly.finishing or not download.state.ranges_allowed:
            return None
        claim = assembly.plan.claim(now, from_behind=assembly.first_is_read)
        return None if claim is None else Task(download, assembly, claim, now, ranged=True)

    def _take_over_stalled(self, ready: Iterable[Download], now: float) -> Task | None:
        board = self._board
        for download in ready:
            assembly = download.state.assembly
            if assembly is None or assembly.plan.streams == 1 or not download.state.ranges_allowed:
                continue
            claim = assembly.plan.stalled(board.stalled_before())
            if claim is None:
                continue
            board.take_back(download, assembly, claim)
            if task := self._task_for(download, now):
                return task
        return None

    def _patience(self, now: float) -> float | None:
        unfinished = self._board.unfinished.values()
        pending = [wait for download in unfinished if (wait := download.state.not_before - now) > 0]
        if any(each.state.assembly and each.state.assembly.plan.streams > 1 for each in unfinished):
            pending.append(LOOK_AGAIN_S)
        return min(pending, default=None)
