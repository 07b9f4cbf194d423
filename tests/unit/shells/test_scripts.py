"""Scripts for shells: quoting, and what real shells are not needed for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipfast.shells.scripts import COMMANDS, PYTHONS, SHELLS, file_name, hook, quoted, source_line, undo

CHECKOUT = Path(__file__).parents[3]


def test_names_with_versions_are_the_supported_ones() -> None:
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    assert tuple(re.findall(r"Python :: (3\.\d+)", text)) == PYTHONS


@pytest.mark.parametrize("shell", SHELLS)
def test_everything_is_filled_in(shell: str) -> None:
    script = hook(shell, "/own/pipfast", "/own/runner.py", file="/saved", sign="/sign")
    assert not re.search("@[A-Z]", script + undo(shell))
    for name in COMMANDS:
        assert re.search(rf"function (global:|')?{re.escape(name)}\b", script)
    for path in ("/own/pipfast", "/own/runner.py", "/saved", "/sign"):
        assert path in script
    assert "/sign" not in hook(shell, "/own/pipfast", "/own/runner.py", file="/saved")


def test_paths_may_look_like_places_of_a_template() -> None:
    script = hook("bash", "/@RUNNER@/pipfast", "/@NAMES@/\\1/runner.py")
    assert "'/@RUNNER@/pipfast'" in script
    assert "'/@NAMES@/\\1/runner.py'" in script


def test_powershell_takes_typographic_quotes_for_quotes() -> None:
    assert quoted("powershell", "it's \u2019$x`") == "'it''s \u2019\u2019$x`'"


@pytest.mark.parametrize(("shell", "line"), [
    ("bash", ". '/a b/hook.bash'"), ("zsh", ". '/a b/hook.zsh'"), ("fish", "source '/a b/hook.fish'"),
    ("powershell", ". '/a b/hook.ps1'"),
])
def test_line_for_the_start_up_file(shell: str, line: str) -> None:
    assert source_line(shell, f"/a b/{file_name(shell)}") == line
