"""Findings of a hostile review, each as a user meets it."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest

from support.index import Breakage, Manners, serving
from support.outputs import normalized
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.program import Box, Ended


def test_a_path_for_a_digest(box: Box) -> None:
    """An index that names a file of the user's where the digest belongs does not have it thrown away."""
    precious = box.root / "precious"
    precious.write_text("mine", encoding="utf-8")
    with serving() as server:
        index = server.index().add(Wheel("demo").build(), sha256=str(precious))
        ended = box.pipfast("install", *index.args, "demo")
    assert ended.status == 1 and "DO NOT MATCH THE HASHES" in ended.err
    assert precious.read_text(encoding="utf-8") == "mine"
    assert box.installed() == [] and box.leftovers() == []


@pytest.mark.parametrize("size", [1 << 10, 9 << 20], ids=["at-once", "in-ranges"])
def test_without_a_digest_from_pips_cache(box: Box, size: int) -> None:
    """A link that says no digest is fetched once, as under pip: the next answer is in pip's own cache."""
    noise = {"demo/noise.bin": random.Random(size).randbytes(size)}
    with serving() as server:
        index = server.index("a", Manners(hashes=False, core_metadata=False))
        index.add(Wheel("demo", files=noise).build())
        outputs: list[Ended] = []
        asked: list[int] = []
        for run in (box.pipfast, box.pipfast, box.pip):
            target = f"there-{len(asked)}"
            outputs.append(run("install", *index.args, "--trusted-host", "127.0.0.1", "--target", target, "demo"))
            asked.append(sum(request.path.endswith(".whl") for request in server.requests()))
            assert (box.work / target / "demo" / "noise.bin").read_bytes() == noise["demo/noise.bin"]
    assert [ended.status for ended in outputs] == [0, 0, 0]
    assert asked[0] == asked[1] == asked[2]
    assert (asked[0] > 1) == (size >= 8 << 20)
    got = [re.search(r"(Downloading|Using cached) \S*demo", ended.out) for ended in outputs]
    assert [found and found[1] for found in got] == ["Downloading", "Using cached", "Using cached"]


def test_a_broken_download_is_named_once(box: Box) -> None:
    """What cannot be had is left to pip in the end, which has said already what it downloads."""
    said = []
    with serving() as server:
        noise = {"demo/noise.bin": random.Random(1).randbytes(1 << 20)}
        index = server.index().add(Wheel("demo", files=noise).build())
        server.break_off("a/files/demo-1.0-py3-none-any.whl", Breakage.SHORT, times=99)
        for run in (box.pip, box.pipfast):
            ended = run("install", *index.args, "--retries", "0", "--progress-bar", "off", "demo")
            assert ended.status != 0
            said.append(normalized(ended.out))
    assert said[0] == said[1]
