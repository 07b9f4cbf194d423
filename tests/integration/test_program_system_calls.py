"""Each system call that writes to the store or to an environment fails once, or is the last."""

from __future__ import annotations

import os
import random
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.failing import KILL, Failing, Fault, faults
from support.index import serving
from support.program import make_box
from support.snapshot import compare_trees, picture
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index, Server
    from support.program import Box, Ended
    from support.snapshot import Tree

pytestmark = pytest.mark.once

SAMPLE = int(os.environ.get("PIPFAST_FAULT_CALLS", "2"))
"""Calls that fail in each case; 0 means all."""

SEED = int(os.environ.get("PIPFAST_FAULT_SEED", "0"))

_LEFT_BY_PIP = re.compile(r"(?:^|/)~|\.tmp$")
"""What pip, too, leaves when it is killed: what it was about to uninstall, and files that have no name yet."""


def demo(version: str) -> Wheel:
    """Return a wheel with something for each folder of an environment."""
    return Wheel(
        "demo", version, requires=["library"], console={"demo": "demo:main"},
        files={
            "demo/__init__.py": f"def main():\n    return {version!r}\n", f"demo/new{version[0]}.py": "x = 1\n",
            "demo/data/table.txt": "x" * 10_000, "top.py": "",
            f"demo-{version}.data/data/share/demo.txt": "x", f"demo-{version}.data/scripts/run-demo": "#!python\n",
        },
    )


@dataclass(frozen=True)
class World:
    """A box before the command, what the command makes of it under pip, and the means to fail."""

    box: Box
    arguments: list[str]
    before: Tree
    right: Tree
    failing: Failing
    saved: Path
    in_environment: bool

    def restore(self) -> None:
        """Have the box as it was."""
        for name in ("venv", "store", "home", "tmp"):
            shutil.rmtree(self.box.root / name, ignore_errors=True)
            if (self.saved / name).exists():
                shutil.copytree(self.saved / name, self.box.root / name, symlinks=True)

    def run(self, fault: Fault | None = None) -> Ended:
        return self.box.pipfast(*self.arguments, **self.failing.variables(fault))

    def tree(self) -> Tree:
        return installed_tree(self.box)


def installed_tree(box: Box) -> Tree:
    """Return what lies in the environment, without our own shims."""
    tree = picture(box.root / "venv")
    return {path: entry for path, entry in tree.items() if "/running.pth" not in path}


@pytest.fixture(scope="module")
def index(laboratory_server: Server) -> Index:
    index = laboratory_server.index()
    index.add(demo("1.0").build(), demo("2.0").build(), Wheel("library").build())
    return index


@pytest.fixture(scope="module")
def laboratory_server() -> Iterator[Server]:
    with serving() as server:
        yield server


def make_world(root: Path, index: Index, state: str, *, in_environment: bool) -> World:
    """Prepare a box.

    :param state: ``cold``: nothing is there; ``warm``: the store has it; ``upgrade``: the environment has an older
        one besides.
    """
    try:
        box = make_box(root)
        failing = Failing(root / "failing", [root / "venv" if in_environment else box.store])
    except LookupError as error:
        pytest.skip(str(error))
    arguments = ["install", *index.args, "demo==2.0"]
    if state != "cold":
        assert box.pipfast(*arguments, "--target", str(root / "elsewhere")).status == 0
    if state == "upgrade":
        assert box.pipfast("install", *index.args, "demo==1.0").status == 0
    before = installed_tree(box)
    saved = root / "saved"
    for name in ("venv", "store", "home", "tmp"):
        if (root / name).exists():
            shutil.copytree(root / name, saved / name, symlinks=True)
    assert box.pip(*arguments).status == 0
    world = World(box, arguments, before, installed_tree(box), failing, saved, in_environment)
    world.restore()
    return world


@pytest.mark.parametrize("kill", [False, True], ids=["fails", "killed"])
@pytest.mark.parametrize("state", ["cold", "warm", "upgrade"])
@pytest.mark.parametrize("in_environment", [False, True], ids=["store", "environment"])
def test_each_call(tmp_path: Path, index: Index, in_environment: bool, state: str, kill: bool) -> None:
    """The command ends as pip's would, or falls back; the store is sound; the next run is right."""
    world = make_world(tmp_path, index, state, in_environment=in_environment)
    assert world.run().status == 0
    assert compare_trees(world.right, world.tree()) == []
    choice = random.Random(f"{SEED} {in_environment} {state} {kill}")
    all_faults = faults(world.failing.calls(), choice, kill=kill)
    assert all_faults
    chosen = all_faults if not SAMPLE else choice.sample(all_faults, min(SAMPLE, len(all_faults)))
    wrong = [f"{fault}: {problem}" for fault in chosen for problem in check(world, fault)]
    assert not wrong, "\n".join([f"{len(wrong)} problems with {len(chosen)} of {len(all_faults)} calls", *wrong])


def check(world: World, fault: Fault) -> list[str]:
    """Return what is wrong after a fault."""
    world.restore()
    ended = world.run(fault)
    problems = []
    if "Traceback" in ended.err:
        problems.append(f"a traceback:\n{ended.err[-1500:]}")
    if ended.status == 0:
        problems += compare_trees(world.right, world.tree())
    elif fault.how != KILL:
        if not world.in_environment:
            problems.append(f"status {ended.status}, where pip has no store to fail:\n{ended.err[-1000:]}")
        elif ended.status != 1 or "ERROR: " not in ended.err:
            problems.append(f"status {ended.status}:\n{ended.err[-1000:]}")
        lost = [path for path in world.before if path not in world.tree()]
        problems += [f"{path} is gone" for path in lost]
    verified = world.box.pipfast("store", "verify")
    if verified.status != 0:
        problems.append(f"the store is damaged: {verified.out}{verified.err}")
    again = world.box.pipfast(*world.arguments, "--force-reinstall")
    if fault.how == KILL and world.in_environment and "no RECORD file was found" in again.err:
        # pip, too, leaves a folder of metadata without RECORD when it is killed there, and names this way out.
        again = world.box.pipfast(*world.arguments, "--ignore-installed")
    if again.status != 0:
        problems.append(f"the next run ends with {again.status}: {again.err[-1000:]}")
    else:
        tree = world.tree()
        if fault.how == KILL and world.in_environment:
            tree = {path: entry for path, entry in tree.items() if not _LEFT_BY_PIP.search(path)}
        problems += [f"after the next run: {line}" for line in compare_trees(world.right, tree)]
    return problems
