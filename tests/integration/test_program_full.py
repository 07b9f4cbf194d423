"""A store, or a temporary folder, on a full filesystem."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.index import Manners, serving
from support.sources import archive
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box

pytestmark = [pytest.mark.many, pytest.mark.once]

_VARYING = re.compile(
    r"[\d.]+ [kMG]?B/s|\d+:\d\d:\d\d|size=\d+ sha256=\w+|/tmp\S+|^  Stored in directory: .*\n", re.M
)
"""What differs between two runs of pip alone."""


@contextmanager
def small(folder: Path, size: str = "1m") -> Iterator[None]:
    """Have a folder on a small filesystem within the block."""
    folder.mkdir(exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a filesystem")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module", params=[True, False], ids=["metadata", "no metadata"])
def index(request: pytest.FixtureRequest) -> Iterator[Index]:
    """Serve a wheel and a source that are larger than that."""
    with serving() as server:
        index = server.index(manners=Manners(core_metadata=request.param))
        index.add(
            Wheel("large", files={"large/data.bin": os.urandom(3_100_000), "large/__init__.py": ""}).build(),
            archive("source", scripts={}),
        )
        yield index


def ends(box: Box, program: str, *arguments: str) -> tuple[int, str, list[str]]:
    """Return exit code, standard output and what was installed; that is removed."""
    ended = box.run("-m", program, *arguments, PIP_CACHE_DIR=str(box.root / f"cache-{program}"))
    assert "Traceback" not in ended.err or program == "pip"
    found = sorted(str(path.relative_to(box.site_packages)) for path in box.site_packages.rglob("*")
                   if path.name not in ("shim.py", "running.pth"))
    box.pip("uninstall", "-y", "large", "source")
    for path in box.work.iterdir():
        path.unlink()
    return ended.status, _VARYING.sub("-", ended.out), found


COMMANDS = [["download", "large"], ["install", "large"], ["install", "source", "large"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_full_store(box: Box, index: Index, command: list[str]) -> None:
    """The result and the output are pip's, with its finished bar and no other; nothing is left."""
    arguments = [command[0], *index.args, *command[1:]]
    pip = ends(box, "pip", *arguments)
    with small(box.store):
        pipfast = ends(box, "pipfast", *arguments)
        assert box.leftovers() == []
        assert box.broken_entries() == []
    assert pipfast == pip
    assert pip[0] == 0
    assert pipfast[1].count("3.1 MB ") == pip[1].count("3.1 MB ")


@pytest.mark.parametrize("size", ["600k", "2m"], ids=["full before", "filled by the run"])
def test_full_store_has_one_line_a_day(box: Box, index: Index, size: str) -> None:
    """With a hint, at the end, and not for whoever wants to hear nothing."""
    command = ["install", *index.args, "--force-reinstall", "large"]
    with small(box.store, size):
        quiet, loud, again = (box.pipfast(*command, *each) for each in (["-q"], [], []))
    assert [each.status for each in (quiet, loud, again)] == [0, 0, 0]
    assert [each.err.count("pipfast: ") for each in (quiet, loud, again)] == [0, 1, 0], loud.err
    assert f"pipfast: the store {box.store} is on a filesystem that is full: what is not in it yet is not kept\n" \
        "hint: make room, or " in loud.err


def test_full_temporary_folder(box: Box, index: Index) -> None:
    """Where pip fails, nothing is installed, or all is; no half, and no bar that is not full."""
    with small(box.tmp):
        status, out, found = ends(box, "pipfast", "install", *index.args, "large")
        assert box.leftovers() == []
    assert "0.0/3.1 MB" not in out
    assert ("large/data.bin" in found) == (status == 0)
    assert any("RECORD" in name for name in found) == (status == 0)
