"""``pipfast attach`` and ``pipfast detach``: what their options may be."""

from __future__ import annotations

import pytest

from pipfast.commands import attach, detach
from pipfast.commands.command_line import CommandError
from pipfast.settings import Settings


@pytest.mark.parametrize("command", [attach, detach], ids=["attach", "detach"])
@pytest.mark.parametrize("option", ["--python", "--prefix"])
def test_unset_variable_of_a_script_is_no_environment(command: object, option: str) -> None:
    """As in ``pipfast attach --prefix "$VENV"``; the default would be another."""
    with pytest.raises(CommandError, match="is empty"):
        command.main([option, ""], Settings())  # type: ignore[attr-defined]
