"""Whatever a server's ranges give, the file of pip's one stream is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from support.damage import flipped
from support.doubtful import CHANCE_S, DATED, WEAK, Doubtful, large_wheel
from support.loopback import STRONG
from support.pips import PIP
from support.twin import pip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.program import Box
    from support.twin import Twins

pytestmark = [pytest.mark.many, pytest.mark.once]

DEMO, OTHER = large_wheel(1), large_wheel(2)
FALSE = "0" * 64


def true(start: int, end: int) -> bytes:
    return DEMO.data[start:end]


def other_bytes(start: int, end: int) -> bytes:
    return bytes(end - start)


def shifted(start: int, end: int) -> bytes:
    return DEMO.data[start - 1 : end - 1]


def other_file(start: int, end: int) -> bytes:
    return OTHER.data[start:end]


def one_changed(start: int, end: int) -> bytes:
    """Another file from the middle of a segment on."""
    middle = (start + end) // 2
    return DEMO.data[start:middle] + OTHER.data[middle:end]


def agree(twins: Twins, server: Doubtful, *, fails: bool = False) -> list[str | None]:
    """Install with both; return what ours has asked for."""
    runs: list[str] = []

    def prepare(_: object) -> None:
        runs.append("ours" if runs else "stock")
        server.rewind(patient=runs[-1] == "ours")

    twins.agree(
        pip("install", "--no-deps", "--index-url", server.url, "demo", fails=fails), warm=False, prepare=prepare
    )
    assert runs == ["stock", "ours"]
    return server.asked


@pytest.mark.parametrize("part", [other_bytes, shifted, other_file, one_changed])
def test_strong_validator_that_lies(twins: Twins, part: Callable[[int, int], bytes]) -> None:
    """Without a digest the check sums within the file show it; then one stream brings all."""
    with Doubtful(DEMO, part=part) as server:
        asked = agree(twins, server)
        assert asked.count(None) == 2
        assert asked[-1] is None
        assert len(asked) > 2


@pytest.mark.parametrize(
    "way", ["described", "alone", "download", "address", "address-digest", "required", "stored"]
)
def test_range_that_is_damaged_once(box: Box, way: str) -> None:
    """However a file comes, a damaged range of it is nobody's to see."""
    damaged: list[int] = []

    def part(start: int, end: int) -> bytes:
        if damaged:
            return DEMO.data[start:end]
        damaged.append(start)
        # The other half may be given to another stream.
        quarter = (end - start) // 4
        return bytes(quarter) + DEMO.data[start + quarter : end]

    digest = "" if way in ("required", "address") else DEMO.sha256
    with Doubtful(DEMO, digest=digest, part=part, described=way == "described") as server:
        address = f"{server.address}/files/{DEMO.filename}"
        wanted = {
            "address": [address],
            "address-digest": [f"{address}#sha256={DEMO.sha256}"],
            "required": ["--require-hashes", "-r", str(box.root / "locked.txt")],
        }.get(way, ["demo"])
        pin = "" if Version("26.1") <= PIP else "==1.0"  # older ones want a pin beside each hash
        (box.root / "locked.txt").write_text(f"demo{pin} --hash=sha256:{DEMO.sha256}\n", encoding="utf-8")
        command = "download" if way == "download" else "install"
        ended = box.pipfast(command, "--no-deps", "--index-url", server.url, *wanted)
        assert (ended.status, ended.err) == (0, "")
        assert damaged
        assert server.asked.count(None) == 2
        if way == "stored":
            # The store's own copy is damaged, and what comes in its place is, too.
            (stored,) = box.store.glob("archives-v*/**/bytes")
            stored.write_bytes(flipped(stored.read_bytes()))
            damaged.clear()
            server.rewind(patient=True)
            ended = box.pipfast("install", "--no-deps", "--force-reinstall", "--index-url", server.url, "demo")
            assert ended.status == 0
            assert damaged
            # One, where the first stream came to the damaged range before that was used.
            assert server.asked.count(None) in (1, 2)
            assert box.pipfast("store", "verify").status == 0


@pytest.mark.parametrize("validators", [{}, WEAK, DATED], ids=["none", "weak", "dated"])
def test_no_parts_without_a_strong_validator(twins: Twins, validators: Mapping[str, str]) -> None:
    """Without a digest a date is none."""
    with Doubtful(DEMO, validators=validators, part=other_file, patience=CHANCE_S) as server:
        assert agree(twins, server) == [None]


@pytest.mark.parametrize("validators", [STRONG, DATED], ids=["strong", "dated"])
def test_digest_shows_parts_of_another_file(twins: Twins, validators: Mapping[str, str]) -> None:
    """The mismatch is nobody's to see: what one stream brings has the digest of the index."""
    with Doubtful(DEMO, digest=DEMO.sha256, validators=validators, part=other_file) as server:
        asked = agree(twins, server)
        assert asked.count(None) == 2
        assert len(asked) > 2


@pytest.mark.parametrize("part", [true, other_file])
def test_digest_of_another_file(twins: Twins, part: Callable[[int, int], bytes]) -> None:
    """What is wrong in one stream as well is pip's to fetch: its error, in its words."""
    with Doubtful(DEMO, digest=FALSE, part=part) as server:
        asked = agree(twins, server, fails=True)
        assert asked.count(None) == 3
        assert len(asked) > 3


@pytest.mark.parametrize("described", [True, False], ids=["batch", "alone"])
def test_digest_that_only_pips_own_request_gives(box: Box, described: bool) -> None:
    """A file that is wrong whenever we fetch it is not wrong until pip has fetched it itself."""

    def whole(number: int) -> bytes:
        return (DEMO if number > 1 else OTHER).data

    with Doubtful(DEMO, digest=DEMO.sha256, whole=whole, described=described) as server:
        ended = box.pipfast("install", "--no-deps", "--index-url", server.url, "demo")
        assert (ended.status, ended.err) == (0, "")
        # Older pips name the address, newer ones the file.
        assert (ended.out.count(f"{DEMO.filename} ("), ended.out.count("10.5/10.5 MB")) == (1, 1)
        assert server.asked.count(None) == 3


def test_sound_parts_are_used(twins: Twins) -> None:
    """What these tests say of parts, they say of parts that would be used."""
    with Doubtful(DEMO) as server:
        asked = agree(twins, server)
        assert asked.count(None) == 1
        assert len(asked) > 1


def test_parts_that_wait_for_the_whole(twins: Twins) -> None:
    """A server that sends a file to one at a time has sent all of it by then."""

    def late(start: int, end: int) -> bytes:
        server.goes_on.set()
        server.plain_over.wait(30)
        return true(start, end)

    with Doubtful(DEMO, part=late) as server:
        asked = agree(twins, server)
        assert asked.count(None) == 1
        assert len(asked) > 1


@pytest.mark.parametrize("digest", ["", OTHER.sha256], ids=["without", "with"])
def test_file_that_is_replaced_under_way(box: Box, digest: str) -> None:
    """What came of the file before is not mixed with what comes of the one after."""
    with Doubtful(
        DEMO, digest=digest, part=other_file, whole=lambda number: (OTHER if number else DEMO).data
    ) as server:
        ended = box.pipfast("install", "--no-deps", "--index-url", server.url, "demo")
        assert (ended.status, ended.err) == (0, "")
        assert server.asked.count(None) == 2
    package = box.site_packages / "demo"
    installed = [path.read_bytes() for path in (*package.glob("*.bin"), package / "__init__.py")]
    assert len(installed) == 5
    assert all(content in OTHER.data for content in installed)
