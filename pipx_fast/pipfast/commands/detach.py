"""``pipfast detach``: pip alone again in an environment."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pipfast.commands import new_environments
from pipfast.commands.attach import TARGETS, chosen, target_options
from pipfast.commands.command_line import CommandError, Parser
from pipfast.plugin import files

if TYPE_CHECKING:
    from pipfast.settings import Settings


def main(arguments: list[str], settings: Settings, examine: object = None) -> int:
    """Run ``pipfast detach`` and return its exit code; nothing of pip is examined.

    :raises PipfastError: it cannot be done.
    """
    options = parser().read(arguments)
    if options.new_environments:
        return new_environments.detach(options)
    environment = chosen(options)
    environment.check_changeable()
    try:
        there = files.detach(environment.site_packages)
    except OSError as error:
        raise CommandError(f"{environment.prefix} is still attached: {error}") from error
    if there is None:
        sys.stderr.write(f"WARNING: {environment.prefix} is not attached.\n")
    else:
        sys.stdout.write(f"Detached: pip in {environment.prefix} runs alone\n")
    return 0


def parser() -> Parser:
    """Return what reads the command line of ``pipfast detach``."""
    return Parser(
        "detach", "Let an environment's own pip run alone again. Nothing is left of attach.",
        target_options(), usages=TARGETS,
    )
