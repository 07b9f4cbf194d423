"""Downloads on a terminal: while they run, after resizing, and in the end."""

from __future__ import annotations

import random
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.index import Manners, serving
from support.terminal import on_terminal
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.conftest import EndlessServer
    from support.index import Index
    from support.program import Box

pytestmark = pytest.mark.many

BAR = "[━╸╺]"


@pytest.mark.once
def test_rows_fit_when_the_terminal_is_resized_and_go_on_ctrl_c(box: Box, endless: EndlessServer) -> None:
    """Name, bar, size, rate and time left at every width; nothing of it after an interruption."""
    with on_terminal(box, "pipfast", "download", "-i", endless.url, "endless", width=100) as session:
        session.until(rf"endless 1\.0 .*{BAR}.* 1\.0/8\.4 MB .*B/s.* eta .*:")
        for width, row in ((140, r"endless 1\.0 "), (60, r"endless 1\.0 "), (40, "end… ")):
            session.resize(width)
            session.until(rf"\x1b\[J *{row}[^\r]*{BAR}[^\r]* 1\.0/8\.4 MB [^\r]*B/s[^\r]*:..\r", times=2)
        assert not session.screen.too_wide
        session.process.send_signal(signal.SIGINT)
        assert session.end() == 1
    assert "━" not in session.screen.text()
    assert session.screen.text().endswith("ERROR: Operation cancelled by user")
    assert session.written.rindex("\x1b[?25h") > session.written.rindex("B/s")


@pytest.fixture
def poor() -> Iterator[Index]:
    """Serve what ``_serving`` does without metadata files: pip fetches one file after another."""
    with _serving(Manners(core_metadata=False, validators=False)) as index:
        yield index


@pytest.fixture
def rich() -> Iterator[Index]:
    """Serve it with metadata files: pip fetches all files in the end."""
    with _serving(Manners(validators=False)) as index:
        yield index


@contextmanager
def _serving(manners: Manners) -> Iterator[Index]:
    """Serve two files of a size that pip draws a bar for; pip's cache keeps neither."""
    with serving() as server:
        noise = {"noise.bin": random.Random(1).randbytes(2_500_000)}
        server.delay("a/files/first-1.0-py3-none-any.whl", 0.3)
        wheels = [Wheel(name, files=noise).build() for name in ("first", "second")]
        yield server.index(manners=manners).add(*wheels)


@pytest.mark.once
@pytest.mark.parametrize(("manners", "variables"), [
    ("poor", {}), ("rich", {}), ("rich", {"TERM": "dumb"}), ("rich", {"NO_COLOR": "1"}),
], ids=str)
def test_what_stands_there_in_the_end_is_what_pip_leaves(
    box: Box, manners: str, variables: dict[str, str], request: pytest.FixtureRequest
) -> None:
    """Line by line, but for the rates; the same for files that come out of the store."""
    index: Index = request.getfixturevalue(manners)
    ends: list[list[str]] = []
    for module in ("pip", "pipfast", "pipfast"):
        folder = f"wheels{len(ends)}"
        command = ("download", *index.args, "-d", folder, "first", "second")
        with on_terminal(box, module, *command, variables=variables) as session:
            assert session.end() == 0
        lines = session.screen.text().replace(folder, "wheels").splitlines()
        ends.append([line.partition(" MB ")[0] if "━" in line else line for line in lines])
        rates = [line.partition(" MB ")[2].split()[0] for line in lines if "━" in line]
        assert len(rates) == 2
        if len(ends) == 3:
            # Nothing was transferred.
            assert rates == ["?", "?"]
    assert ends[0] == ends[1] == ends[2]


@pytest.mark.once
@pytest.mark.parametrize("option", ["-q", "--progress-bar=off"])
def test_no_bar_where_none_is_wanted(box: Box, poor: Index, option: str) -> None:
    with on_terminal(box, "pipfast", "download", *poor.args, option, "first") as session:
        assert session.end() == 0
    assert "━" not in session.written and "MB/s" not in session.written
