"""Environments, by their Python's answers, and reasons against attaching them."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.errors import PipfastError
from pipfast.plugin import files

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUESTION = r"""
import json, os, sys, sysconfig
runner, prefix = sys.argv[1:]
answer = {"python": sys.executable, "prefix": prefix or sys.prefix, "managed": ""}
code = {"__name__": "runner", "__file__": runner}
with open(runner, "rb") as file:
    exec(compile(file.read(), runner, "exec"), code)
answer["pip"] = code["pip_version"]()
answer["why_not"] = code["unsupported"](answer["pip"])
if prefix:
    scheme = getattr(sysconfig, "get_preferred_scheme", lambda key: "posix_prefix")("prefix")
    answer["site_packages"] = sysconfig.get_path("purelib", scheme, {"base": prefix, "platbase": prefix})
else:
    answer["site_packages"] = sysconfig.get_path("purelib")
    managed = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if sys.prefix == sys.base_prefix and os.path.exists(managed):
        answer["managed"] = managed
print("\n" + json.dumps(answer))
"""
"""Program that a Python executes; nothing of the current folder or of the user's variables is imported."""

_CHECK = "import sys; sys.exit(0 if '_pipfast_plugin' in sys.modules else 1)"

_PATIENCE_S = 60.0
"""Seconds for a Python to start and answer, from a disk that sleeps."""

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class NotAttachable(PipfastError):
    """An environment cannot be attached or detached.

    :param hint: what to do.
    """

    def __init__(self, why: str, hint: str | None = None) -> None:
        super().__init__(why)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment, by its Python; or a folder in which that Python's packages are laid out.

    :param pip: its version, empty if there is none.
    :param why_not: why pipfast does not run there, empty if it does.
    :param managed: the file that marks it as externally managed, empty if there is none.
    :param own_python: the folder has a Python, which runs in it.
    """

    python: str
    prefix: str
    site_packages: Path
    pip: str
    why_not: str
    managed: str
    own_python: bool = True

    def check_changeable(self) -> None:
        """Do nothing if this user may change it.

        :raises NotAttachable: there is no such folder, or it is managed by another program or user.
        """
        if self.managed:
            raise NotAttachable(f"{self.prefix} is externally managed ({self.managed})",
                                f"make a virtual environment: {self.python} -m venv FOLDER")
        try:
            owner = self.site_packages.stat().st_uid
        except FileNotFoundError as error:
            if self.own_python:
                raise NotAttachable(f"{self.site_packages}: {error.strerror}") from error
            raise NotAttachable(
                f"{self.prefix} has no Python, and no packages of {self.python}, which would be in "
                f"{self.site_packages}",
                f"{self.python} -m pip install --prefix {shlex.quote(self.prefix)} PACKAGE puts one there",
            ) from error
        except OSError as error:
            raise NotAttachable(f"{self.site_packages}: {error.strerror}") from error
        if hasattr(os, "geteuid") and os.geteuid() not in (0, owner):
            raise NotAttachable(f"{self.site_packages} belongs to another user", f"run this as {_name(owner)}")
        if not os.access(self.site_packages, os.W_OK):
            raise NotAttachable(f"{self.site_packages} cannot be written")

    def check_supported(self) -> None:
        """Do nothing if its pip can run with pipfast.

        :raises NotAttachable: it has none, or its pip or Python is not supported.
        """
        if self.why_not:
            raise NotAttachable(f"{self.python} cannot be attached: {self.why_not}")
        if self.own_python and not self.pip:
            raise NotAttachable(f"{self.python} has no pip", f"{self.python} -m ensurepip")

    def check_trusted(self, folder: Path) -> None:
        """Do nothing if only root and the environment's owner can change what is in a folder.

        Root's pip would run whatever others write there. Whoever is not root attaches what he runs already.

        :raises NotAttachable: others can.
        """
        check_trusted(folder, self.site_packages)

    def check_read(self) -> None:
        """Do nothing if its Python has executed the hook at its start.

        :raises NotAttachable: it has not.
        """
        # The owner could not remove what root writes into a new folder of bytecode.
        mine = not hasattr(os, "geteuid") or self.site_packages.stat().st_uid == os.geteuid()
        options = ["-I"] if mine else ["-I", "-B"]
        if self.own_python and run_python(self.python, options, _CHECK).returncode:
            raise NotAttachable(f"{self.python} does not read .pth files in {self.site_packages}")


def check_trusted(folder: Path, site_packages: Path) -> None:
    """Do nothing if only root and the owner of a site-packages folder can change what is in a folder.

    :raises NotAttachable: others can, and this is root.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    owners = (0, site_packages.stat().st_uid)
    above = [(str(path), path.lstat()) for path in (*folder.parents, folder)]
    for path, status in chain(above, _below(str(folder))):
        if stat.S_ISLNK(status.st_mode):
            continue
        # In a folder like /tmp, others cannot replace what is root's.
        kept = status.st_mode & stat.S_ISVTX and len(path) < len(str(folder))
        writers = status.st_mode & _OTHERS_WRITE if status.st_gid else status.st_mode & stat.S_IWOTH
        if status.st_uid not in owners or (writers and not kept):
            raise NotAttachable(f"{path} can be changed by others, and pip would run it as root",
                                "install pipfast where only root can write, and attach that one")


