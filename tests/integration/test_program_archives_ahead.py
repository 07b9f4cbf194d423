"""Early archives: pinned, hashed, or the only source of metadata."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from support.index import Manners, serving
from support.pips import since
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Server
    from support.program import Box
    from support.wheels import Archive

pytestmark = pytest.mark.many

NAMES = ("alpha", "beta", "gamma")
WHEELS = {name: Wheel(name).build() for name in NAMES}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def file(archive: Archive) -> str:
    return f"a/files/{archive.filename}"


def fetched(server: Server) -> Counter[str]:
    return Counter(each.path for each in server.requests() if each.method == "GET" and "/files/" in each.path)


def hold_all_for_the_last(server: Server, archives: list[Archive]) -> None:
    """No archive comes before the next one is asked for: one at a time would never end."""
    for first, second in pairwise(archives):
        server.hold(file(first), file(second))


@pytest.mark.parametrize("arguments", [["install"], ["install", "--dry-run"], ["download"]], ids=" ".join)
def test_without_core_metadata_archives_come_side_by_side(
    box: Box, server: Server, arguments: list[str]
) -> None:
    """The resolver needs each for what is in it; pip fetches one after another."""
    index = server.index(manners=Manners(core_metadata=False)).add(*WHEELS.values())
    hold_all_for_the_last(server, list(WHEELS.values()))
    ended = box.pipfast(*arguments, *index.args, *NAMES)
    assert (ended.status, ended.err) == (0, "")
    assert set(fetched(server).values()) == {1}


def test_what_archives_require_is_asked_for_ahead(box: Box, server: Server) -> None:
    """Two chains of dependencies, each of which is known from the archive before: they advance together."""
    chains = [[Wheel(f"{chain}{link}", requires=[f"{chain}{link + 1}"] if link < 2 else []).build()
               for link in range(3)] for chain in "xy"]
    index = server.index(manners=Manners(core_metadata=False)).add(*chains[0], *chains[1])
    for first, second in zip(*chains, strict=True):
        server.hold(file(first), file(second))
    ended = box.pipfast("install", *index.args, "x0", "y0")
    assert (ended.status, ended.err) == (0, "")
    assert set(fetched(server).values()) == {1}
    assert sum(name.endswith(".dist-info") for name in box.installed()) == 6


@pytest.mark.parametrize("core_metadata", [True, False])
def test_hashed_archives_come_side_by_side(box: Box, server: Server, core_metadata: bool) -> None:
    """Of two builds of one version that with the hash which is required."""
    index = server.index(manners=Manners(core_metadata=core_metadata)).add(*WHEELS.values())
    index.add(*(Wheel(name, build_tag="1", files={f"{name}.py": ""}).build() for name in NAMES))
    lines = [f"{name}==1.0 --hash=sha256:{archive.sha256}" for name, archive in WHEELS.items()]
    (box.work / "r.txt").write_text("\n".join(lines), encoding="utf-8")
    hold_all_for_the_last(server, list(WHEELS.values()))
    ended = box.pipfast("install", *index.args, "--require-hashes", "-r", "r.txt")
    assert (ended.status, ended.err) == (0, "")
    assert fetched(server) == {f"/{file(archive)}": 1 for archive in WHEELS.values()}


def test_pinned_archives_do_not_wait_for_metadata(box: Box, server: Server) -> None:
    """The last page comes when the first archive was asked for."""
    index = server.index().add(*WHEELS.values())
    server.hold("a/simple/gamma/", file(WHEELS["alpha"]))
    ended = box.pipfast("install", *index.args, *(f"{name}==1.0" for name in NAMES))
    assert (ended.status, ended.err) == (0, "")
    assert max(fetched(server).values()) == 1


def test_small_archives_do_not_wait_for_metadata(box: Box, server: Server) -> None:
    """The page says how small they are; the metadata of the first comes when the last archive was asked for."""
    index = server.index().add(*WHEELS.values())
    server.hold(f"{file(WHEELS['alpha'])}.metadata", file(WHEELS["gamma"]))
    ended = box.pipfast("install", *index.args, *NAMES)
    assert (ended.status, ended.err) == (0, "")
    assert max(fetched(server).values()) == 1


@since("23.2", "it reads no metadata files")
def test_large_archives_wait_for_the_resolver(box: Box, server: Server) -> None:
    """Of a release that the resolver turns out not to take, nothing is fetched but what is small."""
    large = Wheel("large", "2.0", files={"large.bin": random.Random(1).randbytes(4 << 20)}).build()
    older, narrow = Wheel("large", "1.0").build(), Wheel("narrow", requires=["large<2"]).build()
    index = server.index().add(narrow, Wheel("wide", requires=["large"]).build(), large, older)
    # The choice is made before it is known what the first one requires.
    server.hold(f"{file(narrow)}.metadata", f"{file(large)}.metadata")
    ended = box.pipfast("install", *index.args, "narrow", "wide")
    assert (ended.status, ended.err) == (0, "")
    assert f"/{file(large)}" not in fetched(server)
    assert "large-1.0.dist-info" in box.installed()


def test_what_is_installed_is_not_fetched_ahead(box: Box, server: Server) -> None:
    index = server.index().add(*WHEELS.values())
    assert box.pip("install", *index.args, "alpha").status == 0
    server.rewind()
    ended = box.pipfast("install", "--upgrade", *index.args, "alpha==1.0", "beta")
    assert (ended.status, ended.err) == (0, "")
    assert f"/{file(WHEELS['alpha'])}" not in fetched(server)
    assert fetched(server)[f"/{file(WHEELS['beta'])}"] == 1


def test_a_name_is_the_same_however_it_is_written(box: Box, server: Server) -> None:
    """What is fetched ahead for a canonical name is what pip asks for with the user's."""
    mixed = Wheel("Mixed.Name").build()
    index = server.index().add(mixed, WHEELS["alpha"])
    server.hold(f"{file(mixed)}.metadata", file(mixed))
    ended = box.pipfast("install", *index.args, "alpha", "Mixed.Name==1.0")
    assert (ended.status, ended.err) == (0, "")
    assert fetched(server)[f"/{file(mixed)}"] == 1


