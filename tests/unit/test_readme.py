"""README: short, and true where a program can tell."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from pipfast import settings
from pipfast.launch import OWN_COMMANDS

CHECKOUT = Path(__file__).parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 200


def test_first_commands_need_no_python_of_that_name_and_no_systems_environment() -> None:
    """On a fresh Debian there is no ``python``, and the system's own is externally managed."""
    commands = [line.strip() for line in README.splitlines() if line.startswith("    python3")]
    assert len(commands) == 2
    for command in commands:
        first, *rest = command.split(" && ")
        assert first == "python3 -m venv .venv"
        assert rest and all(each.startswith(".venv/bin/") for each in rest)


def test_settings_are_all_there_and_no_others() -> None:
    rows = re.findall(r"^\| `(PIPFAST\w*)` \| (.*) \| .* \|$", README, re.MULTILINE)
    assert sorted(rows) == sorted((each.variable, each.meaning) for each in settings.SETTINGS)


@pytest.mark.parametrize("command", re.findall(r"^\| `pipfast (.*?)` \|", README, re.MULTILINE))
def test_commands_take_what_is_said(command: str) -> None:
    words = re.sub(r"SIZE", "5G", re.sub(r"AGE", "30d", command)).replace("[", "").replace("]", "").split()
    assert words[0] in OWN_COMMANDS
    import_module(f"pipfast.commands.{words[0]}").parser().parse_args(words[1:])


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (CHECKOUT / target).exists(), target
