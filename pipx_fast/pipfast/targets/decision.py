"""Decision which Python a run of the command ``pipfast`` is about."""

from __future__ import annotations

import os
import sys

from pipfast.targets.asked import asked
from pipfast.targets.on_path import pip_on_path
from pipfast.targets.target import Target, is_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OWN = "no environment is active, and no other pip is on PATH"
BESIDE = "no environment is active, and other packages are installed beside pipfast"
"""Why pipfast's own Python is taken."""

_ALWAYS_THERE = ("pip-", "pipfast-", "setuptools-", "wheel-")
"""Beginnings of the folders with metadata that an environment for pipfast alone may have."""


def decide(arguments: list[str], environ: Mapping[str, str], *, by_path: bool = True) -> Target:
    """Return the interpreter that a command line is about.

    ``python`` in pip's configuration is left to that interpreter: one of the files is in its prefix.

    :param by_path: if the command was called by its path, its user chose that; a shell's function did not.
    """
    target = asked(arguments, environ) or active(environ, arguments)
    if target is None and by_path and _is_a_projects(environ):
        target = Target(sys.executable, BESIDE)
    return target or _on_path(environ, arguments) or Target(sys.executable, OWN)


def active(environ: Mapping[str, str], arguments: list[str]) -> Target | None:
    """Return the interpreter of the active environment; say so if that environment is not there any more."""
    folder = environ.get("VIRTUAL_ENV")
    if folder:
        python = os.path.join(folder, "bin", "python")
        if is_program(python):
            return Target(python, f"VIRTUAL_ENV={folder}")
        if not _is_quiet(arguments):
            sys.stderr.write(f"pipfast: VIRTUAL_ENV names {folder}, where there is no Python; another is taken\n"
                             "hint: `deactivate`, or make the environment again\n")
    folder = environ.get("CONDA_PREFIX")
    # An environment of conda's need not have a Python.
    if folder and is_program(python := os.path.join(folder, "bin", "python")):
        return Target(python, f"CONDA_PREFIX={folder}")
    return None


def _on_path(environ: Mapping[str, str], arguments: list[str]) -> Target | None:
    """Return the interpreter of the ``pip`` on PATH; say so if that is not the first."""
    passed_over: list[str] = []
    found = pip_on_path(environ, passed_over.append)
    if passed_over and not _is_quiet(arguments):
        sys.stderr.write(f"pipfast: the Python of {passed_over[0]} cannot be found; "
                         f"{found.python if found else sys.executable} is taken\n"
                         "hint: name one, by `--python`\n")
    return found


def _is_quiet(arguments: list[str]) -> bool:
    return any(each == "--quiet" or each.startswith("-q") for each in arguments)


def _is_a_projects(environ: Mapping[str, str]) -> bool:
    """Tell whether this is ``.venv/bin/pipfast``, called by its path, with other packages beside it.

    Whoever calls that means this environment, as with any other script there.
    """
    script = os.path.abspath(sys.argv[0])
    if os.path.dirname(script) != os.path.dirname(sys.executable):
        return False
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    command = next(filter(is_program, (os.path.join(each, "pipfast") for each in folders)), "")
    if os.path.realpath(command) == os.path.realpath(script):
        return False
    sites = [each for each in sys.path if each.startswith(sys.prefix) and each.endswith("-packages")]
    names = [name for each in sites if os.path.isdir(each) for name in os.listdir(each)]
    return any(name.endswith((".dist-info", ".egg-info")) and not name.startswith(_ALWAYS_THERE) for name in names)
