"""pipfast's own commands in pip's command line, help and completion."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pip._internal.cli.base_command import Command
from pip._internal.cli.main_parser import create_main_parser
from pip._internal.exceptions import PipError

from pipfast.targets.asked import RUNNING

if TYPE_CHECKING:
    from collections.abc import Sequence


def split(names: Sequence[str], arguments: list[str]) -> tuple[str, list[str]] | None:
    """Return which of these commands a command line names, and its arguments; None if it is pip's.

    A global option that pip cannot read ends the process here as it ends pip.
    """
    try:
        options, rest = create_main_parser().parse_args(list(arguments))
    except PipError:
        # pip's to say.
        return None
    if not rest or rest[0] not in names or options.version:
        return None
    if getattr(options, "python", None) and RUNNING not in os.environ:
        # There is none, or it cannot be started: pip says so.
        return None
    # The only one of pip's global options that one of these commands has, too.
    louder = ["-v"] if options.verbose and rest[0] == "doctor" else []
    return rest[0], [*louder, *rest[1:]]


class OwnCommand(Command):  # type: ignore[misc]
    """A command as pip's ``help`` and completion see it; pipfast runs it before pip could."""

    def __init__(self, name: str, summary: str, isolated: bool = False) -> None:
        super().__init__(name, summary, isolated)
        module = import_module(f"pipfast.commands.{name.replace('-', '_')}")
        # Of pip's parser, help and completion use what this one has.
        self.parser: Any = module.parser()

    def handler_map(self) -> dict[str, Any]:
        """Return the command's own commands, by name."""
        return dict(self.parser.actions)
