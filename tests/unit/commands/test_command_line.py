"""Command lines of our own commands: in pip's words and layout."""

from __future__ import annotations

import optparse
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.commands.command_line import Action, CommandError, Option, Parser, json_option, run
from pipfast.launch import OWN_COMMANDS
from pipfast.report import counted

if TYPE_CHECKING:
    from collections.abc import Callable

DESCRIPTION = "Look at things.\nThe lines are short."
OPTIONS: tuple[tuple[list[str], dict[str, Any]], ...] = (
    (["-q", "--quiet"], {"action": "store_true", "help": "Say less than is said without it, in a long text."}),
    (["--some-long-name-of-an-option"], {"metavar": "VALUE", "help": "Its name has a line of its own."}),
    (["--size"], {"help": "No metavar (default: %default).", "default": "5G"}),
)
GENERAL = (
    (["-h", "--help"], {"dest": "help", "action": "help", "help": "Show help."}),
    (["--isolated"], {"action": "store_true", "help": (
        "Run pip in an isolated mode, ignoring environment variables and user configuration."
    )}),
    (["--cache-dir"], {"metavar": "dir", "help": "Store the cache data in <dir>."}),
)


def by_pip() -> Any:
    """Return pip's own parser, with the same usage, description and options."""
    parser = import_module(".".join(["pip", "_internal", "cli", "parser"]))
    made = parser.ConfigOptionParser(
        usage="\n%prog see <thing>\n%prog hear", prog="pip things", name="things", description=DESCRIPTION,
        formatter=parser.UpdatingDefaultsHelpFormatter(), add_help_option=False,
    )
    for title, options in ("Things Options", OPTIONS), ("General Options", GENERAL):
        group = optparse.OptionGroup(made, title)
        for names, attributes in options:
            group.add_option(optparse.Option(*names, **attributes))
        made.add_option_group(group)
    return made


def by_us() -> Parser:
    options = [Option(*names, **attributes) for names, attributes in OPTIONS]
    return Parser("things", DESCRIPTION, options, usages=["see <thing>", "hear"])


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["pip"])


@pytest.mark.parametrize("width", [44, 80, 200])
@pytest.mark.parametrize("arguments", [["--help"], ["--what"], ["--size"], ["--quiet=1"], ["--s=1"]], ids=str)
def test_help_and_errors_are_as_pips_parser_prints_them(
    width: int, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the exit code. The parser is that of the pip at hand."""
    monkeypatch.setenv("COLUMNS", str(width))

    def said(parser: Any) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as caught:
            parser.parse_args(arguments)
        return caught.value.code, *capsys.readouterr()

    expected = said(by_pip())
    assert said(by_us()) == expected
    assert expected[0] == (0 if arguments == ["--help"] else 2)


def test_description_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    actions = MappingProxyType({"see": Action(lambda: 0, "Look at what is there, all of it.")})
    text = Parser("things", "Words that need more-than-one line.", actions=actions).format_help()
    assert "\n  Words that need\n  more-than-one line.\n" in text
    assert "\n  - see: Look at what is\n    there, all of it.\n" in text


def test_options_belong_to_actions(capsys: pytest.CaptureFixture[str]) -> None:
    see, hear = Action(lambda: 0, "See.", "[<thing>] [--json]", words=1), Action(lambda: 0, "Hear.")
    parser = Parser("things", "", [json_option()], actions=MappingProxyType({"see": see, "hear": hear}))
    action, options, words = parser.read_action(["--isolated", "see", "--json", "a thing"])
    assert (action, options.json, words) == (see, True, ["a thing"])
    with pytest.raises(SystemExit):
        parser.read_action(["hear", "--json"])
    assert capsys.readouterr().err.endswith("hear has no option --json\n")
    with pytest.raises(CommandError, match="Too many arguments"):
        parser.read_action(["hear", "that"])


@pytest.mark.parametrize(("typed", "offered"), [
    ("pipfast things --", ["--json", "--help", "--isolated", "--cache-dir"]),
    ("pipfast things see --", ["--json", "--help", "--isolated", "--cache-dir"]),
    ("pipfast things hear --", ["--help", "--isolated", "--cache-dir"]),
])
def test_completion_offers_what_the_action_takes(
    typed: str, offered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_WORDS", typed)
    actions = {"see": Action(lambda: 0, "See.", "[--json]"), "hear": Action(lambda: 0, "Hear.")}
    parser = Parser("things", "", [json_option()], actions=actions)
    assert [option.get_opt_string() for option in parser.option_list_all] == offered


def raises(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize("typed", [["--python", "p"], ["--python=p"]])
def test_python_comes_before_the_command(typed: list[str]) -> None:
    """In pip's words, where the command has no such option of its own."""
    with pytest.raises(CommandError, match="--python option must be placed before the pip subcommand name"):
        Parser("look", DESCRIPTION).read(typed)


def test_errors_are_written_as_pips(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raises(CommandError("there is no such thing", "make one"))) == 1
    assert run(raises(KeyboardInterrupt())) == 1
    assert capsys.readouterr() == (
        "", "ERROR: there is no such thing\nhint: make one\nERROR: Operation cancelled by user\n")
    assert run(lambda status: status, 7) == 7


@pytest.mark.parametrize("name", OWN_COMMANDS)
def test_every_command_has_a_usage_and_a_description(name: str) -> None:
    """And a sentence for each option, as pip's have."""
    parser = import_module(f"pipfast.commands.{name.replace('-', '_')}").parser()
    assert parser.format_help().startswith(f"\nUsage:   \n  pip {name}")
    assert "\nDescription:\n  " in parser.format_help()
    for option in parser.option_list_all:
        assert option.help[0].isupper() and option.help[-1] in ".)", option


@pytest.mark.parametrize(("count", "said"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries")])
def test_counts_have_their_nouns(count: int, said: str) -> None:
    assert counted(count, "entry") == said
    assert counted(count, "file") == f"{count} file" + "s" * (count != 1)
    assert counted(count, "child", "children") == (f"{count} child" if count == 1 else f"{count} children")
