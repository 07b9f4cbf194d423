"""Versions of tools: what they are, not where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast.remote import tools
from pipfast.remote.tools import Untold, tool_versions

if TYPE_CHECKING:
    from pathlib import Path


def tool(folder: Path, name: str, says: str) -> str:
    """Write a tool that says something of its version, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(0o755)
    return str(folder)


def test_place_and_name_of_a_tool_do_not_count(tmp_path: Path) -> None:
    """Machines with the same compiler in other folders share wheels."""
    here = tool(tmp_path / "a", "swig", "swig (X 1.2) 1.2.3")
    there = tool(tmp_path / "b" / "c", "swig", "swig (X 1.2) 1.2.3")
    assert tool_versions({"PATH": here})["swig"] == "(X 1.2) 1.2.3"
    assert tool_versions({"PATH": f"/nowhere:{there}"})["swig"] == "(X 1.2) 1.2.3"


def test_another_tool_that_comes_first_on_path_counts(tmp_path: Path) -> None:
    old, new = tool(tmp_path / "a", "swig", "swig 1.2"), tool(tmp_path / "b", "swig", "swig 1.3")
    assert tool_versions({"PATH": f"{old}:{new}"}) != tool_versions({"PATH": f"{new}:{old}"})


def test_tool_that_a_variable_names_counts(tmp_path: Path) -> None:
    """CC may be a command with arguments; CUDA_HOME's nvcc wins over the one on PATH."""
    path = tool(tmp_path / "a", "nvcc", "nvcc release 11")
    tool(tmp_path / "cuda" / "bin", "nvcc", "nvcc release 12")
    tool(tmp_path / "a", "special-cc", "special-cc 7")
    found = tool_versions({"PATH": path, "CUDA_HOME": str(tmp_path / "cuda"), "CC": "special-cc -m64"})
    assert found["nvcc"] == "release 12" and found["cc"] == "7"


def test_tool_that_fails_is_not_one_that_is_missing(tmp_path: Path) -> None:
    folder = tool(tmp_path, "swig", "swig 1.2")
    (tmp_path / "swig").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert "swig" not in tool_versions({"PATH": "/nowhere"})
    assert tool_versions({"PATH": folder})["swig"] == "(fails)"


def test_tool_that_hangs_leaves_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place without it would be another machine's, which has no such tool."""
    monkeypatch.setattr(tools, "WAIT_S", 0.2)
    folder = tool(tmp_path, "swig", "swig 1.2")
    (tmp_path / "swig").write_text("#!/bin/sh\nexec /bin/sleep 60\n", encoding="utf-8")
    with pytest.raises(Untold, match="swig"):
        tool_versions({"PATH": folder})
