"""Stores and environments on other filesystems, on poor ones, and under clocks that jump."""

from __future__ import annotations

import errno
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from support.failing import EACH, Failing, Fault, compiled
from support.index import serving
from support.mounts import IMAGES, filesystem, read_only
from support.program import make_box
from support.repeated import demo, installed_tree
from support.snapshot import compare_trees
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box
    from support.snapshot import Tree

pytestmark = [pytest.mark.once, pytest.mark.slow]

NAMES = ["demo==2.0", "library"]


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    with serving() as server:
        index = server.index()
        index.add(demo("1.0", 5).build(), demo("2.0", 5).build(), Wheel("library").build())
        yield index


def by_pip(box: Box, index: Index) -> Tree:
    """Return what pip makes of the environment, and leave that as it was."""
    assert box.pip("install", *index.args, *NAMES).status == 0
    right = installed_tree(box)
    assert box.pip("uninstall", "-y", "demo", "library").status == 0
    return right


def check(box: Box, index: Index, right: Tree, **variables: str) -> None:
    """Install, upgrade, and install again: all is as pip makes it, without a word, and the store is sound."""
    for arguments in (["demo==1.0"], NAMES, ["--force-reinstall", *NAMES]):
        ended = box.pipfast("install", *index.args, *arguments, **variables)
        assert (ended.status, ended.err) == (0, "")
    assert compare_trees(right, installed_tree(box)) == []
    assert box.pipfast("store", "verify", **variables).status == 0
    assert box.leftovers() == [] and box.broken_entries() == []


@pytest.mark.parametrize("place", ["store", "environment", "both"])
@pytest.mark.parametrize("kind", [*IMAGES, "tmpfs", "overlay"])
def test_filesystem(tmp_path: Path, index: Index, kind: str, place: str) -> None:
    """Links, clones and copies, within one and from one to another."""
    root = tmp_path / "root"
    with ExitStack() as stack:
        if place == "both":
            stack.enter_context(filesystem(root, kind, tmp_path / "beside"))
        box = make_box(root)
        right = by_pip(box, index)
        if place == "store":
            if kind == "overlay":
                assert box.pipfast("install", *index.args, "--target", str(tmp_path / "t"), *NAMES).status == 0
            stack.enter_context(filesystem(box.store, kind, tmp_path / "beside"))
        elif place == "environment":
            stack.enter_context(filesystem(root / "venv", kind, tmp_path / "beside"))
            if kind != "overlay":
                shutil.rmtree(root / "saved", ignore_errors=True)
                make_box(root)
                right = by_pip(box, index)
        check(box, index, right)
        links = (box.site_packages / "demo" / "__init__.py").stat().st_nlink
        if place == "both":
            assert (links == 1) == (kind in ("btrfs", "xfs")), "cloned where that can be, linked elsewhere"


@pytest.mark.parametrize(("call", "number"), [
    ("link", errno.EPERM), ("symlink", errno.EPERM), ("chmod", errno.EPERM), ("utime", errno.EPERM),
    ("flock", errno.ENOLCK), ("copy_file_range", errno.EXDEV), ("sendfile", errno.EINVAL), ("fsync", errno.EINVAL),
    ("chown", errno.EPERM), ("rename", errno.EXDEV),
])
def test_store_whose_filesystem_lacks_something(tmp_path: Path, index: Index, call: str, number: int) -> None:
    """No hard links, no modes, no times, no locks: what is installed is as pip installs it."""
    box = make_box(tmp_path)
    try:
        failing = Failing(tmp_path / "failing", [box.store])
    except LookupError as error:
        pytest.skip(str(error))
    right = by_pip(box, index)
    for arguments in (["demo==1.0"], NAMES, ["--force-reinstall", *NAMES]):
        variables = failing.variables(Fault(EACH, number, call), match=f"^{call} ")
        ended = box.pipfast("install", *index.args, *arguments, **variables)
        assert ended.status == 0 and "Traceback" not in ended.err, ended.err
    assert compare_trees(right, installed_tree(box)) == []
    assert box.pipfast("store", "verify").status == 0


def test_read_only_store(box: Box, index: Index) -> None:
    """Mounted so: root may write where modes alone forbid it."""
    right = by_pip(box, index)
    assert box.pipfast("install", *index.args, "--target", "t", *NAMES).status == 0
    with read_only(box.store):
        ended = box.pipfast("install", *index.args, *NAMES)
        assert ended.status == 0 and "Traceback" not in ended.err
        assert compare_trees(right, installed_tree(box)) == []
        assert box.pipfast("store", "verify").status == 0


def test_read_only_environment(box: Box, index: Index) -> None:
    """pip's error, exit code and files."""
    venv = box.root / "venv"
    ends = {}
    with read_only(venv):
        for program in ("pip", "pipfast"):
            ended = box.run("-m", program, "install", *index.args, "--quiet", *NAMES)
            ends[program] = (ended.status, ended.out, ended.err, installed_tree(box))
    assert ends["pipfast"] == ends["pip"]
    assert ends["pip"][0] == 1
    assert box.broken_entries() == [] and box.leftovers() == []


YEAR_S = 365 * 86_400

CLOCKS = {
    "a year ahead": (YEAR_S, 0), "thirty years back": (-30 * YEAR_S, 0),
    "ahead in the middle": (YEAR_S, 100), "back in the middle": (-YEAR_S, 100),
    "an hour back at the end": (-3600, 1000),
}
"""Seconds by which it jumps, and how often a process has read it before."""


@pytest.mark.parametrize("clock", CLOCKS)
def test_clock_that_jumps(box: Box, index: Index, clock: str) -> None:
    """Before it jumps, while it is wrong, and when it is right again."""
    jump_s, jump_at = CLOCKS[clock]
    try:
        library = compiled("clock", box.root / "clock")
    except LookupError as error:
        pytest.skip(str(error))
    wrong = {"LD_PRELOAD": str(library), "CLOCK_JUMP_S": str(jump_s), "CLOCK_JUMP_AT": str(jump_at)}
    right = by_pip(box, index)
    for variables in ({}, wrong, {}, wrong):
        check(box, index, right, **variables)
        assert box.pipfast("store", "prune", **variables).status == 0
        assert box.pipfast("uninstall", "-y", "demo", "library").status == 0
    # And for what was made under the wrong clock.
    assert box.pipfast("store", "purge", **wrong).status == 0
    for variables in (wrong, {}):
        check(box, index, right, **variables)
