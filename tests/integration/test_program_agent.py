"""User agent: the same as pip's, and asked for once."""

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


DISTRIBUTIONS = {
    "an answer": "print('Distributor ID:\\tCeres\\nRelease:\\t9.1\\nCodename:\\tpiazzi')",
    "a failure": "print('Distributor ID:\\tCeres\\nRelease:\\t9.1'); sys.exit(3)",
    "prose": "print('no idea'); print('of that', file=sys.stderr)",
    "nothing": "",
}


def with_rustc(box: Box, script: str, name: str = "rustc") -> dict[str, str]:
    """Return variables for a ``rustc`` that notes each of its calls, or another program."""
    folder = box.root / "bin"
    folder.mkdir()
    program = folder / name
    noted = box.root / "calls"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"open({str(noted)!r}, 'a', encoding='utf-8').write(' '.join(sys.argv[1:]) + '\\n')\n{script}\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def noted(box: Box) -> str:
    path = box.root / "calls"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def told(server: Server) -> set[str]:
    agents = {request.headers["user-agent"] for request in server.requests()}
    server.rewind()
    return agents


ALL = [("rustc", script) for script in ANSWERS.values()]
ALL += [(name, script) for script in DISTRIBUTIONS.values() for name in ("lsb_release", "uname")]
IDS = [*ANSWERS, *(f"{name}-{what}" for what in DISTRIBUTIONS for name in ("lsb_release", "uname"))]


@pytest.mark.parametrize(("name", "script"), ALL, ids=IDS)
def test_servers_are_told_what_pip_tells_them(box: Box, server: Server, name: str, script: str) -> None:
    """Whatever becomes of the process; it is started once, and nothing of it is left."""
    if name == "uname" and "exit" in script:
        pytest.skip("pip fails")
    variables = with_rustc(box, script, name)
    arguments = ["download", "--no-cache-dir", "--index-url", f"{server.url}/a/simple/", "alpha"]
    assert box.pip(*arguments, **variables).status == 0
    expected = told(server)
    calls = noted(box)
    ended = box.pipfast(*arguments, **variables)
    assert (ended.status, ended.err) == (0, "")
    assert told(server) == expected
    assert len(expected) == 1
    assert noted(box) == calls * 2


@pytest.mark.parametrize("arguments", [["install", "--help"], ["install", "--nonsense"]], ids=" ".join)
def test_a_command_without_a_session_does_not_wait(box: Box, arguments: list[str]) -> None:
    variables = with_rustc(box, ANSWERS["never"])
    stock, ended = box.pip(*arguments, **variables), box.pipfast(*arguments, **variables)
    assert (ended.status, ended.err.replace("pipfast", "pip")) == (stock.status, stock.err)


def test_without_rust_nothing_is_asked(box: Box, server: Server) -> None:
    arguments = ["download", "--no-cache-dir", "--index-url", f"{server.url}/a/simple/", "alpha"]
    assert box.pipfast(*arguments, PATH=str(box.root)).status == 0
    assert all("rustc" not in agent for agent in told(server))
