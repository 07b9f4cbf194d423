"""pip's own ways to name a Python."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from pipfast.targets.asked import asked, without_option

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = sys.executable


def found(
    arguments: list[str], environ: dict[str, str] | None = None, configured: str = ""
) -> tuple[str, str] | None:
    target = asked(arguments, environ or {"PIP_CONFIG_FILE": os.devnull}, lambda: configured)
    assert target is None or target.by_pip
    return None if target is None else (target.python, target.why)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--python", PYTHON, "list"],
        [f"--python={PYTHON}", "list"],
        ["--py", PYTHON],
        [f"--pyth={PYTHON}", "list", "--python", "other"],
        ["-v", "--isolated", "--log", "--python", f"--proxy={PYTHON}", "--python", PYTHON, "list"],
        ["--time", "3", "--python", PYTHON, "list"],
        ["--python", "no/python", "--python", PYTHON],
    ],
    ids=str,
)
def test_option(arguments: list[str]) -> None:
    assert found(arguments) == (PYTHON, "--python")
    others = without_option(arguments)
    assert len(others) < len(arguments) and found(others) is None


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["list", "--python", PYTHON],
        ["download", "--python-version", "3.9"],
        ["--", "--python", PYTHON],
        ["--log", "--python", PYTHON],
        ["--help", "--python", PYTHON],
        ["--python", PYTHON, "-h"],
        ["--python", "no/python", "list"],
        ["--python", ""],
        ["--python"],
        ["--pythons", PYTHON, "list"],
    ],
    ids=str,
)
def test_no_option(arguments: list[str]) -> None:
    """Among them what pip will complain of, and what it does in the Python that runs it."""
    assert found(arguments) is None


def test_an_environments_folder(tmp_path: Path) -> None:
    assert found(["--python", str(tmp_path), "list"]) is None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    assert found(["--python", str(tmp_path), "list"]) == (str(tmp_path / "bin" / "python"), "--python")


def test_bare_name_is_left_to_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip finds it in the current folder, and the system then starts another one, on PATH."""
    (tmp_path / "python").touch()
    monkeypatch.chdir(tmp_path)
    assert found(["--python", "python", "list"]) is None
    assert found(["--python", "./python", "list"]) == ("./python", "--python")


def test_order(tmp_path: Path) -> None:
    """The command line, the variable, the files; an empty option turns the variable off, not so the reverse."""
    file = tmp_path / "pip.conf"
    file.write_text("[global]\n  PYTHON : x\n", "utf-8")
    environ = {"PIP_CONFIG_FILE": str(file)}
    assert found([], environ, PYTHON) == (PYTHON, "python in pip's configuration")
    assert found([], environ | {"PIP_PYTHON": ""}, PYTHON) == (PYTHON, "python in pip's configuration")
    other = str(tmp_path / "pip.conf")
    assert found([], environ | {"PIP_PYTHON": other}, PYTHON) == (other, "PIP_PYTHON")
    assert found(["--python", PYTHON], environ | {"PIP_PYTHON": other}) == (PYTHON, "--python")
    assert found(["--python="], environ | {"PIP_PYTHON": other}, PYTHON) is None


@pytest.mark.parametrize("variable", ["_PIP_RUNNING_IN_SUBPROCESS", "PIP_AUTO_COMPLETE"])
def test_not_in_the_process_that_pip_starts_nor_in_completion(variable: str) -> None:
    assert found(["--python", PYTHON], {variable: "1", "PIP_PYTHON": PYTHON}, PYTHON) is None


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("[global]\npython = x", True),
        ("[global]\n--python: x", True),
        ("[install]\nPython=x", True),
        ("[global]\nindex-url = https://python.example/python=1\nno-python-version-warning = 1", False),
        ("", False),
    ],
)
def test_pip_is_asked_only_if_a_file_has_the_key(tmp_path: Path, text: str, asks: bool) -> None:
    """Asking it takes as long as a tenth of a command."""
    calls = []

    def configured() -> str:
        calls.append(1)
        return ""

    home = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "pip.conf").write_text(text, "utf-8")
    assert asked([], home, configured) is None
    assert bool(calls) == asks
    assert asked([], home | {"PIP_CONFIG_FILE": os.devnull}, lambda: PYTHON) is None
