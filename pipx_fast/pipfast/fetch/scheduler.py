"""Who does what next: which download, or which part of one, a free connection goes to."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.fetch.errors import DownloadCancelled
from pipfast.fetch.limiter import ConnectionLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pipfast.fetch.assembly import Assembly
    from pipfast.fetch.job import Download, Fetched
    from pipfast.fetch.segments import Claim
    from pipfast.fetch.transport import Response

STALLED_AFTER_S = 2.0
"""Seconds without a byte after which a stretch is taken from its stream: well over any round trip, and as much as
a stall of ours may cost."""

LOOK_AGAIN_S = 0.5
"""Seconds between two looks of an idle worker for stalled streams."""


@dataclass(slots=True, eq=False)
class Task:
    """One request to make: for a whole file, or for the claimed part of one."""

    download: Download
    assembly: Assembly | None
    claim: Claim | None
    started: float
    ranged: bool
    """Whether it asks for a part, not for the whole file as pip would."""
    abandoned: bool = False
    """It is over, or somebody else has taken it on: it counts as a request in flight no more."""


class Scheduler:
    """The state that workers share, under one lock. Methods named ``*_locked`` expect it to be held."""

    def __init__(self, connections: int, grow: Callable[[], None]) -> None:
        """:param grow: called with the lock held when another worker would have something to do."""
        self.lock = threading.Lock()
        self._grow = grow
        self._stale: list[Response] = []
        self.limiter = ConnectionLimiter(connections)
        self.closing = False
        self.idle = 0
        self._work = threading.Condition(self.lock)
        self._written = threading.Condition(self.lock)
        self._unfinished: dict[tuple[str, Path], Download] = {}
        self._tasks: list[Task] = []
        self._without_ranges: set[str] = set()
        """Hosts and ports whose ranges are asked for no more."""
        self._with_ranges: set[str] = set()
        """Hosts and ports that have sent a range to its end."""

    # --- the caller's side -------------------------------------------------------------------

    def submit_locked(self, download: Download) -> None:
        """Queue a download behind those that are there; it is not queued where nobody can be called for it."""
        self._unfinished[download.url, download.directory] = download
        try:
            self._call_for_help()
        except BaseException:
            self._forget(download)
            raise

    def close(self) -> list[Response]:
        """Cancel everything; return the answers still being read, to be closed without the lock."""
        with self.lock:
            self.closing = True
            streams: list[Response] = []
            for download in list(self._unfinished.values()):
                streams += self.fail_locked(download, DownloadCancelled(download.url))
            self._work.notify_all()
        return streams

    # --- choosing ----------------------------------------------------------------------------

    def next_task(self) -> Task | None:
        """Wait for something to do; None when the pool is closing."""
        while True:
            with self.lock:
                task = self._wait_for_task()
                stale = self.stale_locked()
                over = self.closing
            for response in stale:
                with suppress(Exception):
                    response.close()
            if task is not None or over:
                return task

    def stale_locked(self) -> list[Response]:
        """Return answers that nobody wants any more, to be closed without the lock."""
        stale, self._stale = self._stale, []
        return stale

    def _wait_for_task(self) -> Task | None:
        while not self.closing:
            now = time.monotonic()
            task = self._choose(now) if self.limiter.has_room() else None
            if task is not None:
                self._start(task)
                return task
            if self._stale:
                return None
            self.idle += 1
            try:
                self._work.wait(self._patience(now))
            finally:
                self.idle -= 1
        return None

    def end_task(self, task: Task) -> None:
        """Give back what a task held, once."""
        with self.lock:
            if task in self._tasks:
                self._tasks.remove(task)
                self._disown(task)
                self._work.notify_all()

    def _disown(self, task: Task) -> None:
        """Count a task as over, though its thread may still be waiting for an answer."""
        if not task.abandoned:
            task.abandoned = True
            task.download.state.running -= 1
            self.limiter.release()
            self._written.notify_all()

    def _start(self, task: Task) -> None:
        self._tasks.append(task)
        task.download.state.running += 1
        self.limiter.acquire()
        if len(self._unfinished) > len(self._tasks) or (task.assembly and task.assembly.plan.streams > 1):
            self._call_for_help()

    def _call_for_help(self) -> None:
        if self.idle:
            self._work.notify()
        else:
            self._grow()

    def _choose(self, now: float) -> Task | None:
        ready = [download for download in self._unfinished.values() if self._ready_at(download) <= now]
        for download in ready:
            # Files nobody works on come first, in the order they were asked for ...
            if not download.state.running and (task := self._task_for(download, now)):
                return task
        for download in ready:
            # ... then further parts of large ones.
            if download.state.running and download.state.assembly and (task := self._task_for(download, now)):
                return task
        return self._take_over_stalled(ready, now)

    def _ready_at(self, download: Download) -> float:
        return max(download.state.not_before, self.limiter.paused_until(download.state.host))

    def _task_for(self, download: Download, now: float) -> Task | None:
        assembly = download.state.assembly
        if assembly is None:
            return Task(download, None, None, now, ranged=False)
        if assembly.finishing or not download.state.ranges_allowed:
            return None
        claim = assembly.plan.claim(now)
        return None if claim is None else Task(download, assembly, claim, now, ranged=True)

    def _take_over_stalled(self, ready: Iterable[Download], now: float) -> Task | None:
        for download in ready:
            assembly = download.state.assembly
            if assembly is None or assembly.plan.streams == 1 or not download.state.ranges_allowed:
                continue
            claim = assembly.plan.stalled(now - STALLED_AFTER_S)
            if claim is None:
                continue
            for task in self._tasks:
                if task.claim is claim and not task.abandoned:
                    self._disown(task)
                    self.limiter.busy(download.state.host, started=task.started, now=now)
            if claim is not assembly.front and self._leave_to_front(download, assembly):
                continue
            stream = assembly.streams.pop(claim, None)
            assembly.plan.release(claim)
            self.no_more_ranges_locked(download)
            if stream is not None:
                self._stale.append(stream)
            return self._task_for(download, now)
        return None

    def allows_ranges(self, download: Download) -> bool:
        """Whether parts of a file may be asked for beside one another."""
        return download.state.ranges_allowed and download.state.host not in self._without_ranges

    def no_more_ranges_locked(self, download: Download) -> None:
        """Ask a server for nothing beside one stream of each file any more: one of its ranges did not come."""
        self._without_ranges.add(download.state.host)
        for each in self._unfinished.values():
            assembly = each.state.assembly
            if each.state.host == download.state.host and assembly is not None:
                assembly.plan.streams = 1

    def _leave_to_front(self, download: Download, assembly: Assembly) -> bool:
        """Leave all that is missing to the first stream, while that is alive; also what came by ranges so far."""
        front = assembly.front
        if front is None or assembly.dead or assembly.finishing or front not in assembly.streams:
            return False
        self.no_more_ranges_locked(download)
        for task in self._tasks:
            if task.assembly is assembly and task.claim is not front:
                self._disown(task)
        self._stale += [stream for claim, stream in assembly.streams.items() if claim is not front]
        assembly.streams = {front: assembly.streams[front]}
        assembly.plan.collapse(front)
        assembly.received, assembly.ranged, assembly.collapsed = assembly.by_front, 0, True
        download.state.ranges_allowed = False
        self._work.notify_all()
        self._written.notify_all()
        return True

    def _patience(self, now: float) -> float | None:
        """Seconds after which an idle worker has to look again by itself."""
        waits = [self._ready_at(download) - now for download in self._unfinished.values()]
        pending = [wait for wait in waits if wait > 0]
        if any(d.state.assembly and d.state.assembly.plan.streams > 1 for d in self._unfinished.values()):
            pending.append(LOOK_AGAIN_S)
        return min(pending, default=None)

    # --- while a task runs -------------------------------------------------------------------

    def begin_locked(self, task: Task, assembly: Assembly, response: Response) -> bool:
        """Make ``assembly`` the one of its download, its first claim the task's."""
        download = task.download
        if self.closing or download.finished:
            return False
        download.state.assembly = assembly
        download.announce(response, assembly.size)
        task.assembly = assembly
        task.claim = assembly.plan.claim(time.monotonic())
        assembly.front = task.claim
        self.attach_locked(task, response)
        if assembly.plan.streams > 1:
            self._call_for_help()
        return True

    def attach_locked(self, task: Task, response: Response) -> bool:
        """Note which answer a claim is being read from; False if it is nobody's any more."""
        assembly, claim = task.assembly, task.claim
        if assembly is None or assembly.dead or task.abandoned:
            return False
        if claim is not None:
            claim.touched = time.monotonic()
            assembly.streams[claim] = response
        return True

    def take_locked(
        self, task: Task, assembly: Assembly, claim: Claim, wanted: int, limit: int
    ) -> tuple[int, int] | None:
        """Reserve bytes for a stream to write, None if it shall stop reading."""
        if claim is assembly.front and assembly.plan.streams > 1:
            # All connections may be busy with what stalls, so that nobody else looks.
            before = time.monotonic() - STALLED_AFTER_S
            if any(each is not claim and each.remaining and each.touched < before for each in assembly.plan.live):
                self._leave_to_front(task.download, assembly)
        if not claim.remaining and not self._extend(task, assembly, claim, limit):
            # The rest cannot be left to this one any more.
            assembly.streams.pop(claim, None)
            return None
        while assembly.collapsed and assembly.writing:
            # What others are still writing would lie over what comes now.
            self._written.wait()
        if _is_over(task, assembly):
            return None
        if assembly.collapsed:
            assembly.hashes.forget_beyond(claim.position)
            assembly.collapsed = False
        offset, count = assembly.plan.take(claim, wanted, limit, time.monotonic())
        if not count:
            return None
        if claim is not assembly.front:
            assembly.ranged += count
            assembly.writing += 1
        return offset, count

    def written_locked(self, assembly: Assembly, claim: Claim) -> None:
        """Note that a piece of a ranged answer, well or not, is written no more."""
        if claim is not assembly.front:
            assembly.writing -= 1
            if not assembly.writing:
                self._written.notify_all()

    def is_cut_short_locked(self, task: Task, assembly: Assembly, claim: Claim, limit: int) -> bool:
        """Whether a stream has done its part, and more is coming in it that others bring."""
        if assembly.dead:
            return True
        cut = not claim.remaining and claim.position < limit and not self._extend(task, assembly, claim, limit)
        if cut:
            assembly.streams.pop(claim, None)
        return cut

    def _extend(self, task: Task, assembly: Assembly, claim: Claim, limit: int) -> bool:
        """Give the first stream more; it stays until it is known that the server's ranges come to their ends."""
        if claim is not assembly.front:
            return False
        while not claim.remaining and not assembly.plan.extend(claim, limit):
            others = [each for each in assembly.plan.live if each is not claim and each.remaining]
            if _is_over(task, assembly) or task.download.state.host in self._with_ranges or not others:
                return False
            left = min(each.touched for each in others) + STALLED_AFTER_S - time.monotonic()
            if left > 0:
                self._written.wait(left)
            elif not self._leave_to_front(task.download, assembly):
                return False
        return not _is_over(task, assembly)

    def stream_ended_locked(self, task: Task, assembly: Assembly, claim: Claim, limit: int) -> None:
        """Note an answer that was read to its end, which is at ``limit``."""
        assembly.streams.pop(claim, None)
        if task.ranged and claim.begun and claim.position == limit:
            self._with_ranges.add(task.download.state.host)
        self._written.notify_all()
        if not assembly.dead and not claim.remaining:
            self.limiter.good()

    def settle_claim_locked(self, task: Task) -> None:
        """Take back the claim of a task that is over."""
        assembly, claim = task.assembly, task.claim
        if assembly is None or claim is None or assembly.dead:
            return
        assembly.streams.pop(claim, None)
        self._written.notify_all()
        if claim is assembly.front:
            assembly.front = None
        if not task.abandoned:
            assembly.plan.release(claim)
            if assembly.plan.free:
                self._work.notify_all()

    def matters_locked(self, task: Task) -> bool:
        """Whether a failure of ``task`` is one: not when its bytes are there, or somebody else's by now."""
        assembly, claim = task.assembly, task.claim
        if self.closing or task.download.finished or task.abandoned:
            return False
        return assembly is None or (not assembly.dead and claim is not None and claim.remaining > 0)

    def collapse_locked(self, task: Task, assembly: Assembly) -> bool:
        """Leave the rest to the first stream, if that is alive; else False."""
        download, front = task.download, assembly.front
        if assembly.dead or task.abandoned or download.state.assembly is not assembly:
            return True  # somebody has seen to it
        return self._leave_to_front(download, assembly) or (
            not download.state.ranges_allowed and front is not None
        )

    def discard_locked(self, assembly: Assembly) -> None:
        """Throw away an assembly that never became its download's."""
        self._kill(assembly)

    def progressed_locked(self, task: Task, count: int) -> None:
        """Count bytes that are on disk."""
        assembly, download = task.assembly, task.download
        assert assembly is not None
        if task.abandoned and not assembly.dead:
            return  # it comes again
        assembly.received += count
        if task.claim is assembly.front:
            assembly.by_front += count
        if assembly.received > download.arrived and not assembly.dead:
            download.arrived = assembly.received
            download.state.budget.progressed()

    def retry_locked(self, task: Task, delay: float) -> list[Response]:
        """Put back what a broken task has not brought; return answers to close."""
        download, assembly = task.download, task.assembly
        download.state.not_before = time.monotonic() + delay
        self._work.notify_all()
        if assembly is None:
            return []
        if task.ranged:
            self.no_more_ranges_locked(download)
        resumable = assembly.identity.resumable(digest_known=download.has_digest)
        if task.claim is not None and resumable and download.state.ranges_allowed:
            assembly.streams.pop(task.claim, None)
            assembly.plan.release(task.claim)
            return []
        return self.abandon_locked(download, task)

    def abandon_locked(self, download: Download, keep: Task | None = None) -> list[Response]:
        """Throw away what there is of a file, to start it again; return answers to close.

        All its tasks are over with it but ``keep``, whose thread goes on for the download.
        """
        assembly, download.state.assembly = download.state.assembly, None
        self._work.notify_all()
        if assembly is None:
            return []
        for task in self._tasks:
            if task.assembly is assembly and task is not keep:
                self._disown(task)
        return self._kill(assembly)

    def fail_locked(self, download: Download, error: BaseException) -> list[Response]:
        """End a download with ``error`` and leave nothing of it; return answers to close."""
        if download.finished:
            return []
        self._forget(download)
        streams = self.abandon_locked(download)
        download.settle(None, error)
        return streams

    def succeed_locked(self, download: Download, fetched: Fetched) -> list[Response]:
        """End a download well; return answers of streams that came too late."""
        self._forget(download)
        streams = self.abandon_locked(download)
        download.settle(fetched, None)
        return streams

    def _forget(self, download: Download) -> None:
        self._unfinished.pop((download.url, download.directory), None)

    def _kill(self, assembly: Assembly) -> list[Response]:
        assembly.dead = True
        self._written.notify_all()
        assembly.remove()
        assembly.close_if_unused()
        streams = list(assembly.streams.values())
        assembly.streams.clear()
        return streams


def _is_over(task: Task, assembly: Assembly) -> bool:
    """Whether nothing more is to be read for a task."""
    return assembly.dead or task.abandoned or assembly.finishing
