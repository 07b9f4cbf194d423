"""The Python that pyenv's shims stand for, found without starting pyenv."""

from __future__ import annotations

import os

from pipfast.targets.target import is_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def pyenv_python(root: str, environ: Mapping[str, str], has_systems: Callable[[], bool]) -> str | None:
    """Return the interpreter of the first chosen version that has a pip; None for the system's.

    :param root: pyenv's folder.
    :param has_systems: tells whether the system has a pip.
    """
    for version in _versions(root, environ):
        if version == "system" and has_systems():
            return None
        folder = _folder(root, version)
        if folder is not None and is_program(os.path.join(folder, "bin", "pip")):
            return os.path.join(folder, "bin", "python")
    return None


def _versions(root: str, environ: Mapping[str, str]) -> list[str]:
    """Return the chosen versions: of PYENV_VERSION, else of a file above the folder, else of the global one."""
    if environ.get("PYENV_VERSION"):
        return environ["PYENV_VERSION"].split(":")
    try:
        folder = environ.get("PYENV_DIR") or os.getcwd()
    except OSError:
        folder = "/"
    while True:
        found = _read(os.path.join(folder, ".python-version"))
        if found:
            return found
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return _read(os.path.join(root, "version"))


def _read(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.partition("#")[0].split() for line in file]
    except OSError:
        return []
    return [words[0] for words in lines if words]


def _folder(root: str, version: str) -> str | None:
    """Return a version's folder: of that name, or for ``3.12`` of its newest release."""
    versions = os.path.join(root, "versions")
    # A version file comes with a project, and may name anything.
    if version == "system" or os.path.isabs(version) or ".." in version.split("/"):
        return None
    for name in (version, version.removeprefix("python-")):
        if os.path.isdir(os.path.join(versions, name)):
            return os.path.join(versions, name)
    try:
        releases = [each for each in os.listdir(versions) if each.startswith(f"{version}.")]
    except OSError:
        return None
    numbered = [each for each in releases if each.replace(".", "").isdigit()]
    newest = max(numbered, key=lambda each: [int(part) for part in each.split(".")], default=None)
    return None if newest is None else os.path.join(versions, newest)
