"""Endings of tasks: a whole file, or a failed request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipfast.fetch.errors import TruncatedBody
from pipfast.fetch.job import Fetched
from pipfast.wheel.soundness import is_sound

if TYPE_CHECKING:
    from pipfast.fetch.board import Board, Task
    from pipfast.fetch.streams import Streams
    from pipfast.fetch.transport import Transport


class Endings:
    """Decides what a task's end means for its download."""

    def __init__(self, board: Board, streams: Streams, transport: Transport) -> None:
        self._board = board
        self._streams = streams
        self._transport = transport

    def is_busy(self, error: BaseException) -> bool:
        """Tell whether a failed request or a broken answer may be mended by fewer connections."""
        return isinstance(error, TruncatedBody) or self._transport.is_busy(error)

    def recover(self, task: Task, error: BaseException) -> None:
        """Decide what a failed request or a broken stream means for its download."""
        download, assembly = task.download, task.assembly
        is_busy, now = self.is_busy(error), time.monotonic()
        with self._board:
            if not self._matters(task):
                return
            if task.ranged and assembly is not None:
                forgiven = is_busy and self._board.forgives(task)
                if self._board.miss(download, assembly, forgiven=forgiven) and not forgiven:
                    return
            limiter, budget = self._board.limiter, download.state.budget
            alone = limiter.in_flight == 1 or limiter.allowed == 1
            if is_busy:
                limiter.busy(started=task.started, now=now)
            if is_busy and budget.failed(started=task.started, now=now, alone=alone):
                self._retry(task, budget.delay())
            elif task.ranged and assembly is not None and self._board.miss(download, assembly, forgiven=False):
                return
            elif download.state.ranges_allowed and (task.ranged or (is_busy and assembly and assembly.ranged)):
                # Perhaps it is only the ranges that this server cannot do: one last time in one stream.
                budget.progressed()
                download.state.ranges_allowed = False
                self._board.abandon(download, task)
            else:
                self._board.fail(download, error)

    def complete(self, task: Task) -> bool:
        """If the file is whole, and nobody else is at it: check the digests, publish it and return True."""
        download, assembly = task.download, task.assembly
        if assembly is None:
            return False
        with self._board:
            self._streams.settle(task)
            if assembly.dead or assembly.finishing or assembly.received != assembly.size:
                return False
            assembly.finishing = True
        digests = assembly.hashes.finish()
        known = {name: digest for name, digest in download.expected.items() if name in digests}
        matches = all(digests[name] == digest for name, digest in known.items()) if known else None
        sound = is_sound(assembly.partial, assembly.target.name) if assembly.in_parts and not known else matches
        with self._board:
            if assembly.in_parts and not sound:
                # Parts that are not of one file: in one stream comes what pip would have got.
                download.state.ranges_allowed = False
                self._board.no_more_ranges(download)
                self._board.abandon(download, task)
                return False
            if download.finished:
                return False
            path, from_cache = assembly.publish(), assembly.first.from_cache
            fetched = Fetched(path, digests["sha256"], assembly.received, digests, from_cache, matches)
            self._board.settle(download, fetched)
        return True

    def _matters(self, task: Task) -> bool:
        """Whether a failure of ``task`` is one: not when its bytes are there, or somebody else's by now."""
        assembly, claim = task.assembly, task.claim
        if self._board.closing or task.download.finished or task.abandoned:
            return False
        return assembly is None or (not assembly.dead and claim is not None and claim.remaining > 0)

    def _retry(self, task: Task, delay: float) -> None:
        download, assembly = task.download, task.assembly
        download.state.not_before = time.monotonic() + delay
        self._board.work.notify_all()
        if assembly is None:
            return
        if task.ranged:
            self._board.no_more_ranges(download, but_one=True)
        resumable = assembly.identity.resumable(digest_known=download.has_digest)
        if task.claim is not None and resumable and download.state.ranges_allowed:
            assembly.streams.pop(task.claim, None)
            assembly.plan.release(task.claim)
        else:
            self._board.abandon(download, task)
