"""Isolated build environments come from the store, and are each build's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from support.index import serving
from support.pips import PIP
from support.sources import archive, seeing
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index, Server
    from support.program import Box

_VARYING = re.compile(r"size=\d+ sha256=\w+|/ephem-wheel-cache-\w+|/wheels/[\w/]+")
"""What differs between two runs of pip alone."""

_OWN = "import os, helper\nassert os.stat(helper.__file__).st_nlink == 1\n"


_SPOILING = (
    "import os, helper\n"
    "with open(helper.__file__, 'a', encoding='utf-8') as stream:\n"
    "    stream.write(\"__version__ += '!'\\n\")\n"
    "import importlib; importlib.reload(helper)\n"
)
"""A build that edits what it is built with."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server of the test's own: it knows what it was asked for."""
    with serving() as server:
        yield server


@pytest.fixture
def tools(server: Server) -> Index:
    """Serve sources that need a helper for their builds, and two versions of that."""
    index = server.index()
    helpers = [
        Wheel("helper", version, files={"helper.py": f"__version__ = {version!r}\n"}).build()
        for version in ("1.0", "2.0")
    ]
    index.add(
        *helpers,
        *(archive(name, build_requires=["helper"], scripts={"wheel": seeing("helper", name)})
          for name in ("first", "second")),
        *(archive(name, build_requires=["helper"], scripts={"metadata": _SPOILING + seeing("helper", name)})
          for name in ("spoils", "spoils-too")),
        archive("careful", build_requires=["helper"], scripts={"wheel": _OWN}),
        archive("hopeless", build_requires=["helper>2"], scripts={}),
    )
    return index


def test_result_and_output_are_pip_s(box: Box, tools: Index) -> None:
    """pip's lines, in pip's order, and the same wheels; nothing is left of the environments."""
    outputs = []
    for run, folder in ((box.pip, "pips"), (box.pipfast, "ours")):
        ended = run("wheel", *tools.args, "--cache-dir", f"{folder}-cache", "-w", folder, "first", "second")
        assert ended.status == 0, ended.err
        outputs.append(_VARYING.sub("", ended.out).replace(folder, "folder"))
    assert outputs[0] == outputs[1]
    assert box.leftovers() == []


def test_verbose_run_shows_the_child_s_output(box: Box, tools: Index) -> None:
    """With ``-v`` what installs the requirements of a build is heard, and it is pip alone."""
    ended = box.pipfast("wheel", "-v", *tools.args, "first")
    assert ended.status == 0, ended.err
    assert "Collecting helper" in ended.out + ended.err
    assert "helper-2.0" not in box.pipfast("store", "list").out


@pytest.mark.parametrize("mode", ["auto", "hardlink"])
def test_environment_is_made_of_the_builds_own_files(box: Box, tools: Index, mode: str) -> None:
    """What is needed to build is copied from the store, whatever the link mode, and there for the next run."""
    ended = box.pipfast("install", *tools.args, "careful", PIPFAST_LINK_MODE=mode)
    assert ended.status == 0, ended.err
    assert "helper-2.0-py3-none-any.whl" in box.pipfast("store", "list").out
    assert box.installed() == ["careful", "careful-1.0.dist-info"]


@pytest.mark.once
def test_what_a_build_edits_reaches_no_environment_and_no_store(box: Box, tools: Index) -> None:
    """The user has installed the very files that a build edits: what it edits is its own."""
    assert box.pipfast("install", *tools.args, "helper", PIPFAST_LINK_MODE="hardlink").status == 0
    before = (box.site_packages / "helper.py").read_bytes()
    ended = box.pipfast("install", *tools.args, "spoils", PIPFAST_LINK_MODE="hardlink")
    assert (ended.status, ended.err) == (0, "")
    assert (box.site_packages / "spoils" / "seen.txt").read_text(encoding="utf-8") == "2.0!"
    assert (box.site_packages / "helper.py").read_bytes() == before
    assert [path.read_bytes() for path in box.store.glob("trees-v*/*/*/tree/helper.py")] == [before]


@pytest.mark.once
def test_what_one_build_spoils_another_does_not_see(box: Box, tools: Index) -> None:
    """An environment that a build has changed is not handed to the next."""
    ended = box.pipfast("install", *tools.args, "spoils", "spoils-too")
    assert ended.status == 0, ended.err
    for package in ("spoils", "spoils-too"):
        assert (box.site_packages / package / "seen.txt").read_text(encoding="utf-8") == "2.0!"
    assert box.leftovers() == []


def test_equal_environment_is_made_once(box: Box, tools: Index, server: Server) -> None:
    """The second build with the same requirements asks the index for nothing, where pip can be told so."""
    ended = box.pipfast("install", *tools.args, "first", "second")
    assert ended.status == 0, ended.err
    pages = [request for request in server.requests() if request.path.endswith("/simple/helper/")]
    assert len(pages) == (1 if Version("25.2") <= PIP else 2)


def test_build_constraint_holds(box: Box, tools: Index) -> None:
    """What is built with is what the user's constraints allow."""
    (box.work / "tight.txt").write_text("helper<2\n", encoding="utf-8")
    ended = box.pipfast("install", *tools.args, "first",
                        PIP_CONSTRAINT="tight.txt", PIP_BUILD_CONSTRAINT="tight.txt")
    assert ended.status == 0, ended.err
    assert (box.site_packages / "first" / "seen.txt").read_text(encoding="utf-8") == "1.0"


def test_failure_is_pip_s(box: Box, tools: Index) -> None:
    """What cannot be found for a build is told in pip's words."""
    pip, ours = (run("install", *tools.args, "hopeless") for run in (box.pip, box.pipfast))
    assert ours.status == pip.status == 1
    assert ours.err == pip.err
    assert ours.out == pip.out
    assert box.leftovers() == []
