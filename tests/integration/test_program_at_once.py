"""Eight commands at once over one store: each ends as if it were alone."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from support.damage import DAMAGES
from support.index import Manners, serving
from support.pips import IN_ORDER
from support.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index
    from support.program import Box

pytestmark = pytest.mark.many

AT_ONCE = 8
NAMES = [f"part-{letter}" for letter in "abcdef"]


@pytest.fixture
def index(cache_control: str) -> Iterator[Index]:
    """Serve projects with some versions each; the pages are fresh, or asked for again, the next time."""
    with serving() as server:
        index = server.index(manners=Manners(cache_control=cache_control))
        for name in NAMES:
            index.add(*(wheel(name, version, "leaf>=1") for version in ("1.0", "1.5", "2.0rc1")))
        index.add(wheel("leaf", "0.9"), wheel("leaf", "1.1"), wheel("parts", "1.0", *NAMES))
        yield index


def said(out: str) -> list[str]:
    """Return what is printed, without what depends on who fetched an archive first."""
    lines = (re.sub(r"^  (?:Downloading|Using cached) ", "  Got ", line) for line in out.splitlines())
    return [line for line in lines if "━" not in line]


@pytest.mark.parametrize(("state", "cache_control"), [
    *((state, "max-age=600") for state in ("empty", *DAMAGES)),
    ("empty", "no-cache"), ("flipped-bits", "no-cache"),
])
def test_each_ends_as_if_it_were_alone(box: Box, index: Index, state: str) -> None:
    alone = box.pip("install", *index.args, "--no-cache-dir", "--target", "alone", "parts", **IN_ORDER)
    assert alone.status == 0
    if state != "empty":
        assert box.pipfast("install", *index.args, "--target", "before", "parts", **IN_ORDER).status == 0
        DAMAGES[state](box)
    with ExitStack() as stack:
        running = [
            stack.enter_context(box.started(
                "-m", "pipfast", "install", *index.args, "--target", f"t{number}", "parts", **IN_ORDER,
                PIPFAST_WORKERS="1",
            ))
            for number in range(AT_ONCE)
        ]
        ends = [(process.communicate(), process.returncode) for process in running]
    for (out, err), status in ends:
        assert (status, err) == (0, alone.err)
        assert said(out) == said(alone.out)
    wanted = sorted(path.name for path in (box.work / "alone").iterdir())
    for number in range(AT_ONCE):
        assert sorted(path.name for path in (box.work / f"t{number}").iterdir()) == wanted
    assert box.leftovers() == []
    assert box.broken_entries() == []
    assert box.pipfast("store", "verify").status == 0
