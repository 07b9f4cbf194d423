"""Servers that take one request at a time serve the run as they serve pip's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.hanging import HangingServer, StallingServer, TiringServer
from support.outputs import normalized
from support.pips import IN_ORDER
from support.poor import NAMES, PoorServer
from support.program import make_box

if TYPE_CHECKING:
    from support.program import Box

pytestmark = [pytest.mark.many, pytest.mark.once]


@pytest.fixture(scope="module")
def told_by_pip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what pip prints, whose requests none of these servers refuses."""
    box = make_box(tmp_path_factory.mktemp("stock"))
    with PoorServer() as server:
        ended = box.pip("install", "--no-input", "--index-url", server.url, "top", **IN_ORDER)
        assert (ended.status, ended.err) == (0, "")
        return normalized(ended.out.replace(server.url.removesuffix("simple/"), ""))


def install(box: Box, server: PoorServer, told_by_pip: str) -> None:
    ended = box.pipfast("install", "--no-input", "--index-url", server.url, "top", **IN_ORDER)
    assert (ended.status, ended.err) == (0, "")
    assert normalized(ended.out.replace(server.url.removesuffix("simple/"), "")) == told_by_pip
    assert {"top", *NAMES} <= set(box.installed())


def test_one_thread_that_keeps_connections(box: Box, told_by_pip: str) -> None:
    """A second connection is served only when the first is closed: pip's own never waits for an idle one."""
    with PoorServer(threads=False) as server:
        install(box, server, told_by_pip)
        assert len(server.asked) <= 3 * len(server.files) + 4


@pytest.mark.parametrize(
    ("kind", "manner"),
    [
        *(("any", manner) for manner in ("401", "403", "404", "407", "429", "503", "reset", "stall")),
        *((kind, manner) for kind in ("page", "metadata", "archive") for manner in ("403", "stall")),
    ],
)
def test_refusal_of_whoever_has_two_under_way(box: Box, told_by_pip: str, kind: str, manner: str) -> None:
    """pip asks itself, alone, and gets what it would have got; the server sees a few requests more."""
    with PoorServer(kind=kind, manner=manner) as server:
        install(box, server, told_by_pip)
        assert server.refused <= 4
        assert len(server.asked) <= 3 * len(server.files) + 8


@pytest.mark.parametrize("sent", ["nothing", "headers", "some"])
def test_ranges_that_hang(box: Box, sent: str) -> None:
    """The first, plain answer of each file brings all of it; once ranges hung, no more are asked for."""
    with HangingServer(sent) as server:
        ended = box.pipfast("install", "--index-url", server.url, "alpha", "beta")
        assert (ended.status, ended.err) == (0, "")
        assert {"alpha", "beta", "gamma"} <= set(box.installed())
        assert sorted(server.plain) == ["alpha", "beta", "gamma"]
        assert server.ranged
        # What "alpha" requires is known when that is there.
        assert "gamma" not in server.ranged


def test_a_range_that_stalls_after_another_came(box: Box) -> None:
    """The first, plain answer is under way still, and brings what is missing before anybody asks for it again."""
    with StallingServer() as server:
        ended = box.pipfast("install", "--index-url", server.url, "alpha")
        assert (ended.status, ended.err) == (0, "")
        assert "alpha" in box.installed()
        assert server.stalled != (0, 0)
        assert server.asked.count(None) == 1
        asked = [each for each in server.asked if each is not None]
        assert len(asked) == len(set(asked))


@pytest.mark.parametrize("ranges", [1, 5])
def test_ranges_that_come_no_more(box: Box, ranges: int) -> None:
    """The first, plain answer is under way until all is there, and brings the rest: nothing begins again."""
    with TiringServer(ranges) as server:
        ended = box.pipfast("install", "--index-url", server.url, "alpha")
        assert (ended.status, ended.err) == (0, "")
        assert "alpha" in box.installed()
        assert server.plain == 1
        assert server.again == 1
