"""What servers are told of the machine: the same as by pip, and asked for once."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Server
    from support.program import Box

ANSWERS = {
    "an answer": "print('rustc 1.52.1 (9bc8c42bb 2021-05-09)')",
    "a failure": "print('rustc 1.52.1 (9bc8c42bb 2021-05-09)'); sys.exit(3)",
    "prose": "print('no toolchain')",
    "to standard error": "print('rustc 1.99.0 (x)', file=sys.stderr)",
    "never": "import time; time.sleep(60)",
}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.index().add(Wheel("alpha").build())
        yield server


def with_rustc(box: Box, script: str) -> dict[str, str]:
    """Return variables for a ``rustc`` that notes each of its calls."""
    folder = box.root / "bin"
    folder.mkdir()
    rustc = folder / "rustc"
    noted = box.root / "calls"
    rustc.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"open({str(noted)!r}, 'a', encoding='utf-8').write(' '.join(sys.argv[1:]) + '\\n')\n{script}\n",
        encoding="utf-8",
    )
    rustc.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def told(server: Server) -> set[str]:
    agents = {request.headers["user-agent"] for request in server.requests()}
    server.rewind()
    return agents


@pytest.mark.parametrize("script", ANSWERS.values(), ids=ANSWERS)
def test_servers_are_told_what_pip_tells_them(box: Box, server: Server, script: str) -> None:
    """Whatever becomes of the process; it is started once, and nothing of it is left."""
    variables = with_rustc(box, script)
    arguments = ["download", "--no-cache-dir", "--index-url", f"{server.url}/a/simple/", "alpha"]
    assert box.pip(*arguments, **variables).status == 0
    expected = told(server)
    calls = (box.root / "calls").read_text(encoding="utf-8")
    ended = box.pipfast(*arguments, **variables)
    assert (ended.status, ended.err) == (0, "")
    assert told(server) == expected
    assert len(expected) == 1
    assert (box.root / "calls").read_text(encoding="utf-8") == calls * 2


@pytest.mark.parametrize("arguments", [["install", "--help"], ["install", "--nonsense"]], ids=" ".join)
def test_a_command_without_a_session_does_not_wait(box: Box, arguments: list[str]) -> None:
    variables = with_rustc(box, ANSWERS["never"])
    stock, ended = box.pip(*arguments, **variables), box.pipfast(*arguments, **variables)
    assert (ended.status, ended.err.replace("pipfast", "pip")) == (stock.status, stock.err)


def test_without_rust_nothing_is_asked(box: Box, server: Server) -> None:
    arguments = ["download", "--no-cache-dir", "--index-url", f"{server.url}/a/simple/", "alpha"]
    assert box.pipfast(*arguments, PATH=str(box.root)).status == 0
    assert all("rustc" not in agent for agent in told(server))
