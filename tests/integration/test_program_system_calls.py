"""Each system call that writes to the store or to an environment fails once, or is the last."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from support.failing import KILL, Failing, faults
from support.index import serving
from support.repeated import demo, make_repeated
from support.snapshot import compare_trees
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.failing import Fault
    from support.index import Index, Server
    from support.repeated import Repeated

pytestmark = [pytest.mark.many, pytest.mark.once]

SAMPLE = int(os.environ.get("PIPFAST_FAULT_CALLS", "2"))
"""Calls that fail in each case; 0 means all."""

SEED = int(os.environ.get("PIPFAST_FAULT_SEED", "0"))

@pytest.fixture(scope="module")
def index(laboratory_server: Server) -> Index:
    index = laboratory_server.index()
    index.add(demo("1.0").build(), demo("2.0").build(), Wheel("library").build())
    return index


@pytest.fixture(scope="module")
def laboratory_server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.mark.parametrize("kill", [False, True], ids=["fails", "killed"])
@pytest.mark.parametrize("state", ["cold", "warm", "upgrade"])
@pytest.mark.parametrize("in_environment", [False, True], ids=["store", "environment"])
def test_each_call(tmp_path: Path, index: Index, in_environment: bool, state: str, kill: bool) -> None:
    """The command ends as pip's would, or falls back; the store is sound; the next run is right."""
    try:
        failing = Failing(tmp_path / "failing", [tmp_path / ("venv" if in_environment else "store")])
    except LookupError as error:
        pytest.skip(str(error))
    repeated = make_repeated(tmp_path, index, state)
    assert repeated.box.pipfast(*repeated.arguments, **failing.variables()).status == 0
    assert compare_trees(repeated.right, repeated.tree()) == []
    choice = random.Random(f"{SEED} {in_environment} {state} {kill}")
    all_faults = faults(failing.calls(), choice, kill=kill)
    assert all_faults
    chosen = all_faults if not SAMPLE else choice.sample(all_faults, min(SAMPLE, len(all_faults)))
    wrong = [
        f"{fault}: {problem}" for fault in chosen
        for problem in check(repeated, fault, failing.variables(fault), in_environment=in_environment)
    ]
    assert not wrong, "\n".join([f"{len(wrong)} problems with {len(chosen)} of {len(all_faults)} calls", *wrong])


def check(repeated: Repeated, fault: Fault, variables: dict[str, str], *, in_environment: bool) -> list[str]:
    """Return what is wrong after a fault."""
    repeated.restore()
    ended = repeated.box.pipfast(*repeated.arguments, **variables)
    problems = []
    if "Traceback" in ended.err:
        problems.append(f"a traceback:\n{ended.err[-1500:]}")
    if ended.status == 0:
        problems += compare_trees(repeated.right, repeated.tree())
    elif fault.how != KILL:
        if not in_environment:
            problems.append(f"status {ended.status}, where pip has no store to fail:\n{ended.err[-1000:]}")
        elif ended.status != 1 or "ERROR: " not in ended.err:
            problems.append(f"status {ended.status}:\n{ended.err[-1000:]}")
        lost = [path for path in repeated.before if path not in repeated.tree()]
        problems += [f"{path} is gone" for path in lost]
    problems += repeated.damages()
    return problems + repeated.problems_of_next(killed=fault.how == KILL)
