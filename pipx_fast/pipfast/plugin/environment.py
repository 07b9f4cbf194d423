"""Environments, by their Python's answers, and reasons against attaching them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipfast.errors import PipfastError

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
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            return
        owners = (0, self.site_packages.stat().st_uid)
        for path in (*folder.parents, folder, *folder.rglob("*")):
            if path.is_symlink():
                continue
            status = path.stat()
            # In a folder like /tmp, others cannot replace what is root's.
            kept = path in folder.parents and status.st_mode & stat.S_ISVTX
            writers = status.st_mode & _OTHERS_WRITE if status.st_gid else status.st_mode & stat.S_IWOTH
            if status.st_uid not in owners or (writers and not kept):
                raise NotAttachable(f"{path} can be changed by others, and pip would run it as root",
                                    "install pipfast where only root can write, and attach that one")

    def check_read(self) -> None:
        """Do nothing if its Python has executed the hook at its start.

        :raises NotAttachable: it has not.
        """
        # The owner could not remove what root writes into a new folder of bytecode.
        mine = not hasattr(os, "geteuid") or self.site_packages.stat().st_uid == os.geteuid()
        if self.own_python and _run(self.python, _CHECK, bytecode=mine).returncode:
            raise NotAttachable(f"{self.python} does not read .pth files in {self.site_packages}")


def ask(python: str, runner: Path, prefix: str = "") -> Environment:
    """Return the environment of a Python.

    :param runner: pipfast's ``runner.py``, which knows what is supported.
    :param prefix: a folder that holds packages of this Python, and no Python.
    :raises NotAttachable: it does not answer.
    """
    ended = _run(python, _QUESTION, str(runner), prefix)
    try:
        answer = json.loads(ended.stdout.splitlines()[-1])
        site_packages = Path(answer.pop("site_packages"))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        lines = ended.stderr.strip().splitlines() or ["nothing"]
        said = lines[-1] if lines[0].startswith("Traceback") else lines[0]
        raise NotAttachable(f"{python} did not say where its packages are, but: {said}") from error
    return Environment(site_packages=site_packages, own_python=not prefix, **answer)


def in_folder(folder: str, python: str, runner: Path) -> Environment:
    """Return the environment in a folder; if it has no Python, the place of another Python's packages there.

    :raises NotAttachable: there is no such folder, or its Python does not answer.
    """
    path = Path(folder).absolute()
    if not path.is_dir():
        raise NotAttachable(f"{path} is no folder")
    for name in ("bin/python", "bin/python3", "Scripts/python.exe", "python.exe"):
        if os.path.lexists(path / name):
            return ask(str(path / name), runner)
    return ask(python, runner, str(path))


def _run(
    python: str, code: str, *arguments: str, bytecode: bool = True
) -> subprocess.CompletedProcess[str]:
    options = ["-I"] if bytecode else ["-I", "-B"]
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
