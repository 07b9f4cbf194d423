"""Plan of a file's bytes, from which streams claim segments."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

MIN_BLOCK = 4 * 1024 * 1024
"""Bytes of the smallest segment: several round trips at 10 MB/s."""

MAX_BLOCK = 16 * 1024 * 1024
"""Bytes of the largest segment: parts beyond the hashing front are read again from the page cache."""

MIN_SPLIT = 2 * 1024 * 1024
"""Bytes of each half of a segment that is split while it is under way."""

STEP = 256 * 1024
"""Bytes that a stream takes from the next segment, if that has brought nothing yet."""

OPEN_END = 1 << 62
"""The end of a file of unknown size."""


@dataclass(slots=True, eq=False)
class Claim:
    """The bytes ``[position, end)`` that one stream has yet to bring."""

    position: int
    end: int
    touched: float
    begun: bool = False
    writing: bool = False
    """Whether bytes before ``position`` are still being written: they are its stream's to bring."""

    @property
    def remaining(self) -> int:
        """Bytes still to come."""
        return self.end - self.position


class SegmentPlan:
    """The missing bytes of a file, free or claimed.

    Claims are handed out from the front, so that bytes can be hashed soon after they arrive. The caller holds its
    own lock. With ``streams=1`` there is one claim at a time, for all free bytes.
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
        """The free segments ``[start, end)``, in order."""
        return tuple(self._free)

    def claim(self, now: float) -> Claim | None:
        """Hand out the first free segment, or half of the longest claim; None if that is too short."""
        if self.streams == 1 and self._live:
            return None
        if self._free:
            start, end = self._free[0]
            stop = min(end, start + self._block())
            self._cut_free(0, stop)
            claim = Claim(start, stop, now)
        else:
            longest = max(self._live, key=lambda each: each.remaining, default=None)
            if longest is None or longest.remaining < 2 * MIN_SPLIT:
                return None
            middle = longest.position + longest.remaining // 2
            claim = Claim(middle, longest.end, now)
            longest.end = middle
        self._live.append(claim)
        return claim

    def take(self, claim: Claim, wanted: int, limit: int, now: float) -> tuple[int, int]:
        """Reserve up to ``wanted`` bytes at the claim's position, but none beyond ``limit``.

        :returns: offset and count. Reserved bytes cannot be split off any more.
        """
        count = max(0, min(wanted, claim.remaining, limit - claim.position))
        offset = claim.position
        claim.position += count
        claim.touched = now
        claim.begun = claim.begun or count > 0
        return offset, count

    def extend(self, claim: Claim, limit: int) -> bool:
        """Extend a claim whose stream can read on to ``limit``; return whether that was possible.

        It gets the free bytes behind it, or some of the next claim if that one's stream has brought none.
        """
        index = bisect.bisect_left(self._free, (claim.end, 0))
        if index == len(self._free) or self._free[index][0] != claim.end:
            return self._take_from_next(claim, limit)
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
        """Take a claim back; its missing bytes are free again."""
        if claim not in self._live:
            return
        self._live.remove(claim)
        if claim.remaining:
            self._free_again(claim.position, claim.end)
        claim.end = claim.position

    def stalled(self, before: float, but: Claim | None = None) -> Claim | None:
        """Return a claim but this one whose stream has brought nothing since ``before``.

        A claim of which something is being written is not stalled: those bytes would be lost, or come twice.
        """
        found = (claim for claim in self._live if claim.remaining and not claim.writing and claim.touched < before)
        return next((claim for claim in found if claim is not but), None)

    def collapse(self, survivor: Claim) -> None:
        """Leave everything from ``survivor``'s position on to this one claim."""
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

    def _cut_free(self, index: int, stop: int) -> None:
        end = self._free[index][1]
        if stop == end:
            del self._free[index]
        else:
            self._free[index] = (stop, end)

    def _free_again(self, start: int, end: int) -> None:
        index = bisect.bisect_left(self._free, (start, end))
        if index < len(self._free) and self._free[index][0] == end:
            end = self._free.pop(index)[1]
        if index and self._free[index - 1][1] == start:
            index -= 1
            start = self._free.pop(index)[0]
        self._free.insert(index, (start, end))
