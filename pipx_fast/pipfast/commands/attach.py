"""``pipfast attach``: pipfast for an environment's own pip."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.commands import new_environments
from pipfast.commands.command_line import CommandError, Option, Parser
from pipfast.plugin import files
from pipfast.plugin.environment import NotAttachable, ask, in_folder

if TYPE_CHECKING:
    from optparse import Values

    from pipfast.plugin.environment import Environment
    from pipfast.settings import Settings

TARGETS = ("[--python <python>]", "--prefix <dir>", "--new-environments [--python <python>]")
"""Usage lines of both commands."""


def main(arguments: list[str], settings: Settings, examine: object = None) -> int:
    """Run ``pipfast attach`` and return its exit code; nothing of pip is examined.

    :raises PipfastError: it cannot be done.
    """
    options = parser().read(arguments)
    if options.new_environments:
        return new_environments.attach(options)
    environment = chosen(options)
    folder = files.own_folder()
    environment.check_supported()
    environment.check_changeable()
    environment.check_trusted(folder)
    try:
        new = files.attach(environment.site_packages, folder)
    except OSError as error:
        raise CommandError(f"{environment.prefix} is as it was: {error}") from error
    if new:
        try:
            environment.check_read()
        except NotAttachable:
            files.detach(environment.site_packages)
            raise
    sys.stdout.write(f"{'Attached' if new else 'Already attached'}: pip in {environment.prefix} "
                     f"runs with pipfast from {folder}\n")
    return 0


def parser() -> Parser:
    """Return what reads the command line of ``pipfast attach``."""
    return Parser(
        "attach",
        "Let an environment's own pip run with pipfast, whoever starts it and however: pip, python -m pip, tox, "
        "nox, a notebook. Three small files in its site-packages do that; detach removes them.",
        target_options(), usages=TARGETS,
    )


def target_options() -> list[Option]:
    """Return the options that say which environment is meant."""
    return [
        Option("--python", metavar="python", help="The environment of this Python, or in this folder. "
               "The default is the one that pip would install into."),
        Option("--prefix", metavar="dir", help="The environment in this folder; if it has no Python, "
               "the place where pip install --prefix puts packages of this Python."),
        Option("--new-environments", action="store_true", default=False,
               help="The environments that venv and virtualenv will make. Three small files in your user site do "
               "that: of each supported Python on PATH, or of the one of --python. If that one is a virtual "
               "environment's, such as tox's own, they are in its site-packages."),
    ]


def chosen(options: Values) -> Environment:
    """Return the environment that the options name.

    :raises CommandError: they name two.
    :raises NotAttachable: it does not answer.
    """
    if options.python and options.prefix:
        raise CommandError("--python and --prefix name two environments; one is attached at a time")
    if "" in (options.python, options.prefix):
        # An unset variable in a script: the default would be another environment than the one that is meant.
        raise CommandError("--python or --prefix is empty")
    runner = files.own_folder() / "runner.py"
    folder = options.prefix or (options.python if options.python and Path(options.python).is_dir() else "")
    return in_folder(folder, sys.executable, runner) if folder else ask(options.python or sys.executable, runner)