def _below(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is in a folder, in ten times less time than pathlib does: root's new environments wait for it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.path, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)


def ask(python: str, runner: Path, prefix: str = "") -> Environment:
    """Return the environment of a Python.

    :param runner: pipfast's ``runner.py``, which knows what is supported.
    :param prefix: a folder that holds packages of this Python, and no Python.
    :raises NotAttachable: it does not answer.
    """
    answer = answer_of(python, ["-I"], _QUESTION, str(runner), prefix)
    site_packages = Path(answer.pop("site_packages"))
    return Environment(site_packages=site_packages, own_python=not prefix, **answer)


def in_folder(folder: str, python: str, runner: Path) -> Environment:
    """Return the environment in a folder; if it has no Python, the place of another Python's packages there.

    :raises NotAttachable: there is no such folder, or its Python does not answer.
    """
    path = Path(folder).absolute()
    if not path.is_dir():
        raise NotAttachable(f"{path} is no folder")
    own = python_in(path)
    return ask(own, runner) if own else ask(python, runner, str(path))


def attach_made(folder: str, site_packages: str, pip: str) -> None:
    """Attach an environment that was made a moment ago, and whose pip is supported.

    :raises PipfastError: there is a reason against it.
    :raises OSError: a file cannot be written.
    """
    made = Environment("", folder, Path(site_packages), pip, why_not="", managed="")
    made.check_changeable()
    made.check_trusted(files.own_folder())
    files.attach(made.site_packages, files.own_folder())


def python_in(folder: Path) -> str:
    """Return the path of a folder's own Python, empty if it has none."""
    names = ("bin/python", "bin/python3", "Scripts/python.exe", "python.exe")
    return next((str(folder / name) for name in names if os.path.lexists(folder / name)), "")


def answer_of(python: str, options: list[str], question: str, *arguments: str) -> dict[str, Any]:
    """Return the JSON object that is the last line of a program's output.

    :param question: the program, which this Python executes.
    :raises NotAttachable: it says something else.
    """
    ended = run_python(python, options, question, *arguments)
    try:
        answer = json.loads(ended.stdout.splitlines()[-1])
        if not isinstance(answer, dict):
            raise TypeError(answer)
    except (ValueError, LookupError, TypeError) as error:
        lines = ended.stderr.strip().splitlines() or ["nothing"]
        said = lines[-1] if lines[0].startswith("Traceback") else lines[0]
        raise NotAttachable(f"{python} did not say where its packages are, but: {said}") from error
    return answer


def run_python(python: str, options: list[str], code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Have a Python execute a program.

    :raises NotAttachable: it cannot be run.
    """
    try:
        return subprocess.run(
            [python, *options, "-c", code, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
            encoding="utf-8", errors="replace", timeout=_PATIENCE_S, check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotAttachable(f"{python} cannot be run: {error}") from error


def _name(user: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(user).pw_name
    except (ImportError, KeyError):
        return str(user)
