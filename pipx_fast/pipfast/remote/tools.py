"""Versions of the tools that builds use."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pipfast.errors import PipfastError

if TYPE_CHECKING:
    from collections.abc import Mapping

WAIT_S = 15.0
"""Seconds for all tools together to tell their versions: a machine that is busy takes some."""

_FAILS = "(fails)"
"""In the place of a version: the tool is there and tells none."""

_MAX_BYTES = 1 << 16

_TOOLS = (
    ("cc", ("CC",), "cc"), ("c++", ("CXX",), "c++"), ("ld", ("LD",), "ld"),
    ("fortran", ("FC", "F90", "F77"), "gfortran"), ("nvcc", ("CUDACXX", "NVCC"), "nvcc"), ("hipcc", (), "hipcc"),
    ("rustc", ("RUSTC",), "rustc"), ("cmake", (), "cmake"), ("swig", (), "swig"), ("go", (), "go"),
)
"""Name, variables that name another command, and the usual command."""

_FOLDERS = (("nvcc", ("CUDA_HOME", "CUDA_PATH")), ("hipcc", ("ROCM_HOME", "ROCM_PATH")))
"""Tools that builds look for below a folder, before PATH."""

# e.g. `InstalledDir: /usr/lib/llvm-14/bin`: where a tool is does not change what it makes.
_PLACE = re.compile(r"^(?:InstalledDir|Configuration file|COLLECT_\w+)\b.*$", re.MULTILINE)


class Untold(PipfastError):
    """A tool does not say its version in time; without that no wheel's place is known."""


def tool_versions(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what each tool says of its version, by name; one that is not there is left out.

    Nothing in it depends on where a tool is, or by which name it was called.

    :param environ: the build's variables. PATH finds a tool, and is no part of what is returned.
    :raises Untold: a tool takes too long.
    """
    commands = {name: _command(name, variables, usual, environ) for name, variables, usual in _TOOLS}
    started = {}
    for name, command in commands.items():
        if command is None:
            continue
        arguments = ["version"] if name == "go" else ["--version"]
        with suppress(OSError):
            started[name] = subprocess.Popen(
                [*command, *arguments], env={**environ, "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
    deadline = time.monotonic() + WAIT_S
    found = {name: _told(process, deadline) for name, process in started.items()}
    for name, text in found.items():
        if text is None:
            raise Untold(f"{name} does not tell its version")
    return {name: text for name, text in found.items() if text is not None}


def _command(name: str, variables: tuple[str, ...], usual: str, environ: Mapping[str, str]) -> list[str] | None:
    named = next((environ[each] for each in variables if environ.get(each)), "")
    folders = [environ[each] for tool, places in _FOLDERS if tool == name for each in places if environ.get(each)]
    if not named and folders:
        path = shutil.which(usual, path=os.path.join(folders[0], "bin"))
        if path:
            return [path]
    if not named and name in ("cc", "c++"):
        # What setuptools takes.
        named = str(sysconfig.get_config_var("CC" if name == "cc" else "CXX") or "")
    try:
        words = shlex.split(named) or [usual]
    except ValueError:
        words = [usual]
    path = shutil.which(words[0], path=environ.get("PATH", os.defpath))
    return None if path is None else [path, *words[1:]]


def _told(process: subprocess.Popen[bytes], deadline: float) -> str | None:
    """Return a version without what differs from place to place; None: it takes too long."""
    try:
        output, _ = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    if process.returncode:
        return _FAILS
    text = output[:_MAX_BYTES].decode("utf-8", "replace").strip()
    first, _, rest = _PLACE.sub("", text).partition("\n")
    # e.g. `cc (Debian 12.2.0-14) 12.2.0`: by another name it says that one.
    words = first.split(" ", 1)
    first = words[1] if len(words) > 1 and re.search(r"\d", words[1]) else first
    return "\n".join(line for line in (first, *rest.splitlines()) if line.strip() and "opyright" not in line)
