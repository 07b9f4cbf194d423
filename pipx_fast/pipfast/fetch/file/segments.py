"""Which stream brings which bytes of a file: a plan that streams claim stretches from."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

MIN_BLOCK = 4 * 1024 * 1024
"""Bytes of the smallest stretch asked for: at 10 MB/s worth several round trips."""

MAX_BLOCK = 16 * 1024 * 1024
"""Bytes of the largest stretch: what lies behind the hashing front has to be read again from the cache."""

MIN_SPLIT = 2 * 1024 * 1024
"""Bytes that each half must have for a stretch under way to be split."""

STEP = 256 * 1024
"""Bytes that a stream which is ahead takes at once from one behind it that has brought nothing yet."""

OPEN_END = 1 << 62
"""The end of a file whose size nobody has said."""


@dataclass(slots=True, eq=False)
class Claim:
    """The bytes ``[position, end)`` that one stream has yet to bring."""

    position: int
    end: int
    touched: float
    """When its stream last brought something."""
    begun: bool = False
    """Its stream has brought something."""

    @property
    def remaining(self) -> int:
        """Bytes still to come."""
        return self.end - self.position


class SegmentPlan:
    """The bytes of a file that nobody has brought yet: free ones, and claimed ones.

    Claims go out from the front of the file in growing order, so that what arrives can be hashed soon.
    The caller holds its own lock. With ``streams=1`` there is one claim at a time, for all that is left.
    """

    def __init__(self, size: int | None, streams: int = 1) -> None:
        self.streams = streams
        self._end = OPEN_END if size is None else size
        self._free: list[tuple[int, int]] = [(0, self._end)] if self._end else []
        self._live: list[Claim] = []

    @property
    def live(self) -> tuple[Claim, ...]:
        """The claims that streams are working on."""
        return tuple(self._live)

    @property
    def free(self) -> tuple[tuple[int, int], ...]:
        """The stretches ``[start, end)`` nobody works on, in order."""
        return tuple(self._free)

    def claim(self, now: float) -> Claim | None:
        """Hand out the first free stretch, or half of the longest under way; None if it is not worth it."""
        if self.streams == 1 and self._live:
            return None
        claim = self._claim_free(now) if self._free else self._split_longest(now)
        if claim is not None:
            self._live.append(claim)
        return claim

    def take(self, claim: Claim, wanted: int, limit: int, now: float) -> tuple[int, int]:
        """Reserve up to ``wanted`` bytes at the claim's position, none beyond ``limit``.

        :returns: offset and count. Reserved bytes cannot be split off any more.
        """
        count = max(0, min(wanted, claim.remaining, limit - claim.position))
        offset = claim.position
        claim.position += count
        claim.touched = now
        claim.begun = claim.begun or count > 0
        return offset, count

    def extend(self, claim: Claim, limit: int) -> bool:
        """Let a stream that could read on to ``limit`` have more right behind its claim.

        These are free bytes, or some of a claim whose stream has yet to bring its first.
        """
        if not self._free or self._free[0][0] != claim.end:
            index = bisect.bisect_left(self._free, (claim.end, 0))
            if index == len(self._free) or self._free[index][0] != claim.end:
                return self._take_from_next(claim, limit)
        else:
            index = 0
        start, end = self._free[index]
        stop = min(end, limit, start + self._block())
        if stop <= start:
            return False
        claim.end = stop
        self._cut_free(index, stop)
        return True

    def _take_from_next(self, claim: Claim, limit: int) -> bool:
        for other in self._live:
            if other.position == claim.end and other.remaining and not other.begun and other is not claim:
                stop = min(other.end, limit, claim.end + STEP)
                if stop > claim.end:
                    claim.end = other.position = stop
                    return True
        return False

    def release(self, claim: Claim) -> None:
        """Take a claim back; what it has not brought is free again."""
        if claim not in self._live:
            return
        self._live.remove(claim)
        if claim.remaining:
            self._free_again(claim.position, claim.end)
        claim.end = claim.position

    def stalled(self, before: float) -> Claim | None:
        """A claim whose stream has brought nothing since ``before``."""
        return next((claim for claim in self._live if claim.remaining and claim.touched < before), None)

    def collapse(self, survivor: Claim) -> None:
        """Leave everything from ``survivor``'s position on to it, as one stream."""
        for claim in self._live:
            if claim is not survivor:
                claim.end = claim.position
        self._live = [survivor]
        self._free = []
        survivor.end = self._end
        self.streams = 1

    def _block(self) -> int:
        if self.streams == 1:
            return OPEN_END
        free = sum(end - start for start, end in self._free)
        return max(MIN_BLOCK, min(MAX_BLOCK, free // (2 * self.streams)))

    def _claim_free(self, now: float) -> Claim:
        start, end = self._free[0]
        stop = min(end, start + self._block())
        self._cut_free(0, stop)
        return Claim(start, stop, now)

    def _cut_free(self, index: int, stop: int) -> None:
        end = self._free[index][1]
        if stop == end:
            del self._free[index]
        else:
            self._free[index] = (stop, end)

    def _split_longest(self, now: float) -> Claim | None:
        longest = max(self._live, key=lambda claim: claim.remaining, default=None)
        if longest is None or longest.remaining < 2 * MIN_SPLIT:
            return None
        middle = longest.position + longest.remaining // 2
        claim = Claim(middle, longest.end, now)
        longest.end = middle
        return claim

    def _free_again(self, start: int, end: int) -> None:
        index = bisect.bisect_left(self._free, (start, end))
        if index < len(self._free) and self._free[index][0] == end:
            end = self._free.pop(index)[1]
        if index and self._free[index - 1][1] == start:
            index -= 1
            start = self._free.pop(index)[0]
        self._free.insert(index, (start, end))
