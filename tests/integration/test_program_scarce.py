"""Commands where descriptors, threads, processes or memory are scarce end as pip's do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.index import Manners, serving
from support.pips import since
from support.program import add_shim
from support.sources import archive, backend, built_with
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index
    from support.program import Box, Ended

pytestmark = [pytest.mark.many, pytest.mark.once, since("25.2", "it builds nothing ahead")]

UNLIMITED = """
import wrapt
@wrapt.when_imported("pipfast.system.limits")
def overlook(module):
    module.narrowed = lambda settings: settings
"""
"""The limit is met where something is asked for, not seen before."""

THREADS = """
import threading
alive = [0]
def limited(start):
    def starting(function, *more, **further):
        if alive[0] >= {most}:
            raise RuntimeError("can't start new thread")
        alive[0] += 1
        def counted(*arguments):
            try:
                return function(*arguments)
            finally:
                alive[0] -= 1
        return start(counted, *more, **further)
    return starting
for name in ("_start_new_thread", "_start_joinable_thread"):
    if hasattr(threading, name):
        setattr(threading, name, limited(getattr(threading, name)))
"""

PROCESSES = """
import contextlib, os, subprocess
def limited(start):
    def starting(*arguments, **further):
        with open(f"/proc/self/task/{{os.getpid()}}/children") as file:
            others = len(file.read().split())
        for task in os.listdir("/proc/self/task"):
            if int(task) != os.getpid():
                # A thread may have ended since.
                with contextlib.suppress(OSError), open(f"/proc/self/task/{{task}}/children") as file:
                    others += len(file.read().split())
        if others >= {most}:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return start(*arguments, **further)
    return starting
for module, name in (
    (os, "fork"), (subprocess, "_fork_exec"), (getattr(subprocess, "_posixsubprocess", os), "fork_exec"),
):
    if hasattr(module, name):
        setattr(module, name, limited(getattr(module, name)))
"""

LIMIT = """
import resource
resource.setrlimit(resource.{name}, ({most}, resource.getrlimit(resource.{name})[1]))
"""

SCARCE = {
    "no thread": UNLIMITED + THREADS.format(most=1),
    "few threads": UNLIMITED + THREADS.format(most=3),
    "one process": UNLIMITED + PROCESSES.format(most=1),
    "two processes": UNLIMITED + PROCESSES.format(most=2),
    "16 descriptors": LIMIT.format(name="RLIMIT_NOFILE", most=16),
    "20 descriptors": LIMIT.format(name="RLIMIT_NOFILE", most=20),
    "24 descriptors, unseen": UNLIMITED + LIMIT.format(name="RLIMIT_NOFILE", most=24),
    "64 descriptors": LIMIT.format(name="RLIMIT_NOFILE", most=64),
    "250 MB": LIMIT.format(name="RLIMIT_AS", most=250_000 << 10),
}

PHASES = {
    "download": ["download", "top"],
    "install": ["install", "top"],
    "metadata": ["install", "--dry-run", "top"],
    "builds": ["install", "one", "two"],
}


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    """Serve wheels of which one is large enough for ranges and bars, without metadata files, and sources."""
    leaves = [f"leaf{number}" for number in range(8)]
    with serving() as server:
        index = server.index(manners=Manners(core_metadata=False))
        large: dict[str, str | bytes] = {"leaf0/data.bin": os.urandom(9 << 20), "leaf0/__init__.py": ""}
        index.add(
            backend(), *(Wheel(name, files=large if name == "leaf0" else None).build() for name in leaves),
            Wheel("top", requires=leaves).build(),
            built_with("maker", "one", scripts={}), archive("two", scripts={}),
        )
        yield index


def tree(box: Box) -> list[str]:
    """Return what is installed, and what was downloaded."""
    folders = (box.site_packages, box.work)
    return sorted(
        str(path.relative_to(folder)) for folder in folders for path in folder.rglob("*")
        if not path.relative_to(folder).parts[0].startswith(("shim", "running", "__pycache__"))
    )


def run(box: Box, program: str, *arguments: str, **variables: str) -> tuple[int, list[str], str]:
    """Run a command; what it has installed and downloaded is removed afterwards."""
    before = set(box.installed())
    variables = {"PIP_CACHE_DIR": str(box.root / f"cache-{program}"), "PIPFAST_BUILDS": "2", **variables}
    ended: Ended = box.run("-m", program, *arguments, **variables)
    found = tree(box)
    names = {name.partition("-")[0] for name in set(box.installed()) - before}
    if names:
        add_shim(box, "")
        box.pip("uninstall", "-y", *names)
    for path in box.work.iterdir():
        path.unlink()
    assert box.leftovers() == []
    return ended.status, found, ended.err


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("scarce", SCARCE)
def test_scarce(box: Box, index: Index, scarce: str, phase: str) -> None:
    """Exit code, files and standard error are those of stock pip under the same limit: it succeeds."""
    command, *names = PHASES[phase]
    ends = {}
    for program in ("pip", "pipfast"):
        add_shim(box, SCARCE[scarce])
        ends[program] = run(box, program, command, *index.args, *names)
    assert ends["pip"][0] == 0, ends["pip"]
    assert ends["pipfast"] == ends["pip"]
    assert box.broken_entries() == []
