"""Commands that are killed at random instants leave a sound store, and the next one is right."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import group_is_empty, started_from, wait_until
from support.repeated import demo, make_repeated
from support.snapshot import compare_trees
from support.sources import archive
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box
    from support.repeated import Repeated

pytestmark = pytest.mark.once

KILLS = int(os.environ.get("PIPFAST_KILLS", "2"))
"""Commands of each kind that are killed."""

SEED = os.environ.get("PIPFAST_KILLS_SEED", "0")

LATER = [pytest.mark.slow]

KINDS = {
    "upgrade": ("upgrade", None, {}),
    "cold": ("cold", None, {}),
    "warm": ("warm", None, {}),
    "copied": ("upgrade", None, {"PIPFAST_LINK_MODE": "copy"}),
    "bound": ("upgrade", None, {"PIPFAST_STORE_SIZE": "100KB"}),
    "build": ("cold", "built", {}),
    "prune": ("upgrade", ["store", "prune", "--max-size", "50KB"], {}),
    "purge": ("upgrade", ["store", "purge"], {}),
    "verify": ("upgrade", ["store", "verify"], {}),
}
"""What there is before the command; another command than the installation, or another requirement; variables."""


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    with serving() as server:
        index = server.index()
        index.add(demo("1.0", 30).build(), demo("2.0", 30).build(), Wheel("library").build())
        yield index.add(archive("built", scripts={}))


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=LATER if kind != "upgrade" else ()) for kind in KINDS]
)
def test_killed_at_any_instant(tmp_path: Path, index: Index, kind: str) -> None:
    """Nothing runs on, the store is sound, the next run is right, and takes away what was left."""
    state, what, variables = KINDS[kind]
    repeated = make_repeated(tmp_path, index, state, *([what] if isinstance(what, str) else ()), **variables)
    command = what if isinstance(what, list) else repeated.arguments
    began = time.monotonic()
    assert repeated.box.pipfast(*command, **variables).status == 0
    took = time.monotonic() - began
    choice = random.Random(f"{SEED} {kind}")
    instants = [(choice.random(), choice.random() < 0.5) for _ in range(KILLS)]
    ends = [check(repeated, command, took * instant, group=group) for instant, group in instants]
    wrong = [f"killed after {instant:.3f} of it: {problem}"
             for (instant, _), (_, problems) in zip(instants, ends, strict=True) for problem in problems]
    killed = sum(was_killed for was_killed, _ in ends)
    print(f"{kind}: {killed} of {len(ends)} were killed within {took:.1f} s; {len(wrong)} problems")
    assert not wrong, "\n".join(wrong)


def check(repeated: Repeated, command: list[str], after_s: float, *, group: bool) -> tuple[bool, list[str]]:
    """Return whether a command was killed before its end, and what is wrong then.

    :param group: all that it has started is killed with it.
    """
    repeated.restore()
    box = repeated.box
    with box.started("-m", "pipfast", *command, **repeated.more) as process:
        try:
            process.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        wait_until(lambda: group_is_empty(process.pid), "the end of all that it has started")
        wait_until(lambda: not started_from(box), "the end of all others")
    problems = []
    was_killed = process.returncode == -signal.SIGKILL
    if not was_killed and command == repeated.arguments:
        problems += compare_trees(repeated.right, repeated.tree())
    # What a killed build leaves in the temporary folder is the system's to clean, ours as pip's.
    problems += [f"{path.name} is left in the temporary folder" for path in box.tmp.iterdir()
                 if not path.name.startswith("pip-") and "built" not in command]
    problems += repeated.damages()
    problems += repeated.problems_of_next(killed=True)
    problems += [f"{path} is left for ever" for path in leftovers(box)]
    return was_killed, problems


def leftovers(box: Box) -> list[Path]:
    """Return what no command is working on any more."""
    return [path for name in ("tmp", "locks") if (box.store / name).is_dir()
            for path in (box.store / name).iterdir()]
