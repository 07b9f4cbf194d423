"""Servers: what each can bear, and who may ask it now.

Requests are pip's own, or early ones, which pip has not come to yet. An early one never costs pip an answer: as
long as a server has not answered two at once, two are the most that it gets; what is refused to an early one in
company is no answer; a server that refuses, breaks off or stalls is left to pip alone.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipfast.fetch.turns import TOO_MANY, LeftToPip, Told, Turn, break_off
from pipfast.system import threads

if TYPE_CHECKING:
    from collections.abc import Callable

STALL_S = 2.0
"""Seconds without a byte that an early request may cost pip."""

SLOW_STALL = 2.0
"""A server that takes long for all its answers may take so many times as long for one."""

GRACE_S = 0.1
"""Seconds for which a connection stays open while another one waits for its answer: whether a server takes two
shows within that, and one that takes one only is not held up for long."""

_REMEMBERED = 4
"""Answers whose connections are watched."""


@dataclass(slots=True, eq=False)
class Server:
    """The requests to one server."""

    close_idle: Callable[[], None] = lambda: None
    """Closes the connections to it that nobody uses."""
    heard: bool = False
    two: bool = False
    narrow: bool = False
    """One of its answers broke off: one early request at a time."""
    left: bool = False
    """pip is the only one to ask it."""
    ranges: bool = True
    singly: bool = False
    """A range did not come: one at a time."""
    believed: set[int] = field(default_factory=set)
    """Statuses that mean the same in company as alone."""
    doubted: dict[str, int] = field(default_factory=dict)
    """Statuses of early requests in company, by address: nothing early is sent until pip has asked alone."""
    _range_again: bool = False
    """A range has come to its end, and none has failed: the missing part of a file is worth another request."""
    _rests: dict[str, float] = field(default_factory=dict)
    """Until when something is not to be asked for again, by target: what an early request was told, pip was."""
    _under_way: list[Turn] = field(default_factory=list)
    _open: list[Turn] = field(default_factory=list)
    """Turns that are over, and whose connections may be open."""
    _slowest: float = 0.0
    _breaks: int = 0
    _broken_off: float = 0.0
    _change: threads.Condition = field(default_factory=threads.Condition)


    def enter(self, turn: Turn) -> None:
        """Wait until a request may be sent, pip's own at once; LeftToPip: an early one is not to be sent."""
        turn.server = self
        if not turn.early:
            if self.left:
                self._drain()
            self._rest(turn.target)
        with self._change:
            while turn.early and not self._has_room(turn):
                self._refuse_left(turn)
                self._change.wait(0.25)
            if turn.early:
                self._refuse_left(turn)
                if turn.began is not None:
                    turn.began()
            for other in self._under_way:
                if other.early or turn.early:
                    other.company = turn.company = True
            turn.sent = time.monotonic()
            self._under_way.append(turn)

    def answered(self, turn: Turn, status: int, *, asks_for_rest: bool = False, rest_s: float = 0.0) -> None:
        """Note an answer's headers."""
        with self._change:
            turn.answered, turn.status = time.monotonic(), status
            if turn.early and not turn.ranged and rest_s > 0 and (rest_s <= STALL_S or not turn.company):
                # Alone pip would have been told the same; in company perhaps not, and then waits a little only.
                self._rests[turn.target] = turn.answered + rest_s
            told = turn.tells(asks_for_rest=asks_for_rest)
            if told is Told.GOOD:
                self.heard = True
                self._slowest = max(self._slowest, turn.answered - turn.sent)
                known = (*self._under_way, *self._open)
                self.two = self.two or any(self._at_once(turn, other) for other in known)
            elif told is Told.LEAVE:
                # What is under way ends by itself: the server would not learn at once that nobody waits for it.
                self.left = True
            elif told is Told.DOUBT and status not in self.believed:
                self.doubted[turn.url] = status
            if turn.ranged and told is not Told.GOOD:
                self.ranges = False
            self._change.notify_all()

    def failed(self, turn: Turn) -> None:
        """Note that no answer came."""
        killed: list[Turn] = []
        with self._change:
            self._end(turn)
            if turn.ranged:
                self._miss_range(turn)
            elif turn.early or turn.company:
                killed = self._leave(keep_streams=turn.early)
            self._change.notify_all()
        break_off(killed)

    def broke(self, turn: Turn) -> None:
        """Note that an answer broke off in its middle; the second time the server is left to pip."""
        killed: list[Turn] = []
        with self._change:
            self._end(turn)
            if turn.ranged:
                self._miss_range(turn)
            elif turn.early and not turn.dead:
                self._breaks += 1
                self.narrow = True
                if self._breaks > 1:
                    killed = self._leave(keep_streams=False)
            self._change.notify_all()
        break_off(killed)

    def came(self, turn: Turn) -> None:
        """Note that an answer has been read to its end."""
        with self._change:
            self._range_again |= turn.ranged and not self.singly
        self.ended(turn)

    def ended(self, turn: Turn) -> None:
        """Note that an answer has been read, or given up."""
        with self._change:
            if turn in self._under_way:
                self._end(turn)
                if turn.is_good and not self.two:
                    self._open = [*self._open, turn][-_REMEMBERED:]
                self._change.notify_all()

    def is_answer(self, turn: Turn) -> bool:
        """Tell whether pip would have got this answer from the same request of its own."""
        if turn.status < 400 or turn.status in self.believed:
            return True
        if turn.status in TOO_MANY:
            return turn.status == 401 and not turn.company
        return turn.status < 500 and not turn.company


    @property
    def takes_early(self) -> bool:
        """Whether early requests may be under way, now or soon."""
        return self.heard and not self.left

    def clear(self) -> None:
        """Have nothing early under way, so that pip can ask alone."""
        with self._change:
            self.doubted.setdefault("", 0)
        self._drain()

    def judge(self, url: str, in_company: int, alone: int) -> None:
        """Note what pip got alone for what had been refused in company."""
        killed: list[Turn] = []
        with self._change:
            self.doubted.pop("", None)
            if in_company == alone and in_company not in TOO_MANY and 400 <= in_company < 500:
                self.believed.add(alone)
                self.doubted = {each: status for each, status in self.doubted.items() if status != alone}
            else:
                killed = self._leave(keep_streams=False)
            self._change.notify_all()
        break_off(killed)


    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._under_way)

    def look(self, now: float) -> None:
        """End what stalls."""
        killed: list[Turn] = []
        idle = False
        with self._change:
            early = self._early()
            patience = max(STALL_S, SLOW_STALL * self._slowest)
            for turn in list(self._under_way):
                if turn.answered is not None and turn.is_over():
                    self._end(turn)
                    self._change.notify_all()
                    continue
                silent = min(now - turn.sent, turn.silence())
                waits = turn.answered is None
                idle = idle or (waits and not self.two and now - turn.sent > GRACE_S)
                if silent < (patience if waits and not turn.ranged else STALL_S) or turn.dead:
                    continue
                if not turn.early:
                    if waits and (early or self._open):
                        killed += self._leave(keep_streams=False)
                    if waits and turn.company:
                        # It would wait on, for what it had beside it; pip sends it again.
                        turn.dead = True
                        killed.append(turn)
                elif turn.ranged:
                    killed += self._leave_ranges(now)
                elif waits or len(early) > 1:
                    killed += self._leave(keep_streams=not waits)
                else:
                    self._breaks += 1
                    self.narrow = turn.dead = True
                    killed.append(turn)
            if idle:
                self._open.clear()
        break_off(killed)
        if idle:
            with suppress(Exception):
                self.close_idle()

    def close(self) -> None:
        """End everything early."""
        with self._change:
            killed = self._leave(keep_streams=False)
        break_off(killed)

    def _rest(self, target: str) -> None:
        with self._change:
            seconds = self._rests.pop(target, 0.0) - time.monotonic()
        if seconds > 0:
            time.sleep(seconds)

    def _drain(self) -> None:
        with self._change:
            deadline = time.monotonic() + STALL_S
            while (early := self._early()) and (left := deadline - time.monotonic()) > 0:
                self._change.wait(left)
            killed = self._kill(keep_streams=False)
            over = time.monotonic() if early else self._broken_off
        break_off(killed)
        if (left := over + GRACE_S - time.monotonic()) > 0:
            # So that the server, too, is done with it.
            time.sleep(left)


    def _has_room(self, turn: Turn) -> bool:
        if self.doubted:
            return False
        under_way = len(self._under_way)
        if not self.heard:
            return turn.first and not under_way
        if self.narrow:
            return not self._early()
        if turn.ranged and self.singly and any(each.ranged for each in self._under_way):
            return False
        return self.two or under_way < 2

    def _at_once(self, turn: Turn, other: Turn) -> bool:
        """Tell whether an answer that has just begun shows, with another one, that a server takes two at once."""
        if other is turn or not other.is_good:
            return False
        if other in self._under_way:
            return True
        return other.answered is not None and other.answered > turn.sent and other.is_open()

    def _refuse_left(self, turn: Turn) -> None:
        unwanted = turn.dead or self.left or (turn.ranged and not self.ranges)
        if unwanted or (self.doubted and not turn.wait):
            raise LeftToPip(turn.url)

    def _early(self) -> list[Turn]:
        return [turn for turn in self._under_way if turn.early]

    def _leave(self, *, keep_streams: bool) -> list[Turn]:
        self.left = True
        self._open.clear()
        self._change.notify_all()
        return self._kill(keep_streams=keep_streams)

    def _miss_range(self, turn: Turn) -> None:
        if not turn.dead:
            self._ask_less_for_ranges()

    def _ask_less_for_ranges(self) -> None:
        """Ask for one range at a time if this is the first that did not come where others have, else for none."""
        self.ranges, self.singly, self._range_again = self._range_again, True, False
        self._change.notify_all()

    def _leave_ranges(self, now: float) -> list[Turn]:
        """Give up all ranges that bring nothing at the moment, those too that were sent a little later."""
        self._ask_less_for_ranges()
        return self._killed(
            lambda turn: turn.ranged
            and (turn.answered is None or min(now - turn.sent, turn.silence()) >= STALL_S / 4)
        )

    def _kill(self, *, keep_streams: bool) -> list[Turn]:
        killed = self._killed(lambda turn: not (keep_streams and turn.is_good and not turn.ranged))
        if killed:
            self._broken_off = time.monotonic()
        return killed

    def _killed(self, is_meant: Callable[[Turn], bool]) -> list[Turn]:
        """Mark early requests as dead; the caller breaks them off without the lock."""
        killed = [turn for turn in self._early() if not turn.dead and is_meant(turn)]
        for turn in killed:
            turn.dead = True
        return killed

    def _end(self, turn: Turn) -> None:
        if turn in self._under_way:
            self._under_way.remove(turn)
