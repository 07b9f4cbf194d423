"""``pipfast shell-hook``: what it prints, keeps and removes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pipfast.commands.command_line import CommandError
from pipfast.commands.shell_hook import _command, main
from pipfast.shells.scripts import SHELLS, hook, source_line, undo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what was started."""
    path = tmp_path / "pipfast"
    path.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["./pipfast", "shell-hook"])
    return str(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's folder for settings, which is not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "it's"))
    return tmp_path / "it's"


@pytest.mark.parametrize("shell", SHELLS)
def test_script_and_its_undoing_are_printed(
    shell: str, command: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([shell]) == 0
    assert capfd.readouterr() == (hook(shell, command), "")
    assert main(["--undo", shell]) == 0
    assert capfd.readouterr() == (undo(shell), "")
    assert not folder.exists()


def test_saved_and_removed(command: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The line for the start-up file is all that is printed."""
    file = folder / "pipfast" / "hook.bash"
    for _ in range(2):
        assert main(["--save", "bash"]) == 0
        assert capfd.readouterr() == (f"{source_line('bash', str(file))}\n", "")
    assert file.read_text(encoding="utf-8").endswith(hook("bash", command))
    assert list(file.parent.iterdir()) == [file]
    assert main(["--undo", "bash"]) == 0
    out, err = capfd.readouterr()
    assert out == undo("bash")
    assert f"{file} is removed" in err and f"  {source_line('bash', str(file))}\n" in err
    assert not file.parent.exists()


def test_what_cannot_be_done_is_named(folder: Path) -> None:
    folder.touch()
    with pytest.raises(CommandError, match=f"cannot write {folder}/pipfast/hook.zsh: Not a directory"):
        main(["--save", "zsh"])
    for arguments, message in ((["--save", "--undo", "zsh"], "together"), (["csh"], "bash"), ([], "bash")):
        with pytest.raises(CommandError, match=message):
            main(arguments)


def test_command_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the Python of ``python -m pipfast``, then on PATH; another program is not taken for it."""
    for name in ("bin", "path"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pipfast").touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "__main__.py")])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    for folder in ("bin", "path"):
        assert _command() == str(tmp_path / folder / "pipfast")
        (tmp_path / folder / "pipfast").unlink()
    with pytest.raises(CommandError, match="neither beside this Python nor on PATH"):
        _command()
