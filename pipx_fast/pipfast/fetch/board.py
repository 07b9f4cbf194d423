"""State that the workers of a pool share, under one lock."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.fetch.limiter import ConnectionLimiter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipfast.fetch.file.assembly import Assembly
    from pipfast.fetch.file.segments import Claim
    from pipfast.fetch.job import Download, Fetched
    from pipfast.fetch.transport import Response

STALLED_AFTER_S = 2.0
"""Seconds without a byte after which a stretch is taken from its stream: well over any round trip, and as much as
a stall of ours may cost."""


@dataclass(slots=True, eq=False)
class Task:
    """One request to make: for a whole file, or for the claimed part of one."""

    download: Download
    assembly: Assembly | None
    claim: Claim | None
    started: float
    ranged: bool
    """Whether it asks for a part, not for the whole file as pip would."""
    answered: float | None = None
    """When its answer began."""
    brought: int = 0
    """Bytes of its answer that were kept."""
    abandoned: bool = False
    """It is over, or somebody else has taken it on: it counts as a request in flight no more."""

    def is_over(self, assembly: Assembly) -> bool:
        """Whether nothing more is to be read for it."""
        return assembly.is_over or self.abandoned


class Board:
    """The shared state. Whoever uses a field or calls a method holds the lock, but for ``close_stale``.

    ``with board:`` is for workers: it closes stale answers when the lock is free again. The main thread takes
    ``board.lock`` itself: a Ctrl-C inside ``__enter__`` would leave it locked.
    """

    def __init__(self, connections: int, grow: Callable[[], None]) -> None:
        """:param grow: called with the lock held when another worker would have something to do."""
        self.lock = threading.Lock()
        self.work = threading.Condition(self.lock)
        self.written = threading.Condition(self.lock)
        """Streams wait for it that others are in the way of."""
        self.limiter = ConnectionLimiter(connections)
        self.closing = False
        self.idle = 0
        self.unfinished: dict[tuple[str, Path], Download] = {}
        self.tasks: list[Task] = []
        self.with_ranges: set[str] = set()
        """Hosts and ports that have sent a range to its end."""
        self.stale: deque[Response] = deque()
        self.without_ranges: set[str] = set()
        self.missed: dict[str, float] = {}
        """When a range did not come for the first time, by host and port that had sent others to their ends."""
        self._grow = grow

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()
        self.close_stale()

    def close_stale(self) -> None:
        """Close the answers that nobody wants any more, without the lock."""
        while self.stale:
            with suppress(Exception):
                self.stale.popleft().close()

    def call_for_help(self) -> None:
        """Have another worker look for something to do."""
        if self.idle:
            self.work.notify()
        else:
            self._grow()

    @staticmethod
    def stalled_before() -> float:
        """Return the time since when a stream must have brought something."""
        return time.monotonic() - STALLED_AFTER_S

    def begin(self, task: Task) -> None:
        """Count a task in."""
        self.tasks.append(task)
        task.download.started = task.download.started or task.started
        task.download.state.running += 1
        self.limiter.in_flight += 1

    def end(self, task: Task) -> None:
        """Give back what a task held, once."""
        if task in self.tasks:
            self.tasks.remove(task)
            self.disown(task)
            self.work.notify_all()

    def disown(self, task: Task) -> None:
        """Count a task as over, though its thread may still be waiting for an answer."""
        if not task.abandoned:
            task.abandoned = True
            task.download.state.running -= 1
            self.limiter.in_flight -= 1
            self.written.notify_all()

    def no_more_ranges(self, download: Download, *, but_one: bool = False) -> None:
        """Ask a server for nothing beside one stream of each file any more: one of its ranges did not come.

        :param but_one: one range at a time beside the first stream.
        """
        self.without_ranges.add(download.state.host)
        for each in self.unfinished.values():
            assembly = each.state.assembly
            if each.state.host == download.state.host and assembly is not None:
                assembly.plan.streams = min(assembly.plan.streams, 1 + (but_one and assembly.first_is_read))

    def forgives(self, task: Task) -> bool:
        """Note that a range did not come; return whether it is worth a second try, since others have come before.

        All that were under way when the first did not come are forgiven with it.
        """
        host = task.download.state.host
        return host in self.with_ranges and task.started < self.missed.setdefault(host, time.monotonic())

    def take_back(self, download: Download, assembly: Assembly, stalled: Claim) -> None:
        """Take a claim from its stream, which brings nothing."""
        forgiven = True
        for task in self.tasks:
            if task.claim is stalled and not task.abandoned:
                forgiven = stalled is not assembly.front and self.forgives(task) and forgiven
                self.disown(task)
                self.limiter.busy(started=task.started, now=time.monotonic())
        stream = assembly.streams.pop(stalled, None)
        assembly.plan.release(stalled)
        self.miss(download, assembly, forgiven=forgiven or stalled is assembly.front)
        if stream is not None:
            self.stale.append(stream)
        self.work.notify_all()

    def miss(self, download: Download, assembly: Assembly, *, forgiven: bool) -> bool:
        """Ask for no more ranges, or for one at a time if this one is forgiven.

        :returns: whether the first stream, which is being read, brings what is missing.
        """
        self.no_more_ranges(download, but_one=forgiven)
        return assembly.first_is_read

    def leave_to_front(self, download: Download, assembly: Assembly) -> bool:
        """Leave all that is missing to the first stream, while that is alive; also what came by ranges so far."""
        front = assembly.front
        if front is None or front not in assembly.streams or assembly.is_over or assembly.passed_over:
            return False
        self.no_more_ranges(download)
        for task in self.tasks:
            if task.assembly is assembly and task.claim is not front:
                self.disown(task)
        self.stale += [stream for claim, stream in assembly.streams.items() if claim is not front]
        assembly.streams = {front: assembly.streams[front]}
        assembly.plan.collapse(front)
        assembly.received, assembly.ranged, assembly.collapsed = assembly.by_front, 0, True
        download.state.ranges_allowed = False
        self.work.notify_all()
        self.written.notify_all()
        return True

    def collapse(self, task: Task, assembly: Assembly) -> bool:
        """Leave the rest to the first stream, if that is alive; else False."""
        download, front = task.download, assembly.front
        if self.is_settled(task, assembly):
            return True
        return self.leave_to_front(download, assembly) or (not download.state.ranges_allowed and front is not None)

    @staticmethod
    def is_settled(task: Task, assembly: Assembly) -> bool:
        """Whether somebody has seen to what a task was to bring."""
        return assembly.dead or task.abandoned or task.download.state.assembly is not assembly

    def abandon(self, download: Download, keep: Task | None = None) -> None:
        """Throw away what there is of a file, to start it again."""
        assembly, download.state.assembly = download.state.assembly, None
        self.work.notify_all()
        if assembly is not None:
            for task in self.tasks:
                if task.assembly is assembly and task is not keep:
                    self.disown(task)
            self.discard(assembly)

    def discard(self, assembly: Assembly) -> None:
        """End a file in the making: no byte of it is wanted."""
        assembly.dead = True
        self.written.notify_all()
        assembly.remove()
        assembly.close_if_unused()
        self.stale += assembly.streams.values()
        assembly.streams.clear()

    def fail(self, download: Download, error: BaseException) -> None:
        """End a download with ``error`` and leave nothing of it, unless it has ended already."""
        if not download.finished:
            self.settle(download, None, error)

    def settle(self, download: Download, fetched: Fetched | None, error: BaseException | None = None) -> None:
        """End a download; answers of its streams have come too late."""
        self.unfinished.pop((download.url, download.directory), None)
        self.abandon(download)
        download.settle(fetched, error)
