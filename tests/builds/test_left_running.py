"""Builds beside pip end with the command, and so does all that they have started."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.pips import since
from support.program import started_from, wait_until
from support.sources import archive, backend, built_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index
    from support.program import Box

pytestmark = [
    pytest.mark.many,
    pytest.mark.once, since("25.2", "it builds nothing ahead"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"),
]

COMPILER = "import os, sys, time; open(os.path.join(sys.argv[1], str(os.getpid())), 'w').close(); time.sleep(600)"

COMPILING = f"""
import os, subprocess, sys
if folder := os.environ.get("COMPILERS"):
    open(os.path.join(folder, str(os.getpid())), "w").close()
    subprocess.run([sys.executable, "-c", {COMPILER!r}, folder])
"""
"""A hook that waits for a process of its own; both note their ids."""

BUILDS = {
    # Forks of a host that has imported the backend.
    "hooks": (("first", "second"), 4),
    # Their backend is part of the source: a process for each hook.
    "in tree": (("third", "fourth"), 4),
    # pip itself builds the wheels, several at once.
    "wheels": (("fifth", "sixth"), 4),
    # What they need to be built is built, in the fork server's processes.
    "environments": (("seventh", "eighth"), 2),
}
"""Sources, and how many processes there are."""

ENDINGS = {
    "killed": lambda pid: os.kill(pid, signal.SIGKILL),
    "group killed": lambda pid: os.killpg(pid, signal.SIGKILL),
    "terminated": lambda pid: os.kill(pid, signal.SIGTERM),
    "closed terminal": lambda pid: os.killpg(pid, signal.SIGHUP),
    "interrupted": lambda pid: os.killpg(pid, signal.SIGINT),
}


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    """Serve sources whose builds do not end."""
    with serving() as server:
        index = server.index()
        stage = {"metadata": COMPILING}
        index.add(
            backend(), built_with("maker", "needed", scripts=stage),
            *(built_with("maker", name, scripts=stage) for name in ("first", "second")),
            *(archive(name, scripts=stage) for name in ("third", "fourth")),
            *(archive(name, scripts={"wheel": COMPILING}) for name in ("fifth", "sixth")),
            *(built_with("maker", name, scripts={}, build_requires=["needed"]) for name in ("seventh", "eighth")),
        )
        yield index


def alive(folder: Path) -> list[int]:
    """Return the processes of builds that run."""
    found = []
    for path in folder.iterdir():
        with suppress(OSError):
            stat = Path("/proc", path.name, "stat").read_text(encoding="utf-8")
            if stat.rpartition(")")[2].split()[0] not in ("Z", "X"):
                found.append(int(path.name))
    return found


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("build", BUILDS)
def test_nothing_is_left_running(box: Box, index: Index, build: str, ending: str) -> None:
    """Neither the hooks, nor what they have started, nor a server or guard of ours."""
    names, count = BUILDS[build]
    compilers = box.root / "compilers"
    compilers.mkdir()
    # The interpreter's path is what all of them have in common.
    arguments = ["-m", "pipfast", "install", *index.args, *names]
    # Under nohup it is ignored, by all that the tests start as well.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with box.started(*arguments, COMPILERS=str(compilers), PIPFAST_BUILDS="2") as process:
            wait_until(lambda: len(alive(compilers)) >= count, "the builds")
            ENDINGS[ending](process.pid)
            process.communicate(timeout=30)
            wait_until(lambda: not alive(compilers), "the end of the builds")
            wait_until(lambda: not started_from(box), "the end of all others")
    finally:
        signal.signal(signal.SIGHUP, before)
        for pid in alive(compilers):
            os.kill(pid, signal.SIGKILL)
