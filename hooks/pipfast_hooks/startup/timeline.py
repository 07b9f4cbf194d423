"""Option ``--timeline``: taken out of pip's command line, shown in its help."""

from __future__ import annotations

from optparse import Option, OptionParser
from typing import TYPE_CHECKING

from pip._internal.cli import cmdoptions
from pip._internal.cli.main_parser import create_main_parser
from pip._internal.commands import commands_dict, create_command

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "--timeline"

_HELP = "Write a page that shows what the time went into (pipfast's), and FILE.json beside it, a trace."


def take(arguments: list[str], own: Sequence[str] = ()) -> tuple[list[str], str | None]:
    """Return a command line without the option, and its last value; None if it is not there.

    Words are read as pip's parsers read them: another option's value, and what is behind ``--``, is not ours.
    A missing value ends the process as pip's parsers end it.

    :param own: the names of our own commands.
    """
    value, others, words = None, list[str](), list(arguments)
    parser, is_command = create_main_parser(), False
    while words:
        word = words.pop(0)
        name, equals, given = word.partition("=")
        if name == NAME:
            if not (given if equals else "".join(words[:1])):
                parser.error(f"{NAME} option requires 1 argument")
            value = given if equals else words.pop(0)
            continue
        others.append(word)
        if word == "--":
            break
        if word.startswith("-") and len(word) > 1:
            count = _values_after(parser, word)
            others += words[:count]
            del words[:count]
        elif not is_command:
            if word in own:
                # Not at the top: pip's help asks this module, and needs no command's.
                from pipfast_hooks.startup.own_command import OwnCommand

                parser, is_command = OwnCommand(word, "").parser, True
            elif word in commands_dict:
                parser, is_command = create_command(word).parser, True
            else:
                break
    return [*others, *words], value


def _values_after(parser: OptionParser, word: str) -> int:
    """Return how many of the next words are values of the option in this one."""
    if word.startswith("--"):
        name, equals, _ = word.partition("=")
        option = parser.get_option(name) or _abbreviated(parser, name)
        return (option.nargs or 0) - bool(equals) if option is not None and option.takes_value() else 0
    for place, letter in enumerate(word[1:], 1):
        option = parser.get_option(f"-{letter}")
        if option is not None and option.takes_value():
            # The rest of the word is its value, if there is a rest.
            return (option.nargs or 0) - (place + 1 < len(word))
    return 0


def _abbreviated(parser: OptionParser, name: str) -> Option | None:
    """Return the option whose name begins so; where there are several, pip refuses the word."""
    options = [*parser.option_list, *(each for group in parser.option_groups for each in group.option_list)]
    return next((each for each in options if any(whole.startswith(name) for whole in str(each).split("/"))), None)


def show_in_help() -> None:
    """Have pip's help list the option; its parsers never meet it."""
    cmdoptions.general_group["options"].append(_option)


def _option() -> Option:
    return Option(NAME, dest="timeline", metavar="FILE.html", help=_HELP)
