"""Wheels that are in the store, linked aside while pip resolves and moved into the environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import add_shim
from support.snapshot import picture
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index
    from support.program import Box

FIRST = Wheel(
    "first", requires=["second"], console={"first": "space.first:main"},
    files={"space/first.py": "main = print\n", "space/both/a.py": "x = 1\n"},
    data={"data/share/both/first.txt": "1\n", "scripts/tool": "#!python\nprint()\n", "headers/first.h": "\n"},
)
SECOND = Wheel(
    "second", files={"space/both/b.py": "y = 1\n"}, data={"data/share/both/second.txt": "2\n"}
)

WAIT_FOR_WORKERS = """
import wrapt
@wrapt.when_imported("pipfast.store.workers")
def patch(module):
    module.Workers.withdraw = lambda self, job: False
"""
"""Otherwise pip's own thread is done with two small wheels before a worker has started."""

REFUSING = """
import wrapt
@wrapt.when_imported("pipfast.install.arranged")
def patch(module):
    stock = module.os.rename
    class OS:
        def __getattr__(self, name):
            return getattr(os, name)
        def rename(self, source, target):
            if "both" in str(target):
                raise OSError(18, "Invalid cross-device link", target)
            stock(source, target)
    import os
    module.os = OS()
"""


@pytest.fixture
def spaces() -> Iterator[Index]:
    with serving() as server:
        index = server.index()
        index.add(FIRST.build())
        index.add(SECOND.build())
        yield index


def install_again(box: Box, spaces: Index) -> list[bool]:
    """Install from the filled store; tell of each wheel whether it was moved."""
    timings = box.root / "timings"
    ended = box.pipfast("install", *spaces.args, "first", PIPFAST_TIMINGS=str(timings))
    assert (ended.status, ended.err) == (0, "")
    lines = [json.loads(line) for line in timings.read_text(encoding="utf-8").splitlines()]
    return [line["moved"] for line in lines if line["phase"] == "place"]


def looks(box: Box) -> dict[str, tuple[int, object]]:
    """Return what an environment looks like: modes, and contents where times are not in them."""
    return {path: (entry.mode, path.endswith(".pyc") or entry.content)
            for path, entry in picture(box.root / "venv").items()}


def test_moved_wheels_are_as_pip_installs_them(box: Box, spaces: Index) -> None:
    """Two of one namespace; the tree is stock pip's, and nothing is left aside or after uninstalling."""
    add_shim(box, WAIT_FOR_WORKERS)
    assert box.pip("install", *spaces.args, "first").status == 0
    expected = looks(box)
    assert box.pip("uninstall", "-y", "first", "second").status == 0
    emptied = looks(box)
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    assert install_again(box, spaces) == [True, True]
    assert looks(box) == expected
    assert box.leftovers() == []
    assert box.pip("uninstall", "-y", "first", "second").status == 0
    assert looks(box) == emptied


def test_what_cannot_be_moved_is_placed(box: Box, spaces: Index) -> None:
    """Half of a wheel is moved when the environment turns out to be on another filesystem."""
    assert box.pipfast("install", *spaces.args, "first").status == 0
    expected = picture(box.site_packages)
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    add_shim(box, WAIT_FOR_WORKERS + REFUSING)
    assert install_again(box, spaces) == [False, False]
    found = picture(box.site_packages)
    assert {path: found[path].content for path in expected} == {
        path: entry.content for path, entry in expected.items()}
    assert box.leftovers() == []


def test_nothing_is_left_where_the_resolver_finds_no_solution(box: Box, spaces: Index) -> None:
    """What was linked aside for an installation that fails goes away with it."""
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    assert box.pipfast("install", *spaces.args, "first", "missing").status == 1
    assert box.leftovers() == []
    assert not list(box.site_packages.glob("*.dist-info"))
