"""README: short, and true where a program can tell."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from pipfast import settings
from pipfast.launch import OWN_COMMANDS
from pipfast.rescue.diagnosis.causes import MissingModule
from pipfast.rescue.messages import granted, refused
from pipfast.rescue.trust.policy import Grant, Refusal, decide
from pipfast.rescue.trust.trusted import FailingPackage, Known
from pipfast_hooks.seams import NEWEST_TESTED

CHECKOUT = Path(__file__).parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 160


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
    parser = import_module(f"pipfast.commands.{words[0].replace('-', '_')}").parser()
    parser.read_action(words[1:]) if parser.actions else parser.read(words[1:])


@pytest.mark.parametrize(("module", "requirement"), [("Cython", "cython==3.3.1"), ("numpy", "numpy==2.4.6")])
def test_rescue_is_shown_as_it_is_told(module: str, requirement: str) -> None:
    grant = Grant(requirement, module.lower(), module, "bhtsne itself requires it")
    message, _ = granted("bhtsne", MissingModule(module), grant)
    assert f"    pipfast: {message}\n" in README


def test_refusal_is_shown_as_it_is_told() -> None:
    cause = MissingModule("torch")
    refusal = decide(cause, Known(FailingPackage("torch-scatter")), "named")
    assert isinstance(refusal, Refusal)
    message, hint = refused("torch-scatter", cause, refusal)
    assert f"pipfast: {message}\nhint: {hint}\n" in README.replace("\n    ", "\n")


def test_newest_pip_is_the_tables() -> None:
    newest = ".".join(map(str, NEWEST_TESTED))
    assert f"pips up to {newest}" in README and f"a pip newer than {newest}" in README


@pytest.mark.parametrize("page", ["README.md", "hooks/DIFFERENCES.md", "hooks/README.md", "pipx_fast/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = CHECKOUT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_differences_are_items_under_headings() -> None:
    text = (CHECKOUT / "hooks/DIFFERENCES.md").read_text(encoding="utf-8")
    for section in text.split("\n## ")[1:]:
        heading, _, items = section.partition("\n")
        assert all(line.startswith(("- ", "  ")) for line in items.splitlines() if line), heading
