"""Builds on a terminal: the line while they run, and the line in the end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.pips import since
from support.sources import archive
from support.terminal import on_terminal

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


def shown(box: Box, module: str, *arguments: str, term: str) -> tuple[int, list[str], str]:
    """Run a command on a terminal; return its status, the lines of its steps in the end, and all that it wrote."""
    steps = re.compile(r" *(?:Building wheel|Preparing|Getting|error|ERROR)")
    with on_terminal(box, module, *arguments, variables={"TERM": term, "NO_COLOR": "1"}) as session:
        status = session.end()
    lines = session.screen.text().splitlines()
    return status, [line for line in lines if steps.match(line)], session.written


NEWEST = since("26.3", "once is enough")


@pytest.mark.once
@pytest.mark.parametrize(("names", "term"), [
    (["slow"], "xterm"), pytest.param(["slow", "other"], "dumb", marks=NEWEST),
    pytest.param(["torn"], "xterm", marks=NEWEST),
], ids=str)
def test_what_how_long_and_the_last_line(box: Box, index: Index, names: list[str], term: str) -> None:
    """While it runs; in the end it is what pip leaves there."""
    arguments = ["wheel", *index.args, "--no-cache-dir", "-w", "wheels", *names]
    theirs, ours = (shown(box, module, *arguments, term=term) for module in ("pip", "pipfast"))
    assert theirs[0] == ours[0] == (1 if names == ["torn"] else 0)
    assert ours[1] == theirs[1]
    assert re.search(r"\(pyproject\.toml\) \.\.\. [^\n]*0:0[2-4] compiling 3 of 9", ours[2])
    assert "0:02" not in theirs[2]


@pytest.mark.once
def test_nothing_is_added_where_there_is_no_terminal(box: Box, index: Index) -> None:
    ended = box.pipfast("wheel", *index.args, "-w", "wheels", "slow")
    assert ended.status == 0
    assert "compiling" not in ended.out + ended.err
