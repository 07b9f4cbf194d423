"""The plan of a large file: every byte is brought once."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipfast.fetch.file import segments
from pipfast.fetch.file.segments import MAX_BLOCK, MIN_BLOCK, MIN_SPLIT, OPEN_END, STEP, Claim, SegmentPlan

MB = 1024 * 1024


@given(
    size=st.integers(1, 300 * MB),
    streams=st.integers(1, 9),
    moves=st.lists(
        st.tuples(
            st.sampled_from(["claim", "behind", "take", "release", "extend"]), st.integers(0), st.integers(1)
        ),
        max_size=80,
    ),
)
@settings(deadline=None)
def test_every_byte_comes_exactly_once(size: int, streams: int, moves: list[tuple[str, int, int]]) -> None:
    """Any order of claims, reads, breaks and splits gives disjoint pieces that cover the file."""
    plan = SegmentPlan(size, streams)
    pieces: list[tuple[int, int]] = []

    def take(claim: Claim, wanted: int) -> None:
        offset, count = plan.take(claim, wanted, size, 0.0)
        if count:
            pieces.append((offset, offset + count))

    for move, which, amount in moves:
        live = plan.live
        if move in ("claim", "behind"):
            plan.claim(0.0, from_behind=move == "behind")
        elif live:
            claim = live[which % len(live)]
            if move == "take":
                take(claim, amount % (8 * MB) + 1)
            elif move == "release":
                plan.release(claim)
            else:
                plan.extend(claim, size)
    for claim in plan.live:
        plan.release(claim)
    while (rest := plan.claim(0.0)) is not None:
        take(rest, size)
        plan.release(rest)
    pieces.sort()
    assert [start for start, _ in pieces] == [0, *(end for _, end in pieces[:-1])]
    assert pieces[-1][1] == size


def test_claims_grow_from_the_front() -> None:
    """What lies in front is claimed first, so that hashing can follow."""
    plan = SegmentPlan(200 * MB, 8)
    claims = [plan.claim(0.0) for _ in range(8)]
    starts = [claim.position for claim in claims if claim]
    assert starts == sorted(starts)
    assert len(starts) == 8
    assert all(MIN_BLOCK <= claim.remaining <= MAX_BLOCK for claim in claims if claim)


def test_claims_from_behind_leave_the_first_stream_its_way() -> None:
    """While there is anything free in the window, the first stream has the next block."""
    size = segments.WINDOW + 100 * MB
    plan = SegmentPlan(size, 8)
    front = plan.claim(0.0)
    assert front is not None
    others = [claim for claim in (plan.claim(0.0, from_behind=True) for _ in range(7)) if claim]
    ends, starts = [claim.end for claim in others], [claim.position for claim in others]
    assert ends == [segments.WINDOW, *starts[:-1]]
    assert plan.claim(0.0, from_behind=True) is None
    for claim in others:
        plan.take(claim, 1, size, 0.0)
    while plan.extend(front, size):
        pass
    assert front.end == starts[-1]
    plan.release(others[-1])
    plan.release(others[0])
    again = plan.claim(0.0, from_behind=True)
    assert again is not None
    assert again.end == segments.WINDOW


def test_the_first_stream_passes_over_what_is_there() -> None:
    """It reads on to the next byte that is missing, and takes that from a stream that brings nothing."""
    plan = SegmentPlan(40 * MB, 4)
    front = plan.claim(0.0)
    last, other = plan.claim(1.0, from_behind=True), plan.claim(1.0, from_behind=True)
    assert front is not None
    assert last is not None
    assert other is not None
    start = other.position
    plan.take(other, MB, 40 * MB, 1.0)
    while plan.extend(front, 40 * MB):
        plan.take(front, front.remaining, 40 * MB, 1.0)
    plan.take(front, front.remaining, 40 * MB, 1.0)
    assert front.position == start
    assert plan.pass_over(front) == MB
    assert plan.pass_over(front) == 0
    assert (front.position, front.remaining) == (start + MB, 0)
    assert not plan.extend(front, 40 * MB, 0.5)
    assert plan.extend(front, 40 * MB, 1.5)
    assert (front.end, other.position) == (start + MB + STEP, start + MB + STEP)
    plan.take(front, front.remaining, 40 * MB, 1.0)
    for claim in (other, last):
        plan.take(claim, claim.remaining, 40 * MB, 1.0)
    assert plan.pass_over(front) is None


@pytest.mark.parametrize(
    ("pages", "window"), [(4 << 20, 2 << 30), (1 << 16, 1 << 28), (ValueError("no such name"), 1 << 28)]
)
def test_the_window_follows_the_memory(
    monkeypatch: pytest.MonkeyPatch, pages: int | Exception, window: int
) -> None:
    """So that it is read from the page cache when it is hashed."""

    def sysconf(name: str) -> int:
        if isinstance(pages, Exception):
            raise pages
        return {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": pages}[name]

    monkeypatch.setattr(os, "sysconf", sysconf)
    assert segments._window() == window


def test_what_lies_behind_the_window_is_claimed_from_its_front() -> None:
    """Once the window is handed out."""
    plan = SegmentPlan(segments.WINDOW + 100 * MB, 20)
    plan.claim(0.0)
    while (claim := plan.claim(0.0, from_behind=True)) is not None and claim.position < segments.WINDOW:
        plan.take(claim, claim.remaining, OPEN_END, 0.0)
        plan.release(claim)
    assert claim is not None
    assert claim.position == segments.WINDOW


def test_first_stream_goes_on_while_nobody_is_behind_it() -> None:
    """A stream that could read on takes the next block, until another has begun with that."""
    plan = SegmentPlan(100 * MB, 8)
    front = plan.claim(0.0)
    assert front is not None
    end = front.end
    assert plan.extend(front, 100 * MB)
    assert front.end > end
    other = plan.claim(0.0)
    assert other is not None
    assert other.position == front.end
    plan.take(other, 1, 100 * MB, 0.0)
    assert not plan.extend(front, 100 * MB)


def test_first_stream_takes_what_others_have_not_begun_with() -> None:
    """Step by step, so that the rest is still the other's; in the end all of it."""
    plan = SegmentPlan(2 * MIN_BLOCK, 8)
    front, other = plan.claim(0.0), plan.claim(0.0)
    assert front is not None
    assert other is not None
    assert plan.extend(front, 2 * MIN_BLOCK)
    assert front.end == other.position == MIN_BLOCK + STEP
    assert other.end == 2 * MIN_BLOCK
    while plan.extend(front, 2 * MIN_BLOCK):
        pass
    assert (front.end, other.remaining) == (2 * MIN_BLOCK, 0)


