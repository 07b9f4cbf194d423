"""Command lines of our own commands, read and explained as pip's."""

from __future__ import annotations

import io
import optparse
import os
import shutil
import sys
import textwrap
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from pipfast.commands.output import program
from pipfast.errors import PipfastError
from pipfast.report import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipfast.settings import Settings

USAGE_ERROR = 2
"""Exit code of pip after an option that it does not know (its ``UNKNOWN_ERROR``)."""


class CommandError(PipfastError):
    """What is asked for cannot be done; pip has an error of this name, and says it the same way.

    :param hint: what to do, if anything.
    """

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Action:
    """What a command can do, as ``list`` of ``store``."""

    run: Callable[..., int]
    text: str
    """A sentence for the help."""
    usage: str = ""
    """The rest of its usage line; it takes those options of the command that stand in it."""
    words: int = 0
    """Arguments that it takes at most."""


class Option(optparse.Option):
    """An option whose value a function may read.

    :param read: makes a value of a text; raises ValueError with the end of a sentence about the option.
    """

    def __init__(self, *names: str, read: Callable[[str], Any] | None = None, **attributes: Any) -> None:
        self._read = read
        super().__init__(*names, **attributes)

    def check_value(self, opt: str, value: str) -> Any:
        """Return the value of a text."""
        if self._read is None:
            return super().check_value(opt, value)
        try:
            return self._read(value)
        except ValueError as error:
            raise optparse.OptionValueError(f"option {opt}: {error}") from error


def json_option() -> Option:
    """Return ``--json``, which every command has that a program may ask."""
    return Option("--json", action="store_true", default=False, help="Print one JSON document.")


class Parser(optparse.OptionParser):
    """Reader of a command's arguments. Usage, help and errors are in pip's layout, on any pip.

    :param usages: what may follow the command's name, a line each; those of the actions are added.
    """

    def __init__(
        self, name: str, description: str, options: Sequence[Option] = (), *, usages: Sequence[str] = (),
        actions: Mapping[str, Action] = MappingProxyType({}),
    ) -> None:
        lines = [*usages, *(f"{action} {each.usage}".rstrip() for action, each in actions.items())]
        if actions:
            listed = "\n".join(f"- {action}: {each.text}" for action, each in actions.items())
            description = f"{description}\n\nSubcommands:\n\n{listed}"
        super().__init__(
            "\n" + "\n".join(f"%prog {line}" for line in lines), prog=f"{program()} {name}",
            formatter=_Formatter(), description=description, add_help_option=False,
        )
        self.actions = actions
        self._own = list(options)
        if options:
            self.add_option_group(_group(self, f"{name.capitalize()} Options", options))
        self.add_option_group(_group(self, "General Options", _general()))

    @property
    def option_list_all(self) -> list[optparse.Option]:
        """The options that pip's completion may offer: those of the action, if one is typed already."""
        # The variable in which a shell hands over its line.
        typed = os.environ.get("COMP_WORDS", "").split()
        action = next((self.actions[word] for word in typed if word in self.actions), None)
        found = [option for group in self.option_groups for option in group.option_list]
        if action is None:
            return found
        return [each for each in found if each not in self._own or each.get_opt_string() in action.usage]

    def read(self, arguments: list[str]) -> optparse.Values:
        """Return the options of a command that takes no arguments.

        :raises CommandError: there are arguments.
        :raises SystemExit: an option cannot be read, or help was asked for.
        """
        options, words = self.parse_args(arguments)
        _at_most(words, 0)
        return options

    def read_action(self, arguments: list[str]) -> tuple[Action, optparse.Values, list[str]]:
        """Return the action, its options and its arguments.

        :raises CommandError: there is no such action, or it takes fewer arguments.
        :raises SystemExit: an option cannot be read or is not the action's, or help was asked for.
        """
        options, words = self.parse_args(arguments)
        if not words or words[0] not in self.actions:
            raise CommandError(f"Need an action ({', '.join(sorted(self.actions))}) to perform.")
        action = self.actions[words[0]]
        for option in self._own:
            given = getattr(options, option.dest or "") != self.defaults.get(option.dest or "")
            if given and option.get_opt_string() not in action.usage:
                self.error(f"{words[0]} has no option {option.get_opt_string()}")
        _at_most(words[1:], action.words)
        return action, options, words[1:]

    def error(self, msg: str) -> NoReturn:
        """Print the usage and what is wrong, and exit; raise CommandError where pip does."""
        if msg == "no such option: --python":
            raise CommandError("The --python option must be placed before the pip subcommand name")
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"{msg}\n")


