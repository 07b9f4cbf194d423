"""One command in the places of a twin, and what it leaves there."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from support.environments import Places

TIMEOUT_S = 120.0
"""Seconds one command may take: none takes more than a few on an idle machine."""

CHILD_GRACE_S = 2.0
"""Seconds for processes that end by themselves when their parent has, such as a resource tracker."""

MARKER = "TWIN_RUN"
"""Variable by which the processes of a command are known."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one command did."""

    code: int
    stdout: str
    stderr: str
    left_in_tmp: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    """The command lines of processes that outlived it."""


def base_environ(places: Places) -> dict[str, str]:
    """Return the whole environment of a run: nothing is inherited."""
    git = shutil.which("git") or "/usr/bin/git"
    return {
        "PATH": os.pathsep.join(dict.fromkeys([str(Path(git).parent), "/usr/bin", "/bin"])),
        "HOME": str(places.home),
        "XDG_CONFIG_HOME": str(places.home / ".config"),
        "XDG_CONFIG_DIRS": str(places.base / "no-config"),
        "XDG_CACHE_HOME": str(places.home / ".cache"),
        "TMPDIR": str(places.tmp),
        "LC_ALL": "C.UTF-8",
        # Nothing but the server on loopback is to be asked; without an index pip would ask the public one.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        # Usage lines are wrapped, and ``pipfast`` is longer than ``pip``.
        "COLUMNS": "300",
        # pip prints some sets as they come.
        "PYTHONHASHSEED": "0",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CACHE_DIR": str(places.cache),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIPFAST_STORE": str(places.store),
    }


def run(command: Sequence[str], places: Places, environ: Mapping[str, str], umask: int = -1) -> Result:
    """Run a command in ``places.work`` and return what it did.

    An empty value in ``environ`` takes the variable away.
    """
    variables, token = marked(environ)
    others = running()
    process = subprocess.Popen(
        command,
        cwd=places.work,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        umask=umask,
    )
    try:
        outputs = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        outputs = process.communicate()
    return finished(process.returncode, outputs, places, token, process.pid, others)


def marked(environ: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """Return the variables that have a value, with one that marks a command's processes; and that one alone.

    Each command gets a value of its own, unless it has one: with that, no question is ever asked again.
    """
    token = environ.get(MARKER) or uuid.uuid4().hex
    variables = {name: value for name, value in environ.items() if value}
    return variables | {MARKER: token}, f"{MARKER}={token}".encode()


def running() -> frozenset[str]:
    """Return the identifiers of all processes there are."""
    return frozenset(path.name for path in Path("/proc").iterdir() if path.name.isdigit())


def finished(
    code: int, outputs: Iterable[bytes], places: Places, marker: bytes, session: int, others: frozenset[str]
) -> Result:
    """Return what an ended command did and left.

    :param session: its process was the leader of that session.
    :param others: the processes there were before.
    """
    children = _left_running(marker, session, others)
    left = tuple(sorted(path.name for path in places.tmp.iterdir()))
    stdout, stderr = (output.decode("utf-8", "backslashreplace") for output in outputs)
    return Result(code, stdout, stderr, left, children)


def _left_running(marker: bytes, session: int, others: frozenset[str]) -> tuple[str, ...]:
    deadline = time.monotonic() + CHILD_GRACE_S
    while (found := _of_the_run(marker, session, others)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def _of_the_run(marker: bytes, session: int, others: frozenset[str]) -> tuple[str, ...]:
    """Return the command lines of the processes in the session, or with the marker in their environment.

    A fork has its parent's environment there; a process that leads a session of its own has the marker.
    """
    found = []
    for process in running() - others:
        environ = Path("/proc", process, "environ")
        with suppress(OSError):
            if marker in environ.read_bytes().split(b"\0") or _session(environ.with_name("stat")) == session:
                found.append(os.fsdecode(environ.with_name("cmdline").read_bytes().replace(b"\0", b" ")))
    return tuple(found)


def _session(stat: Path) -> int:
    """Return the session of a running process; 0 of one that has ended (proc_pid_stat(5))."""
    state, _, _, session = stat.read_bytes().rpartition(b")")[2].split()[:4]
    return 0 if state in b"ZX" else int(session)
