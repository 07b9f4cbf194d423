"""The section ``[pipfast]`` of pip's configuration files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pipfast.settings import Settings
from pipfast_hooks.startup.configuration import configured, read_values

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path that PIP_CONFIG_FILE names; no other configuration of the user's is read."""
    path = tmp_path / "own.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))
    for name in [name for name in os.environ if name.startswith("PIPFAST_")]:
        monkeypatch.delenv(name)
    return path


def ours(isolated: bool) -> dict[str, str]:
    values = read_values(isolated)
    return {key[8:]: value for key, value in values.items() if key.startswith("pipfast.")}



def test_the_section_is_read_from_the_file_that_pip_reads(file: Path) -> None:
    """Keys are spelt as pip lets them be spelt, and other sections are not ours."""
    text = "[global]\nconnections = 9\n[pipfast]\nconnections = 3\nBuild_Rescue = named\n"
    file.write_text(text, encoding="utf-8")
    assert ours(isolated=False) == {"connections": "3", "build-rescue": "named"}
    settings = configured(Settings(), ["install", "x"])
    assert (settings.connections, settings.build_rescue) == (3, "named")


def test_values_of_many_lines(file: Path) -> None:
    """One package a line, as pip's own lists are written."""
    text = "[pipfast]\nextra-build-dependencies =\n  flash-attn: torch>=2,<3, ninja\n  khoros: numpy\n"
    file.write_text(text, encoding="utf-8")
    assert configured(Settings(), []).extra_build_dependencies == {
        "flash-attn": ("torch>=2,<3", "ninja"), "khoros": ("numpy",)
    }


def test_the_environment_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("[pipfast]\nconnections = 3\nlink-mode = copy\n", encoding="utf-8")
    monkeypatch.setenv("PIPFAST_CONNECTIONS", "5")
    settings = configured(Settings.from_environ(os.environ), [])
    assert (settings.connections, settings.link_mode) == (5, "copy")


def test_the_file_of_the_environment_wins_over_that_of_the_user(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip's order: with PIP_CONFIG_FILE there is no file of the user's; without, there is, unless isolated."""
    user = tmp_path / "home" / "pip" / "pip.conf"
    user.parent.mkdir(parents=True)
    user.write_text("[pipfast]\nconnections = 2\n", encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file.write_text("[pipfast]\nworkers = 7\n", encoding="utf-8")
    assert ours(isolated=False) == {"workers": "7"}
    monkeypatch.delenv("PIP_CONFIG_FILE")
    assert ours(isolated=False)["connections"] == "2"
    assert "connections" not in ours(isolated=True)
    assert configured(Settings(), ["--isolated", "install"]).connections == Settings().connections


def test_a_broken_file_is_pips_to_complain_of(file: Path) -> None:
    """The settings stay those of the environment, and nothing is raised."""
    file.write_text("no section\n", encoding="utf-8")
    assert configured(Settings(connections=5), []) == Settings(connections=5)
