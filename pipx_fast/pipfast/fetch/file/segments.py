"""Plan of a file's bytes, from which streams claim segments."""

from __future__ import annotations

import bisect
import os
from dataclasses import dataclass, field

MIN_BLOCK = 4 * 1024 * 1024
"""Bytes of the smallest segment: several round trips at 10 MB/s."""

MAX_BLOCK = 16 * 1024 * 1024
"""Bytes of the largest segment: parts beyond the hashing front are read again from the page cache."""

MIN_SPLIT = 2 * 1024 * 1024
"""Bytes of each half of a segment that is split while it is under way."""

def _window() -> int:
    try:
        return max(1 << 28, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8)
    except (AttributeError, OSError, ValueError):
        return 1 << 28


WINDOW = _window()
"""Bytes of a file's beginning that the first stream and ranges share from its two ends: an eighth of the memory,
256 MiB at least. What lies behind a gap is hashed once that is filled, from the page cache: 0.6 s for a GiB."""

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
    brought: int = 0
    since: float = field(init=False)

    def __post_init__(self) -> None:
        self.since = self.touched

    def lasts(self) -> float:
        """Return the seconds that the rest takes if it comes as what came so far did; 0 before anything came."""
        return self.remaining * (self.touched - self.since) / self.brought if self.brought else 0.0

    @property
    def remaining(self) -> int:
        """Bytes still to come."""
        return self.end - self.position


class SegmentPlan:
    """The missing bytes of a file, free or claimed.

    Claims are handed out from the front, so that bytes can be hashed soon after they arrive; in the window, while
    the first stream is being read, from behind, so that it comes late to bytes that others brought: it can only
    read them in vain. The caller holds its own lock. With ``streams=1`` there is one claim at a time, for all free
    bytes.
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

    def claim(self, now: float, *, from_behind: bool = False) -> Claim | None:
        """Hand out a free segment, or half of the longest claim; None if that is too short, or there are enough.

        :param from_behind: the last free segment of the window, instead of the first.
        """
        if len(self._live) >= self.streams:
            return None
        if self._free:
            last = bisect.bisect_left(self._free, (WINDOW, 0)) - 1
            if from_behind and last >= 0:
                index = last
                start, end = self._free[index]
                stop = min(end, WINDOW)
                start = max(start, stop - self._block())
            else:
                index = 0
                start, end = self._free[index]
                stop = min(end, start + self._block())
            self._cut_free(index, start, stop)
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
        claim.brought += count
        return offset, count

    def extend(self, claim: Claim, limit: int, before: float = float("-inf")) -> bool:
        """Extend a claim whose stream can read on to ``limit``; return whether that was possible.

        It gets the free bytes behind it, or some of the next claim if that one's stream has brought none, or none
        since ``before``.
        """
        index = bisect.bisect_left(self._free, (claim.end, 0))
        if index == len(self._free) or self._free[index][0] != claim.end:
            return self._take_from_next(claim, limit, before)
        start, end = self._free[index]
        stop = min(end, limit, start + self._block())
        if stop <= start:
            return False
        claim.end = stop
        self._cut_free(index, start, stop)
        return True

    def pass_over(self, claim: Claim) -> int | None:
        """Move an empty claim on to the next byte that is missing; return how far, None if none is."""
        missing = [max(start, claim.end) for start, end in self._free if end > claim.end]
        missing += [each.position for each in self._live if each.remaining and each.position >= claim.end]
        if not missing:
            return None
        passed = min(missing) - claim.end
        claim.position = claim.end = min(missing)
        return passed

    def _take_from_next(self, claim: Claim, limit: int, before: float) -> bool:
        for other in self._live:
            if other.position != claim.end or not other.remaining or other is claim:
                continue
            if not other.begun or (other.touched < before and not other.writing):
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

    def _cut_free(self, index: int, start: int, stop: int) -> None:
        first, end = self._free[index]
        self._free[index : index + 1] = [each for each in ((first, start), (stop, end)) if each[0] < each[1]]

    def _free_again(self, start: int, end: int) -> None:
        index = bisect.bisect_left(self._free, (start, end))
        if index < len(self._free) and self._free[index][0] == end:
            end = self._free.pop(index)[1]
        if index and self._free[index - 1][1] == start:
            index -= 1
            start = self._free.pop(index)[0]
        self._free.insert(index, (start, end))
