"""Sixteen processes on one store for minutes, half of which prune and purge it."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import make_box
from support.repeated import demo
from support.snapshot import compare_trees, picture
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index

pytestmark = [pytest.mark.once, pytest.mark.slow]

SECONDS = float(os.environ.get("PIPFAST_SIXTEEN_S", "120"))

AT_ONCE = 16

LOOKING_AFTER = [["prune"], ["prune", "--max-size", "100KB"], ["purge"], ["verify"]]


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    with serving() as server:
        index = server.index()
        index.add(demo("1.0", 10).build(), demo("2.0", 10).build(), Wheel("library").build())
        yield index


def test_sixteen(tmp_path: Path, index: Index) -> None:
    """Each installation is as pip's, the store is sound; the figures are those of one and of all at once."""
    box = make_box(tmp_path)
    install = ["install", *index.args, "--quiet", "demo==2.0", "--target"]
    assert box.pip(*install, str(tmp_path / "pip")).status == 0
    right = picture(tmp_path / "pip")
    wrong: list[str] = []
    installed = 0

    def installing(number: int, until: float) -> None:
        nonlocal installed
        target = tmp_path / f"t{number}"
        while time.monotonic() < until:
            ended = box.pipfast(*install, str(target), PIPFAST_WORKERS="1")
            if (ended.status, ended.err) != (0, ""):
                wrong.append(f"{number}: {ended.status} {ended.err[-500:]}")
            elif different := compare_trees(right, picture(target)):
                wrong.extend(different)
            shutil.rmtree(target, ignore_errors=True)
            installed += 1

    def looking_after(number: int, until: float) -> None:
        choice = random.Random(number)
        while time.monotonic() < until:
            action = choice.choice(LOOKING_AFTER)
            ended = box.pipfast("store", *action)
            if ended.status or ended.err:
                wrong.append(f"{action}: {ended.status} {ended.out[-500:]}{ended.err[-500:]}")

    def rate(installers: int, others: int, seconds: float) -> float:
        nonlocal installed
        installed = 0
        until = time.monotonic() + seconds
        work = [*([installing] * installers), *([looking_after] * others)]
        threads = [threading.Thread(target=each, args=(number, until)) for number, each in enumerate(work)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return installed / seconds

    alone = rate(1, 0, SECONDS / 6)
    without = rate(AT_ONCE, 0, SECONDS / 3)
    mixed = rate(AT_ONCE // 2, AT_ONCE // 2, SECONDS)
    print(f"{alone:.2f} installations a second by one, {without:.2f} by {AT_ONCE}, {mixed:.2f} by half of them "
          f"beside {AT_ONCE // 2} that look after the store; {len(wrong)} problems")
    assert not wrong, "\n".join(wrong)
    assert box.leftovers() == [] and box.broken_entries() == []
    assert box.pipfast("store", "verify").status == 0
