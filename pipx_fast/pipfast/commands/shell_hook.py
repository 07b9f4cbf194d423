"""``pipfast shell-hook``: the script that makes ``pip`` pipfast in a shell."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipfast import __version__, dependencies
from pipfast.commands.command_line import Action, CommandError, Option, Parser
from pipfast.shells.scripts import RUNNER, file_name, hook, source_line, undo

if TYPE_CHECKING:
    from optparse import Values

    from pipfast.settings import Settings

_START_UP = MappingProxyType({
    "bash": ('eval "$(pipfast shell-hook bash)"', "~/.bashrc"),
    "zsh": ('eval "$(pipfast shell-hook zsh)"', "~/.zshrc"),
    "fish": ("pipfast shell-hook fish | source", "~/.config/fish/config.fish"),
    "powershell": ("Invoke-Expression (& pipfast shell-hook powershell | Out-String)", "$PROFILE (not tested)"),
})
"""The line for each shell, and the file that it reads when it starts."""


def main(arguments: list[str], settings: Settings | None = None, examine: object = None) -> int:
    """Run ``pipfast shell-hook`` and return its exit code; neither settings nor pip are looked at.

    :raises PipfastError: it cannot be done.
    """
    action, options, words = parser().read_action(arguments)
    return action.run(options, words)


def parser() -> Parser:
    """Return what reads the command line of ``pipfast shell-hook``."""
    return Parser(
        "shell-hook",
        "Print a script for a shell. Evaluated there, it makes pip, pip3, pip3.N and pipfast run pipfast with the "
        "Python of the active environment.",
        [
            Option("--save", action="store_true", default=False,
                   help="Keep the script in a file that renews itself, and print the line that reads it."),
            Option("--undo", action="store_true", default=False,
                   help="Print what takes it back, and remove that file."),
        ],
        actions=MappingProxyType({
            shell: Action(partial(_run, shell), f"{line} - in {file}", "[--save | --undo]")
            for shell, (line, file) in _START_UP.items()
        }),
    )


def _run(shell: str, options: Values, words: list[str]) -> int:
    if options.save and options.undo:
        raise CommandError("--save and --undo cannot be used together")
    text = _undone(shell) if options.undo else _made(shell, save=options.save)
    # Paths need not be text.
    sys.stdout.buffer.write(os.fsencode(text))
    return 0


def _made(shell: str, *, save: bool) -> str:
    if not save:
        return hook(shell, _command())
    file = _file(shell)
    sign = Path(RUNNER).parents[1] / f"pipfast-{__version__}.dist-info"
    _write(file, hook(shell, _command(), file=str(file), sign=str(sign) if sign.is_dir() else ""))
    return f"{source_line(shell, str(file))}\n"


def _command() -> str:
    """Return the command ``pipfast``, which has chosen no other Python yet.

    :raises CommandError: it is nowhere.
    """
    # The first is it, unless this is `python -m pipfast`.
    places = Path(sys.argv[0]), Path(sys.executable).with_name("pipfast"), Path(shutil.which("pipfast") or "")
    for path in places:
        if path.name.startswith("pipfast") and os.access(path, os.X_OK):
            return os.fspath(path.absolute())
    raise CommandError("the command pipfast is neither beside this Python nor on PATH",
                       "run it by its path: /path/to/bin/pipfast shell-hook")


def _undone(shell: str) -> str:
    try:
        file = _file(shell)
        file.unlink()
        with suppress(OSError):
            # The folder is pipfast's own; other shells' hooks keep it.
            file.parent.rmdir()
        sys.stderr.write(f"pipfast: {file} is removed; remove this line from {_START_UP[shell][1]}, too:\n"
                         f"  {source_line(shell, str(file))}\n")
    except FileNotFoundError:
        pass
    except OSError as error:
        sys.stderr.write(f"WARNING: cannot remove {file}: {error.strerror or error}\n")
    return undo(shell)


def _file(shell: str) -> Path:
    """Return the file of a saved script, in the user's folder for settings.

    :raises CommandError: nobody knows that folder.
    """
    try:
        platformdirs = dependencies.load("platformdirs")
        return Path(platformdirs.user_config_dir("pipfast", appauthor=False)).absolute() / file_name(shell)
    except (RuntimeError, dependencies.Unusable) as error:
        raise CommandError(f"nobody knows the folder for settings: {error}") from error


def _write(file: Path, text: str) -> None:
    """Write a file whole or not at all.

    :raises CommandError: it cannot be written.
    """
    aside = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_bytes(os.fsencode(text))
            aside.replace(file)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"cannot write {file}: {error.strerror or error}") from error
