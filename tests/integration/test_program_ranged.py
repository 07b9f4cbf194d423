"""Metadata of large wheels for a dry run: a few ranges, pip's words."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from support.index import Manners, serving
from support.outputs import normalized
from support.pips import PIP, since
from support.wheels import Wheel, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Server
    from support.program import Box
    from support.wheels import Archive

pytestmark = pytest.mark.many

FETCHES_NOTHING = Version("25.3") <= PIP
"""Before, pip fetches all archives for a dry run, too."""


def large(name: str, number: str = "1.0", *requires: str) -> Archive:
    noise = random.Random(name).randbytes(6 << 20)
    return Wheel(name, number, requires, files={f"{name}/__init__.py": "", f"{name}/noise.bin": noise}).build()


ARCHIVES = (large("huge", "2.0", "bulky"), large("huge", "1.0"), large("bulky", "1.0", "small"), wheel("small"))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def fetched(server: Server) -> dict[str, set[int]]:
    """Return the statuses of what was asked for, by file."""
    found: dict[str, set[int]] = {}
    for each in server.requests():
        if "/files/" in each.path:
            found.setdefault(each.path.rpartition("/")[2].partition("-")[0], set()).add(each.status)
    return found


def both(box: Box, *arguments: str) -> None:
    """pip's end and words, whoever runs."""
    stock, ended = box.pip(*arguments, "--no-cache-dir"), box.pipfast(*arguments)
    assert (ended.status, ended.err) == (stock.status, stock.err)
    assert normalized(ended.out) == normalized(stock.out)
    assert box.leftovers() == []


@pytest.mark.parametrize("wanted", ["huge", "huge<2", "huge --no-deps", "huge small>1"])
def test_no_large_wheel_is_fetched(box: Box, server: Server, wanted: str) -> None:
    arguments = wanted.split()
    index = server.index(manners=Manners(core_metadata=False)).add(*ARCHIVES)
    both(box, "install", "--dry-run", *index.args, *arguments)
    server.rewind()
    # Once more, with what was kept.
    ended = box.pipfast("install", "--dry-run", *index.args, *arguments)
    assert ended.status == (1 if "small>1" in arguments else 0)
    if FETCHES_NOTHING:
        assert all(statuses <= {206} for name, statuses in fetched(server).items() if name != "small")


@since("25.3", "it fetches all archives for a dry run")
def test_a_few_ranges_are_all(box: Box, server: Server) -> None:
    index = server.index(manners=Manners(core_metadata=False)).add(*ARCHIVES)
    assert box.pipfast("install", "--dry-run", *index.args, "huge").status == 0
    ranges = [each for each in server.requests() if each.status == 206]
    assert fetched(server) == {"huge": {206}, "bulky": {206}, "small": {200}}
    assert len(ranges) <= 8
    server.rewind()
    assert box.pipfast("install", "--dry-run", *index.args, "huge").status == 0
    assert not [name for name in fetched(server) if name != "small"], "it is kept by the archive's hash"


@pytest.mark.parametrize("manners", [
    Manners(core_metadata=False, ranges=False), Manners(core_metadata=False, hashes=False),
    Manners(core_metadata=False, validators=False),
], ids=["no-ranges", "no-hashes", "no-validators"])
def test_other_indexes(box: Box, server: Server, manners: Manners) -> None:
    """Where a server does no ranges, or a report would lack the digest, the archive comes."""
    index = server.index(manners=manners).add(*ARCHIVES)
    report = ["--report", "-", "--quiet"] if not manners.hashes else []
    both(box, "install", "--dry-run", *index.args, "huge", *report)


def test_under_required_hashes_the_archive_is_checked(box: Box, server: Server) -> None:
    index = server.index(manners=Manners(core_metadata=False)).add(*ARCHIVES)
    (box.work / "r.txt").write_text(f"bulky==1.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    both(box, "install", "--dry-run", *index.args, "--require-hashes", "-r", "r.txt")


def test_metadata_of_another_project(box: Box, server: Server) -> None:
    """pip's own error, or its next candidate, after the whole archive."""
    other = Wheel("bulky", "3.0", files={
        "bulky/noise.bin": random.Random(3).randbytes(6 << 20),
    }, metadata_name="another").build()
    index = server.index(manners=Manners(core_metadata=False)).add(other, *ARCHIVES)
    both(box, "install", "--dry-run", *index.args, "bulky")


def test_an_installation_has_whole_archives(box: Box, server: Server) -> None:
    index = server.index(manners=Manners(core_metadata=False)).add(*ARCHIVES)
    assert box.pipfast("install", "--dry-run", *index.args, "huge").status == 0
    server.rewind()
    ended = box.pipfast("install", *index.args, "huge")
    assert (ended.status, ended.err) == (0, "")
    assert (box.site_packages / "huge" / "noise.bin").stat().st_size == 6 << 20


@pytest.mark.parametrize("ranges", [True, False])
def test_what_a_large_wheel_requires_is_there_before_it(box: Box, server: Server, ranges: bool) -> None:
    """It comes only when the next archive was asked for, and that one only when the last was; pip would wait."""
    index = server.index(manners=Manners(core_metadata=False, ranges=ranges)).add(*ARCHIVES)
    if ranges:
        server.hold("a/files/huge-2.0-py3-none-any.whl", "a/files/bulky-1.0-py3-none-any.whl", whole=True)
        server.hold("a/files/bulky-1.0-py3-none-any.whl", "a/files/small-1.0-py3-none-any.whl", whole=True)
    ended = box.pipfast("install", *index.args, "huge")
    assert (ended.status, ended.err) == (0, "")
    assert {name for name in box.installed() if "." not in name} == {"huge", "bulky", "small"}
    whole = [each.path for each in server.requests() if "/files/" in each.path and "range" not in each.headers]
    assert len(whole) == len(set(whole)) == 3


def test_small_wheels_are_not_asked_for_twice(box: Box, server: Server) -> None:
    index = server.index(manners=Manners(core_metadata=False))
    index.add(wheel("app", "1.0", "small"), wheel("small"))
    assert box.pipfast("install", *index.args, "app").status == 0
    assert fetched(server) == {"app": {200}, "small": {200}}
    assert not any("range" in each.headers for each in server.requests())
