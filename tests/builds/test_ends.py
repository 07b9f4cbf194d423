"""Rescued builds that are cut off, and two at once of the same source."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from support.program import make_box, wait_until
from support.sources import archive, seeing

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box

pytestmark = pytest.mark.many

HELD = """
import os
if folder := os.environ.get("HELD"):
    open(os.path.join(folder, f"ready-{os.getpid()}"), "w").close()
    os.open(os.path.join(folder, "go"), os.O_RDONLY)
"""
"""Waits until somebody opens a pipe for writing; without the variable it does nothing."""


@pytest.fixture
def held(index: Index) -> Index:
    """Return the index with a package whose wheel is built when the test allows it."""
    index.add(archive("held", scripts={"wheel": seeing("torch", "held") + HELD}))
    return index


def ready(box: Box) -> int:
    """Return how many builds are waiting."""
    return len(list(box.work.glob("ready-*")))


@pytest.mark.parametrize("number", [
    signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.once),
])
def test_cut_off_in_the_middle(box: Box, held: Index, number: signal.Signals) -> None:
    """Nothing half done is found by the next run, nor left in the environment."""
    os.mkfifo(box.work / "go")
    arguments = ("-m", "pipfast", "install", *held.args, "torch==1.0", "held")
    with box.started(*arguments, HELD=str(box.work)) as process:
        wait_until(lambda: ready(box) == 1, "the build")
        os.killpg(process.pid, number)
        process.communicate()
    assert process.returncode != 0
    assert box.installed() == []
    if number == signal.SIGINT:
        assert box.leftovers() == []
    assert box.broken_entries() == []
    ended = box.pipfast(*arguments[2:])
    assert ended.status == 0, ended.err
    assert (box.site_packages / "held" / "seen.txt").read_text(encoding="utf-8") == "1.0"
    assert box.pipfast("store", "verify").status == 0


def test_two_processes_at_once(box: Box, held: Index) -> None:
    """Both build, both succeed, and a third environment has nothing to build."""
    os.mkfifo(box.work / "go")
    other = make_box(box.root / "other")
    other = type(box)(other.root, {"PIPFAST_STORE": str(box.store)})
    arguments = ("-m", "pipfast", "install", *held.args)
    with (
        box.started(*arguments, "torch==1.0", "held", HELD=str(box.work)) as first,
        other.started(*arguments, "torch==1.0", "held", HELD=str(box.work)) as second,
    ):
        wait_until(lambda: ready(box) == 2, "both builds", 60.0)
        gate = os.open(box.work / "go", os.O_RDWR)
        try:
            said = [each.communicate()[1] for each in (first, second)]
        finally:
            os.close(gate)
    assert (first.returncode, second.returncode) == (0, 0), said
    for each in (box, other):
        assert (each.site_packages / "held" / "seen.txt").read_text(encoding="utf-8") == "1.0"
    assert box.leftovers() == []
    third = make_box(box.root / "third")
    ended = type(box)(third.root, {"PIPFAST_STORE": str(box.store)}).pipfast(*arguments[2:], "torch==1.0", "held")
    assert ended.status == 0, ended.err
    assert "Building wheel for held (" not in ended.out
