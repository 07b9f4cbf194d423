"""The runner's answers about pipfast's own installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast import runner
from pipfast.launch import OWN_COMMANDS

if TYPE_CHECKING:
    from pathlib import Path


_RELATIVE = "# shared\nimport sys\n../shared\n"


@pytest.mark.parametrize("pth", [None, "{pip}\n", _RELATIVE], ids=["none", "pipx's", "relative"])
def test_pip_is_beside_or_where_a_pth_file_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pth: str | None
) -> None:
    """pipx has one pip for all its environments; a shell's function starts the runner and knows nothing of it."""
    here = tmp_path / "here"
    pip = here if pth is None else tmp_path / "shared"
    here.mkdir()
    (here / "broken.pth").write_bytes(b"\xff\n")
    (here / "folder.pth").mkdir()
    monkeypatch.setattr(runner, "roots", lambda: {"pipfast": str(here)})
    assert runner.folder_of_pip() == ""
    (pip / "pip").mkdir(parents=True)
    (pip / "pip" / "__pip-runner__.py").touch()
    if pth is not None:
        (here / "pipx_shared.pth").write_text(pth.format(pip=pip), "utf-8")
    assert (pip / "pip").samefile(f"{runner.folder_of_pip()}/pip")


def test_own_commands() -> None:
    """The runner cannot import the list."""
    assert sorted(runner.OWN_COMMANDS) == sorted(OWN_COMMANDS)


@pytest.mark.parametrize("name", OWN_COMMANDS)
def test_own_commands_say_which_python_they_do_not_run_in(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip would say that it knows no such command."""
    monkeypatch.setattr("sys.argv", ["runner.py", "pipfast", name])
    monkeypatch.setattr("sys.executable", "/old/python")
    monkeypatch.setattr(runner, "unsupported", lambda _: "it is old")
    assert runner.main() == 1
    assert capsys.readouterr().err == (
        f"ERROR: {name} does not run in /old/python: it is old\n"
        f"hint: name another Python: command pipfast --python PYTHON {name}\n"
    )