def test_broken_stretch_is_handed_out_before_new_ones() -> None:
    """The rest of a broken stretch, from where it broke, comes first."""
    plan = SegmentPlan(100 * MB, 4)
    front = plan.claim(0.0)
    second = plan.claim(0.0)
    assert front is not None
    assert second is not None
    plan.take(front, 1000, 100 * MB, 0.0)
    plan.release(front)
    again = plan.claim(0.0)
    assert again is not None
    assert again.position == 1000


def test_late_claim_splits_the_longest_stretch() -> None:
    """With nothing free, a new stream takes half of what the slowest one has left, if it is worth it."""
    plan = SegmentPlan(2 * MIN_BLOCK, 8)
    first, second = plan.claim(0.0), plan.claim(0.0)
    assert first is not None
    assert second is not None
    plan.take(second, MIN_BLOCK // 2, 2 * MIN_BLOCK, 0.0)
    late = plan.claim(0.0)
    assert late is not None
    assert (first.end, late.position, late.end) == (MIN_BLOCK // 2, MIN_BLOCK // 2, MIN_BLOCK)
    while (more := plan.claim(0.0)) is not None:
        assert more.remaining >= MIN_SPLIT


def test_one_stream_claims_everything_and_only_once() -> None:
    """Without parallel streams there is one claim at a time, for all that is left."""
    plan = SegmentPlan(100 * MB)
    claim = plan.claim(0.0)
    assert claim is not None
    assert (claim.position, claim.end) == (0, 100 * MB)
    assert plan.claim(0.0) is None
    plan.take(claim, 7, 100 * MB, 0.0)
    plan.release(claim)
    again = plan.claim(0.0)
    assert again is not None
    assert (again.position, again.end) == (7, 100 * MB)


def test_collapse_leaves_all_to_one() -> None:
    """After a collapse the survivor has everything, the others nothing."""
    plan = SegmentPlan(100 * MB, 8)
    claims = [claim for claim in (plan.claim(0.0) for _ in range(5)) if claim]
    plan.collapse(claims[0])
    assert claims[0].end == 100 * MB
    assert [claim.remaining for claim in claims[1:]] == [0] * 4
    for claim in claims[1:]:
        plan.release(claim)
    assert plan.claim(0.0) is None
    assert plan.free == ()


@pytest.mark.parametrize(("touched", "found"), [(1.0, True), (9.0, False)])
def test_stalled(touched: float, found: bool) -> None:
    """A claim is stalled when it brought nothing since the given time, and has something to bring."""
    plan = SegmentPlan(100 * MB, 8)
    claim = plan.claim(0.0)
    assert claim is not None
    plan.take(claim, 1, 100 * MB, touched)
    assert (plan.stalled(5.0) is claim) is found
    plan.take(claim, claim.remaining, 100 * MB, touched)
    assert plan.stalled(5.0) is None


def test_take_stays_inside_claim_and_answer() -> None:
    """No byte beyond the claim, none beyond where the answer ends."""
    plan = SegmentPlan(100, 1)
    claim = plan.claim(0.0)
    assert claim is not None
    assert plan.take(claim, 30, 50, 0.0) == (0, 30)
    assert plan.take(claim, 30, 50, 0.0) == (30, 20)
    assert plan.take(claim, 30, 50, 0.0) == (50, 0)
    assert plan.take(claim, 500, 500, 0.0) == (50, 50)
