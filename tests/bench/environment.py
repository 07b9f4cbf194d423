"""Measured tools, fresh environments, and the variables that a run may see."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import client
from bench.client import PIP, BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.sets import PackageSet

CHECKOUT = Path(__file__).resolve().parents[2]

STOCK_PIP = "26.3"
"""The pip that pipfast wraps and is compared with; every measured environment has it."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to install."""

    name: str
    program: tuple[str, ...]
    """What stands before ``install``; ``{python}`` is the target's interpreter."""
    options: tuple[str, ...] = ()
    """What stands after ``install``."""
    pips_output: bool = True
    """Prints pip's lines, by which the phases of a run are told."""

    def install(self, python: Path, index: str, wanted: PackageSet, *more: str) -> list[str]:
        """Return the command that installs ``wanted`` from ``index`` into ``python``'s environment."""
        words = [*self.program, "install", *self.options]
        command = [word.format(python=python) for word in words]
        return [*command, "--index-url", index, *more, *wanted.arguments]


def tools(uv: Path) -> dict[str, Tool]:
    """Return every tool by name."""
    with_uv = (str(uv), "pip")
    target = ("--python", "{python}")
    # pip keeps nothing in its HTTP cache of a plain HTTP address that it does not trust.
    trusted = ("--trusted-host", "127.0.0.1")
    found = (
        Tool("pip", ("{python}", "-m", "pip"), trusted),
        Tool("pipfast", ("{python}", "-m", "pipfast"), trusted),
        Tool("uv", with_uv, target, pips_output=False),
        Tool("uv-compile", with_uv, (*target, "--compile-bytecode"), pips_output=False),
    )
    return {tool.name: tool for tool in found}


def find_uv(folder: Path) -> Path:
    """Return the uv to measure: beside this interpreter, on PATH, or installed into ``folder``."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found:
        return Path(found)
    python = folder / "bin" / "python"
    if not python.exists():
        bare_venv(folder)
    client.run([*PIP, "--python", python, "install", "--quiet", "--upgrade", "uv"], client.own_environment())
    return folder / "bin" / "uv"


def isolated(scratch: Path) -> dict[str, str]:
    """Return an environment that inherits nothing but the interpreter's needs.

    Home and caches are folders of ``scratch``; no configuration file is read, no proxy known.
    """
    home = scratch / "home"
    folders = {
        "HOME": home,
        "XDG_CACHE_HOME": scratch / "cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_STATE_HOME": home / ".local" / "state",
        "TMPDIR": scratch / "tmp",
    }
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        **{name: str(folder) for name, folder in folders.items()},
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        # A line is stamped when it comes: without this it comes when 8 KiB of output are together.
        "PYTHONUNBUFFERED": "1",
    }


def bare_venv(folder: Path) -> Path:
    """Make an environment without pip and return its interpreter."""
    client.run([sys.executable, "-m", "venv", "--without-pip", folder], client.own_environment())
    return folder / "bin" / "python"


ROOM_BYTES = 8 << 30
"""Free space below which a workshop removes what is over."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """The folder in which a benchmark works; caches and environments are on one filesystem."""

    root: Path
    uv: Path

    @property
    def template(self) -> Path:
        """The environment that every measured one is a copy of."""
        return self.root / "template"

    @property
    def over(self) -> Path:
        """What was measured, and is of no use any more."""
        return self.root / "over"

    def fresh(self, folder: Path) -> Path:
        """Make ``folder`` an untouched copy of the template and return its interpreter.

        All tools get the same: stock pip, and pipfast with its dependencies. Its scripts name the template
        in their first line, so environments are used through their interpreter alone.
        """
        self.discard(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(self.template), str(folder)], check=True)
        return folder / "bin" / "python"

    def discard(self, folder: Path) -> None:
        """Move a folder out of the way; it is removed with everything at the end, or when there is no room.

        Not at once: ext4 without a journal does not use the number of a removed file again for five minutes,
        and whoever makes files soon after thousands were removed pays for the search, up to tens of seconds.
        """
        if shutil.disk_usage(self.root).free < ROOM_BYTES:
            shutil.rmtree(self.over, ignore_errors=True)
        self.over.mkdir(exist_ok=True)
        if folder.exists():
            folder.rename(tempfile.mkdtemp(dir=self.over))

    def site_packages(self, python: Path) -> Path:
        """Return where ``python`` keeps its packages."""
        return next(python.parent.parent.glob("lib/python3*/site-packages"))

    def prepare(self, say: Callable[[str], None], wheel: Path | None = None) -> dict[str, str]:
        """Make the template; return each tool's version, without the tools that cannot be had.

        :param wheel: pipfast, built already; else one is built from this checkout.
        """
        python = bare_venv(self.template)
        own = client.own_environment()
        into: list[str | Path] = [*PIP, "--python", python, "install", "--quiet", "--no-warn-script-location"]
        client.run([*into, f"pip=={STOCK_PIP}"], own)
        versions = {"pip": self._version([str(python), "-m", "pip", "--version"])}
        try:
            if wheel is None:
                wheel = self._build_wheel(own)
            client.run([*into, wheel], own)
            versions["pipfast"] = self._version(
                [str(python), "-c", "import pipfast; print('pipfast', pipfast.__version__)"]
            )
        except BenchError as error:
            say(f"pipfast: left out, it cannot be installed and run\n{error}")
        versions["uv"] = versions["uv-compile"] = self._version([str(self.uv), "--version"])
        return versions

    def _build_wheel(self, env: dict[str, str]) -> Path:
        folder = self.root / "wheel"
        client.run([*PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, CHECKOUT], env)
        return next(folder.glob("pipfast-*.whl"))

    def _version(self, command: Sequence[str]) -> str:
        lines = client.run(command, isolated(self.root / "versions")).strip().splitlines()
        # e.g. `pip 26.3 from /venv/lib/... (python 3.11)`
        return " ".join(lines[0].split()[:2])
