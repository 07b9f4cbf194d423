"""``--new-environments`` of ``pipfast attach`` and ``pipfast detach``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.commands.command_line import CommandError
from pipfast.plugin import files
from pipfast.plugin.environment import NotAttachable, python_in
from pipfast.plugin.makers import Maker, ask_maker, makers_on_path, switch_off, switch_on, switched_on

if TYPE_CHECKING:
    from optparse import Values


def attach(options: Values) -> int:
    """Switch it on, for one Python or for all that are found, and return the exit code.

    :raises PipfastError: it cannot be done.
    """
    folder = files.own_folder()
    makers = _chosen(options, folder)
    if not makers:
        raise NotAttachable("no supported Python on PATH reads a user site", "name one: --python <python>")
    for maker in makers:
        try:
            new = switch_on(maker, folder)
        except OSError as error:
            raise CommandError(f"{maker.place} is as it was: {error}") from error
        sys.stdout.write(f"{'Attached' if new else 'Already attached'}: what venv and virtualenv make, run by "
                         f"{_named(maker)}\n")
    return 0


def detach(options: Values) -> int:
    """Switch it off, for one Python or wherever the user has it on, and return the exit code.

    :raises PipfastError: it cannot be done.
    """
    places = [Path(each.place) for each in _chosen(options, files.own_folder()) if each.place] if (
        options.python) else switched_on()
    done = False
    for place in places:
        try:
            done = switch_off(place) or done
        except OSError as error:
            raise CommandError(f"{place} is as it was: {error}") from error
    if done:
        sys.stdout.write("Detached: what venv and virtualenv make is plain\n")
    else:
        sys.stderr.write("WARNING: nothing attaches new environments.\n")
    return 0


def _chosen(options: Values, folder: Path) -> list[Maker]:
    runner = folder / "runner.py"
    if options.prefix:
        raise CommandError("--prefix names one environment, --new-environments means those to come")
    if not options.python:
        return makers_on_path(runner)
    path = Path(options.python).absolute()
    python = python_in(path) if path.is_dir() else options.python
    if not python:
        raise NotAttachable(f"{path} has no Python")
    return [ask_maker(python, runner)]


def _named(maker: Maker) -> str:
    return f"a Python that reads {maker.place}" if maker.of_user else maker.python
