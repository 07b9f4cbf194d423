"""Scripts that a shell evaluates, made of the templates beside this module.

In a template ``@RUNNER@`` and its like are our paths, quoted for that shell, and ``@NAMES@`` the commands. A line
with ``@EACH@`` is repeated for each command: ``@NAME@``, which runs ``@NAME_OF_PYTHON@`` of an environment.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHELLS = ("bash", "zsh", "fish", "powershell")

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""Versions whose ``pip3.N`` is ours; of any other one pip runs alone, so it may as well be what it was."""

COMMANDS = MappingProxyType({
    "pip": "python", "pip3": "python", **{f"pip{version}": f"python{version}" for version in PYTHONS},
    "pipfast": "python",
})
"""Commands that become functions, and the Python that each needs in an environment."""

_SUFFIXES = MappingProxyType({"bash": "bash", "zsh": "zsh", "fish": "fish", "powershell": "ps1"})

_COMPLETIONS = str(Path(__file__).with_name("completions"))
"""A folder for ``$fish_complete_path``."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A hook in a file, which renews itself."""

    file: Path
    sign: Path | None
    """What is gone when another pipfast has been installed; None where nothing tells."""


def hook(shell: str, command: str, runner: str, saved: Saved | None = None) -> str:
    """Return the script that makes ``pip`` a function of that shell.

    :param command: our command ``pipfast``.
    :param runner: our ``runner.py``.
    :param saved: where the script will stand; None: it is evaluated at once.
    """
    values = {"PIPFAST": command, "RUNNER": runner, "COMPLETIONS": _COMPLETIONS}
    text = _filled(shell, "hook", values)
    if saved is not None and saved.sign is not None:
        values |= {"FILE": os.fspath(saved.file), "SIGN": os.fspath(saved.sign)}
        text = _filled(shell, "renew", values) + text
    return text


def undo(shell: str) -> str:
    """Return the script that takes back what the hook has done to the shell that evaluates it."""
    return _filled(shell, "undo", {"COMPLETIONS": _COMPLETIONS})


def source_line(shell: str, file: Path) -> str:
    """Return the line for a shell's start-up file that reads a saved hook."""
    return f"{'source' if shell == 'fish' else '.'} {quoted(shell, os.fspath(file))}"


def file_name(shell: str) -> str:
    """Return the name of a saved hook."""
    return f"hook.{_SUFFIXES[shell]}"


def quoted(shell: str, text: str) -> str:
    """Return one word of that shell, whatever characters are in the text."""
    if shell == "fish":
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if shell == "powershell":
        # It takes typographic quotes for quotes, too.
        return "'" + "".join(2 * each if each in "'\u2018\u2019\u201a\u201b" else each for each in text) + "'"
    return shlex.quote(text)


def _filled(shell: str, kind: str, values: Mapping[str, str]) -> str:
    template = Path(__file__).with_name(f"{kind}.{_SUFFIXES[shell]}").read_text(encoding="utf-8")
    text = "".join(_repeated(template)).replace("@NAMES@", " ".join(COMMANDS))
    # At once: the paths may have any characters.
    return re.sub("@([A-Z]+)@", lambda match: quoted(shell, values[match[1]]), text)


def _repeated(template: str) -> Iterator[str]:
    for line in template.splitlines(keepends=True):
        rest = line.replace("@EACH@ ", "")
        for name, python in COMMANDS.items() if rest != line else [("", "")]:
            yield rest.replace("@NAME@", name).replace("@NAME_OF_PYTHON@", python)