def run(main: Callable[..., int], *arguments: Any) -> int:
    """Call a command's ``main`` and return its exit code, after an error of ours that of pip's errors."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Paths need not be text, and file names can have any letters.
        sys.stdout.reconfigure(errors="surrogateescape" if sys.stdout.encoding == "utf-8" else "backslashreplace")
    try:
        return main(*arguments)
    except PipfastError as error:
        write_error(error)
    except KeyboardInterrupt:
        sys.stderr.write("ERROR: Operation cancelled by user\n")
    return 1


def write_error(error: PipfastError) -> None:
    """Write an error as pip writes its own, and below it what to do."""
    sys.stderr.write(f"ERROR: {visible(str(error))}\n" + (f"hint: {error.hint}\n" if error.hint else ""))


def write_problems(settings: Settings) -> None:
    """Write what is wrong with the settings."""
    sys.stderr.write("".join(f"WARNING: {visible(problem)}\n" for problem in settings.problems))


class _Formatter(optparse.IndentedHelpFormatter):
    """The layout of pip's ``PrettyHelpFormatter``, which is the same in all pips but for colours.

    pip 26.0 and 26.1 leave the markup of colours in the usages of errors; 26.2 mends that, and we never had it.
    """

    def __init__(self) -> None:
        super().__init__(indent_increment=1, max_help_position=30, width=shutil.get_terminal_size()[0] - 2)

    def format_option_strings(self, option: optparse.Option) -> str:
        names = ", ".join([*option._short_opts[:1], *option._long_opts[:1]])
        return f"{names} <{(option.metavar or option.dest or '').lower()}>" if option.takes_value() else names

    def format_heading(self, heading: str) -> str:
        return "" if heading == "Options" else f"{heading}:\n"

    def format_usage(self, usage: str) -> str:
        return f"\nUsage: {_indented(usage)}\n"

    def format_description(self, description: str | None) -> str:
        return f"Description:\n{_indented(self._wrapped(description or ''))}\n"

    def _wrapped(self, text: str) -> str:
        """Return a text whose paragraphs and items are no wider than the terminal."""
        room = max(self.width - 2, 11)
        lines = []
        for line in text.split("\n"):
            indent = "  " if line.startswith("- ") else ""
            # A command that is broken at a hyphen could not be typed.
            lines.append(textwrap.fill(line, room, subsequent_indent=indent, break_on_hyphens=False))
        return "\n".join(lines)


def _indented(text: str) -> str:
    # Empty lines, too, as pip has it.
    return "\n".join(f"  {line}" for line in text.split("\n"))


def _general() -> list[Option]:
    """Return those of pip's general options that mean something to our commands."""
    return [
        Option("-h", "--help", action="help", help="Show help."),
        # These two are read with the settings.
        Option("--isolated", action="store_true", default=False,
               help="Run pip in an isolated mode, ignoring environment variables and user configuration."),
        Option("--cache-dir", metavar="dir", help="Store the cache data in <dir>."),
    ]


def _group(parser: Parser, title: str, options: Sequence[Option]) -> optparse.OptionGroup:
    group = optparse.OptionGroup(parser, title)
    group.add_options(options)
    return group


def _at_most(words: list[str], most: int) -> None:
    if len(words) > most:
        raise CommandError("Too many arguments")
