"""Builds on a terminal: what stands there while they run, and what stands there in the end."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.pips import since
from support.sources import archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index
    from support.program import Box

LONG = """
import time
print("compiling \\x1b[31m3\\x1b[0m of 9", flush=True)
time.sleep(3)
"""


@pytest.fixture
def index() -> Iterator[Index]:
    with serving() as server:
        index = server.index()
        index.add(archive("slow", scripts={"wheel": LONG}), archive("other", scripts={"wheel": LONG}),
                  archive("torn", scripts={"wheel": LONG + "raise SystemExit('no way')"}))
        yield index


def shown(box: Box, module: str, *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal; return its status and all that it wrote there."""
    master, slave = pty.openpty()
    environ = box.environ(COLUMNS="80", TERM="dumb", NO_COLOR="1")
    with os.fdopen(slave, "wb") as terminal:
        process = subprocess.Popen(
            [str(box.python), "-m", module, *arguments], cwd=box.work, env=environ,
            stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal,
        )
    written = b""
    with os.fdopen(master, "rb", buffering=0) as stream:
        try:
            while block := stream.read(1 << 16):
                written += block
        except OSError:
            # Linux' way to say that nobody has the terminal open any more.
            pass
    return process.wait(), written.decode("utf-8", "replace").replace("\r\n", "\n")


def rendered(written: str) -> list[str]:
    """Return the lines that stand on a terminal in the end."""
    lines, column = [""], 0
    for character in re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", written):
        if character == "\n":
            lines.append("")
            column = 0
        elif character == "\b":
            column = max(column - 1, 0)
        elif character == "\r":
            column = 0
        else:
            lines[-1] = lines[-1][:column].ljust(column) + character + lines[-1][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def of_builds(written: str) -> list[str]:
    steps = re.compile(r" *(?:Building wheel|Preparing|Getting|error|ERROR)")
    return [line for line in rendered(written) if steps.match(line)]


NEWEST = since("26.3", "once is enough")


@pytest.mark.once
@pytest.mark.parametrize("names", [
    ["slow"], pytest.param(["slow", "other"], marks=NEWEST), pytest.param(["torn"], marks=NEWEST),
], ids=" ".join)
def test_what_how_long_and_the_last_line(box: Box, index: Index, names: list[str]) -> None:
    """While it runs; in the end it is what pip leaves there."""
    arguments = ["wheel", *index.args, "--no-cache-dir", "-w", "wheels", *names]
    theirs, ours = shown(box, "pip", *arguments), shown(box, "pipfast", *arguments)
    assert theirs[0] == ours[0] == (1 if names == ["torn"] else 0)
    assert of_builds(ours[1]) == of_builds(theirs[1])
    assert re.search(r"\(pyproject\.toml\) \.\.\. [^\n]*0:0[2-4] compiling 3 of 9", ours[1])
    assert "0:02" not in theirs[1]


@pytest.mark.once
def test_nothing_is_added_where_there_is_no_terminal(box: Box, index: Index) -> None:
    ended = box.pipfast("wheel", *index.args, "-w", "wheels", "slow")
    assert ended.status == 0
    assert "compiling" not in ended.out + ended.err