@pytest.mark.parametrize("arguments", [["alpha==1.0"], ["alpha"]], ids=["pinned", "newest"])
def test_nothing_large_is_fetched_for_a_dry_run_that_metadata_tells(
    box: Box, server: Server, arguments: list[str]
) -> None:
    """No archive but those that this pip fetches for a dry run."""
    index = server.index().add(*WHEELS.values())
    assert box.pip("install", "--dry-run", "--no-cache-dir", *index.args, *arguments).status == 0
    expected = fetched(server)
    server.rewind()
    assert box.pipfast("install", "--dry-run", *index.args, *arguments).status == 0
    assert fetched(server) == expected


def test_wrong_hash_is_pips_error(box: Box, server: Server) -> None:
    """What came ahead is thrown away, and pip's words are said once."""
    index = server.index(manners=Manners(core_metadata=False)).add(*WHEELS.values())
    (box.work / "r.txt").write_text(f"alpha==1.0 --hash=sha256:{'0' * 64}", encoding="utf-8")
    arguments = ["install", *index.args, "--require-hashes", "-r", "r.txt"]
    stock, ended = box.pip(*arguments), box.pipfast(*arguments)
    assert (ended.status, ended.err) == (stock.status, stock.err)
    assert box.leftovers() == []


def test_archive_that_is_no_archive(box: Box, server: Server) -> None:
    """Nothing is learnt from it ahead; pip says what it is."""
    index = server.index(manners=Manners(core_metadata=False))
    broken = Wheel("alpha").build()
    index.add(replace(broken, data=b"no zip"))
    arguments = ["install", *index.args, "alpha"]
    stock, ended = box.pip(*arguments), box.pipfast(*arguments)
    assert (stock.status, ended.status) == (1, 1)
    assert ended.err.endswith("alpha-1.0-py3-none-any.whl is invalid.\n")
    assert stock.err.endswith("alpha-1.0-py3-none-any.whl is invalid.\n")


@pytest.mark.parametrize("disabled", ["downloads", "index"])
def test_without_the_family_nothing_begins(box: Box, server: Server, disabled: str) -> None:
    index = server.index(manners=Manners(core_metadata=False)).add(*WHEELS.values())
    ended = box.pipfast("install", *index.args, *NAMES, PIPFAST_DISABLE=disabled)
    assert (ended.status, ended.err) == (0, "")
    assert set(fetched(server).values()) == {1}
