"""The program as a user starts it, in an environment, home and store of the test's own."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
import venv
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_NEEDED = ("pip", "pipfast", "pipfast_hooks", "wrapt")
"""What an environment of ``Box`` has to see of the running one; shims of tests use wrapt."""

_INHERITED = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")
"""All that a child gets of our own environment variables: no setting of pip's, no proxy."""

ENDING_S = 30.0
"""Seconds for something that ends by itself within one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Box:
    """A virtual environment that sees the running one's pip and pipfast, and folders of its own."""

    root: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """Return the environment's interpreter."""
        return self.root / "venv" / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Return where the environment's packages go."""
        return next((self.root / "venv" / "lib").glob("python*")) / "site-packages"

    @property
    def store(self) -> Path:
        """Return the store, which need not exist."""
        return self.root / "store"

    @property
    def tmp(self) -> Path:
        """Return what the program takes for the temporary folder."""
        return self.root / "tmp"

    @property
    def work(self) -> Path:
        """Return the current folder of all commands."""
        return self.root / "work"

    def environ(self, **more: str) -> dict[str, str]:
        """Return a command's environment variables; an empty value takes a variable away."""
        base = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        base |= {
            "HOME": str(self.root / "home"),
            # Without it the command ``pipfast`` is about the Python of the ``pip`` on PATH.
            "VIRTUAL_ENV": str(self.root / "venv"),
            "TMPDIR": str(self.tmp),
            "PIPFAST_STORE": str(self.store),
            "PIPFAST_WORKERS": "2",
            # All of pip's configuration files are off with this one.
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # Usage lines are wrapped, and ``pipfast`` is longer than ``pip``.
            "COLUMNS": "500",
            # pip prints some sets as they come.
            "PYTHONHASHSEED": "0",
        }
        return {name: value for name, value in {**base, **self.variables, **more}.items() if value}

    def run(self, *command: str, stdin: str | None = "", **variables: str) -> Ended:
        """Run ``python <command>`` to its end."""
        ended = subprocess.run(
            [str(self.python), *command],
            cwd=self.work, env=self.environ(**variables), input=stdin,
            capture_output=True, encoding="utf-8", errors="replace", timeout=120, check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def pipfast(self, *arguments: str, **variables: str) -> Ended:
        """Run ``python -m pipfast <arguments>`` to its end."""
        return self.run("-m", "pipfast", *arguments, **variables)

    def pip(self, *arguments: str, **variables: str) -> Ended:
        """Run ``python -m pip <arguments>`` to its end."""
        return self.run("-m", "pip", *arguments, **variables)

    @contextmanager
    def started(self, *command: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Start ``python <command>`` as the leader of a process group; it is ended with the block."""
        process = subprocess.Popen(
            [str(self.python), *command],
            cwd=self.work, env=self.environ(**variables), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
            start_new_session=True,
        )
        try:
            with process:
                try:
                    yield process
                finally:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        finally:
            process.wait()

    def entries(self) -> list[str]:
        """Return the entries of the store's buckets: ``<bucket>/ab/<key>``."""
        return sorted(str(path.relative_to(self.store)) for path in self.store.glob("*-v*/*/*"))

    def leftovers(self) -> list[str]:
        """Return what lies in the temporary folder and in the store's."""
        return [str(path) for folder in (self.tmp, self.store / "tmp") if folder.is_dir()
                for path in folder.iterdir()]

    def broken_entries(self) -> list[str]:
        """Return the store's entries that are not whole."""
        broken = [path for path in self.store.glob("archives-v*/*/*")
                  if {each.name for each in path.iterdir()} != {"bytes", "note.json"}]
        broken += [path for path in self.store.glob("trees-v*/*/*")
                   if not {"tree", "manifest"} <= {each.name for each in path.iterdir()}]
        broken += [path for path in self.store.glob("bytecode-v*/*/*/*") if not (path / "manifest").is_file()]
        return [str(path) for path in broken]

    def installed(self) -> list[str]:
        """Return the names in site-packages that an installation has put there."""
        return sorted(path.name for path in self.site_packages.iterdir() if path.name not in _OWN_FILES)


_OWN_FILES = {"running.pth", "shim.py", "shim.pth", "__pycache__"}


def make_box(root: Path) -> Box:
    """Make the environment and its folders below ``root``."""
    box = Box(root)
    for folder in (root, root / "home", box.tmp, box.work):
        folder.mkdir(exist_ok=True, parents=True)
    venv.EnvBuilder(symlinks=True).create(root / "venv")
    (box.site_packages / "running.pth").write_text("\n".join(_running_paths()) + "\n", encoding="utf-8")
    return box


def _running_paths() -> list[str]:
    """Return the folders on sys.path that hold what is tested and what it needs, in their order."""
    holding = set()
    for name in _NEEDED:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            holding.add(os.path.realpath(Path(spec.origin).parents[1]))
    return [path for path in sys.path if os.path.realpath(path) in holding]


def add_shim(box: Box, code: str) -> None:
    """Have every interpreter of the environment run ``code`` when it starts, workers excepted."""
    (box.site_packages / "shim.py").write_text(code, encoding="utf-8")
    (box.site_packages / "shim.pth").write_text("import shim\n", encoding="utf-8")


def printed_until(process: subprocess.Popen[str], start: str) -> str:
    """Read what a command prints until a line that starts so, and return it."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(start):
            break
    return "".join(lines)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = ENDING_S) -> None:
    """Return as soon as ``condition`` holds.

    :raises AssertionError: it did not within ``seconds``.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.01)


def group_is_empty(group: int) -> bool:
    """Tell whether no process of a process group is left (one that is not waited for counts as gone)."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, own_group = path.read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
            if int(own_group) == group and state != "Z":
                return False
    return True


def started_from(box: Box) -> list[str]:
    """Return the command lines of processes that run with an environment's interpreter or folders."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = os.fsdecode(path.joinpath("cmdline").read_bytes().replace(b"\0", b" "))
            if str(box.root) in line and int(path.name) != os.getpid():
                found.append(line)
    return found
