"""Answers under way: which bytes of a file each of them brings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipfast.fetch.board import Board, Task
    from pipfast.fetch.file.assembly import Assembly
    from pipfast.fetch.file.segments import Claim
    from pipfast.fetch.transport import Response

QUIET_S = 0.25
"""Seconds for which others may bring nothing before the first stream reads on to what they were to bring."""


class Streams:
    """The answers that are being read. Whoever calls a method holds the board's lock."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def begin(self, task: Task, assembly: Assembly, response: Response) -> bool:
        """Make ``assembly`` the one of its download, its first claim the task's; False if nobody wants it."""
        download = task.download
        if self._board.closing or download.finished:
            self._board.discard(assembly)
            assembly.leave()
            return False
        download.state.assembly = assembly
        download.announce(response, assembly.size)
        task.assembly = assembly
        task.claim = assembly.plan.claim(time.monotonic())
        assembly.front = task.claim
        self.attach(task, response)
        if assembly.plan.streams > 1:
            self._board.call_for_help()
        return True

    def attach(self, task: Task, response: Response) -> bool:
        """Note which answer a claim is being read from; False if it is nobody's any more."""
        assembly, claim = task.assembly, task.claim
        if assembly is None or assembly.dead or task.abandoned:
            return False
        if claim is not None:
            claim.touched = task.answered = time.monotonic()
            assembly.streams[claim] = response
        return True

    def take(
        self, task: Task, assembly: Assembly, claim: Claim, wanted: int, limit: int
    ) -> tuple[int, int] | None:
        """Reserve bytes for a stream to write, None if it shall stop reading."""
        if claim is assembly.front and assembly.plan.streams > 1:
            # All connections may be busy with what stalls, so that nobody else looks.
            stalled = assembly.plan.stalled(self._board.stalled_before(), but=claim)
            if stalled is not None:
                self._board.take_back(task.download, assembly, stalled)
        position = claim.position
        if not claim.remaining and not self._extend(task, assembly, claim, limit):
            # The rest cannot be left to this one any more.
            assembly.streams.pop(claim, None)
            return None
        if claim.position > position:
            return position, 0  # what comes next is there
        while assembly.collapsed and assembly.writing:
            # What others are still writing would lie over what comes now.
            self._board.written.wait()
        if task.is_over(assembly):
            return None
        if assembly.collapsed:
            assembly.hashes.forget_beyond(claim.position)
            assembly.collapsed = False
        offset, count = assembly.plan.take(claim, wanted, limit, time.monotonic())
        if not count:
            return None
        claim.writing = True
        if claim is not assembly.front:
            assembly.ranged += count
            assembly.in_parts = True
            assembly.writing += 1
        return offset, count

    def written(self, task: Task, assembly: Assembly, claim: Claim, count: int) -> None:
        """Note that a piece is being written no more, and count its bytes on disk: none after an error."""
        download = task.download
        claim.writing, claim.touched = False, time.monotonic()
        if claim is not assembly.front:
            assembly.writing -= 1
            if not assembly.writing:
                self._board.written.notify_all()
        if task.abandoned and not assembly.dead:
            return  # everything behind the first stream comes again
        task.brought += count
        assembly.received += count
        if claim is assembly.front:
            assembly.by_front += count
        if assembly.received > download.arrived and not assembly.dead:
            download.arrived = assembly.received
            download.state.budget.progressed()

    def is_cut_short(self, task: Task, assembly: Assembly, claim: Claim, at: int, limit: int) -> bool:
        """Whether a stream, read to ``at``, has done its part, and more is coming in it that others bring."""
        if assembly.dead:
            return True
        if at < claim.position:
            return False
        cut = not claim.remaining and claim.position < limit and not self._extend(task, assembly, claim, limit)
        if cut:
            assembly.streams.pop(claim, None)
        return cut

    def ended(self, task: Task, assembly: Assembly, claim: Claim, limit: int) -> None:
        """Note an answer that was read to its end, which is at ``limit``."""
        assembly.streams.pop(claim, None)
        if task.ranged and claim.begun and claim.position == limit:
            self._board.with_ranges.add(task.download.state.host)
        self._board.written.notify_all()
        if not assembly.dead and not claim.remaining:
            self._board.limiter.good()

    def settle(self, task: Task) -> None:
        """Take back the claim of a task that is over."""
        assembly, claim = task.assembly, task.claim
        if assembly is None or claim is None or assembly.dead:
            return
        assembly.streams.pop(claim, None)
        self._board.written.notify_all()
        if claim is assembly.front:
            assembly.front = None
            if task.download.state.host in self._board.without_ranges:
                assembly.plan.streams = 1
        if not task.abandoned:
            assembly.plan.release(claim)
            if assembly.plan.free:
                self._board.work.notify_all()

    def _extend(self, task: Task, assembly: Assembly, claim: Claim, limit: int) -> bool:
        """Give the first stream more; it stays until all has come: nobody else can bring it without ranges."""
        board, plan, host = self._board, assembly.plan, task.download.state.host
        # What a stream that is over got here nobody would bring.
        while claim is assembly.front and not task.is_over(assembly):
            now = time.monotonic()
            if claim.remaining or plan.extend(claim, limit, now - QUIET_S):
                claim.touched = now  # it may have waited for long, or read in vain: it does not stall
                return True
            if plan.free and host in board.with_ranges and host not in board.without_ranges:
                return False  # a large file, of which another range is worth more than this stream
            others = [each for each in plan.live if each is not claim and each.remaining]
            assembly.pace = assembly.pace or (now - claim.since) / max(1, claim.position)
            alone = (limit - claim.position) * assembly.pace
            brisk = all(each.writing or each.touched > now - QUIET_S for each in others) and (
                max((each.lasts() for each in others), default=0.0) <= alone
            )
            if plan.free or not others or not brisk:
                passed = plan.pass_over(claim)
                if passed is None:
                    return False
                if passed:
                    assembly.passed_over = True
                    return True
                if plan.extend(claim, limit, now):
                    claim.touched = now
                    return True  # it is here, and what nobody brings soon comes behind it
            # They bring it sooner than this one, which had to read what they have brought.
            board.written.wait(QUIET_S)
        return False
