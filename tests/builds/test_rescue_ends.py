"""Rescues that cannot go on end with pip's own error and exit code."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.sources import archive, backend, built_with, torch
from support.wheels import Wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support.index import Index
    from support.program import Box, Ended


def errors(ended: Ended) -> str:
    """Return what pip says on standard error, without what is ours below and above it."""
    lines = [line for line in ended.err.splitlines() if not line.startswith(("pipfast:", "hint:", "  pip:"))]
    return re.sub(r"(pip-[a-z-]+-|\btmp|/[a-z]+_)\w+", r"\1", "\n".join(lines))


def as_pip(box: Box, index: Index, *arguments: str, **variables: str) -> Ended:
    """Fail as pip does: exit code, standard output and error; nothing lies about."""
    pip = box.pip("install", *index.args, *arguments, PIP_CACHE_DIR=str(box.root / "pips"))
    ended = box.pipfast("install", *index.args, *arguments, **variables)
    assert ended.status == pip.status == 1
    assert errors(ended) == errors(pip)
    assert box.leftovers() == []
    return ended


def test_what_the_backend_asks_for_is_on_no_index(box: Box, index: Index) -> None:
    """The first failure is pip's own error; what was not to be had stands below it."""
    index.add(archive("asking", scripts={"requires": "import torch\n"}, dynamic_requires=["nobody-has-this"]))
    ended = as_pip(box, index, "torch", "asking")
    assert "asking cannot be built without isolation" in ended.err
    assert "nobody-has-this" in ended.err.rpartition("asking cannot be built without isolation")[2]


def test_what_was_there_the_last_time_is_on_no_index_any_more(box: Box, index: Index, tmp_path: Path) -> None:
    """A build that begins as a rescue, and cannot go on, is begun anew by pip."""
    asking = built_with("maker", "losing", scripts={"requires": "import torch\n"}, dynamic_requires=["once"])
    maker = backend()
    index.add(maker, asking, Wheel("once", "1.0", files={"once.py": ""}).build())
    assert box.pipfast("install", "--no-deps", *index.args, "torch==1.0", "losing").status == 0
    with serving() as server:
        later = server.index()
        later.add(torch("1.0"), maker, asking)
        for kept in box.store.glob("built-v*"):
            kept.rename(tmp_path / "gone")
        ended = as_pip(box, later, "--force-reinstall", "torch", "losing", PIP_CACHE_DIR=str(tmp_path / "cache"))
    assert "losing cannot be built without isolation" in ended.err


@pytest.mark.once
@pytest.mark.parametrize("line", [
    '{"pid": "x", "sought": ["torch"]}', '{"errors": 5}',
])
def test_build_that_writes_what_it_likes_into_its_record(box: Box, index: Index, line: str) -> None:
    """The record is a stranger's: what cannot be read says nothing."""
    index.add(archive("scribe", scripts={"requires": (
        "import os, sys\n"
        "path = os.environ.get('PIPFAST_BUILD_RECORD')\n"
        "if path:\n"
        f"    open(path, 'w').write('''{line}\\n''')\n"
        "print('sorry')\n"
        "sys.stdout.flush()\n"
        "os._exit(3)\n"
    )}))
    as_pip(box, index, "torch", "scribe")


@pytest.mark.once
def test_wheel_of_an_earlier_build_that_cannot_be_read(box: Box, index: Index) -> None:
    """It is built again."""
    arguments = ("install", *index.args, "--no-deps", "--force-reinstall", "torch==1.0", "needy")
    assert box.pipfast(*arguments).status == 0
    for note in box.store.glob("archives-v*/*/*/note.json"):
        if "needy" in note.read_text(encoding="utf-8") and ".whl" in note.read_text(encoding="utf-8"):
            path = note.with_name("bytes")
            before = path.stat()
            path.chmod(0o644)
            path.write_bytes(b"x" * before.st_size)
            path.chmod(before.st_mode)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    ended = box.pipfast(*arguments)
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err


@pytest.mark.once
def test_store_that_cannot_be_written(box: Box, index: Index) -> None:
    """What is learnt of a build that succeeded never fails it."""
    box.store.mkdir()
    for name in ("learnt-v0", "built-v0"):
        (box.store / name).write_text("no folder", encoding="utf-8")
    ended = box.pipfast("install", *index.args, "torch==1.0", "needy")
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err
