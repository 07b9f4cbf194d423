"""Scripts that a shell evaluates, made of the templates beside this module.

In a template ``@RUNNER@`` and its like are our paths, quoted for that shell, and ``@NAMES@`` the commands. A line
with ``@EACH@`` is repeated for each command: ``@NAME@``, which runs ``@NAME_OF_PYTHON@`` of an environment.

Nothing is imported here: a shell that starts may wait for the script.
"""

from __future__ import annotations

import os
from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SHELLS = ("bash", "zsh", "fish", "powershell")

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""Versions whose ``pip3.N`` is ours; of any other one pip runs alone, so it may as well be what it was."""

COMMANDS = MappingProxyType({
    "pip": "python", "pip3": "python", **{f"pip{version}": f"python{version}" for version in PYTHONS},
    "pipfast": "python",
})
"""Commands that become functions, and the Python that each needs in an environment."""

_HERE = os.path.dirname(os.path.abspath(__file__))

RUNNER = os.path.join(os.path.dirname(_HERE), "runner.py")

_COMPLETIONS = os.path.join(_HERE, "completions")
"""A folder for ``$fish_complete_path``."""


def hook(shell: str, command: str, runner: str = RUNNER, *, file: str = "", sign: str = "") -> str:
    """Return the script that makes ``pip`` a function of that shell.

    :param command: our command ``pipfast``.
    :param file: where the script will stand, if it is not evaluated at once.
    :param sign: what is gone when another pipfast has been installed: the file is written again then.
    """
    values = {"PIPFAST": command, "RUNNER": runner, "COMPLETIONS": _COMPLETIONS, "FILE": file, "SIGN": sign}
    return (_filled(shell, "renew", values) if sign else "") + _filled(shell, "hook", values)


def undo(shell: str) -> str:
    """Return the script that takes back what the hook has done to the shell that evaluates it."""
    return _filled(shell, "undo", {"COMPLETIONS": _COMPLETIONS})


def source_line(shell: str, file: str) -> str:
    """Return the line for a shell's start-up file that reads a saved hook."""
    return f"{'source' if shell == 'fish' else '.'} {quoted(shell, file)}"


def file_name(shell: str, kind: str = "hook") -> str:
    """Return the name of a saved hook, or of a template."""
    return f"{kind}.{'ps1' if shell == 'powershell' else shell}"


def quoted(shell: str, text: str) -> str:
    """Return one word of that shell, whatever characters are in the text."""
    if shell == "fish":
        text = text.replace("\\", "\\\\").replace("'", "\\'")
    elif shell == "powershell":
        # It takes typographic quotes for quotes, too.
        text = "".join(2 * each if each in "'\u2018\u2019\u201a\u201b" else each for each in text)
    else:
        text = text.replace("'", "'\"'\"'")
    return f"'{text}'"


def _filled(shell: str, kind: str, values: Mapping[str, str]) -> str:
    with open(os.path.join(_HERE, file_name(shell, kind)), encoding="utf-8") as file:
        text = "".join(_repeated(file))
    text = text.replace("@NAMES@", " ".join(COMMANDS))
    for place in values:
        text = text.replace(f"@{place}@", f"\0{place}\0")
    # Put in all at once: a path may have the name of another's place.
    parts = text.split("\0")
    parts[1::2] = [quoted(shell, values[place]) for place in parts[1::2]]
    return "".join(parts)


def _repeated(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        rest = line.replace("@EACH@ ", "")
        for name, python in COMMANDS.items() if rest != line else [("", "")]:
            yield rest.replace("@NAME@", name).replace("@NAME_OF_PYTHON@", python)
