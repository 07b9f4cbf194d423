"""obstore is found beside pipfast, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pipfast
from pipfast.remote import library
from pipfast.remote.library import NoLibrary, home, load

ROOT = str(Path(str(pipfast.__file__)).parents[1])


def test_missing_library_is_named_with_the_way_to_it(tmp_path: Path) -> None:
    with pytest.raises(NoLibrary, match="not installed in") as found:
        load(str(tmp_path))
    assert "pip install 'pipfast[remote]'" in found.value.hint


def test_library_for_another_python_is_not_loaded(tmp_path: Path) -> None:
    """Its compiled part might crash this one."""
    (tmp_path / "obstore").mkdir()
    (tmp_path / "obstore" / "__init__.py").write_text("raise SystemExit(1)\n", encoding="utf-8")
    info = tmp_path / "obstore-0.12.1.dist-info"
    info.mkdir()
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nTag: cp399-cp399-manylinux_2_17_x86_64\n", encoding="utf-8")
    with pytest.raises(NoLibrary, match="is not for Python"):
        load(str(tmp_path))


def test_broken_library_is_said_to_be_broken(tmp_path: Path) -> None:
    (tmp_path / "obstore").mkdir()
    (tmp_path / "obstore" / "__init__.py").write_text("1 / 0\n", encoding="utf-8")
    code = (f"import sys; sys.path.insert(0, {ROOT!r})\nfrom pipfast.remote.library import load\n"
            f"load({str(tmp_path)!r})")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "cannot be imported (ZeroDivisionError" in ended.stderr


def test_obstore_of_the_target_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the user's path counts only where pipfast itself is installed in it."""
    theirs = tmp_path / "theirs"
    (theirs / "obstore").mkdir(parents=True)
    ours = tmp_path / "ours"
    (ours / "pipfast-1.0.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(theirs), str(ours)])
    monkeypatch.setattr(library, "__file__", str(tmp_path / "checkout" / "pipfast" / "remote" / "library.py"))
    assert home() == str(ours)
    monkeypatch.setattr(sys, "path", [str(theirs)])
    assert home() is None


def test_installed_pipfast_finds_what_is_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Python runs it."""
    (tmp_path / "pipfast-1.0.dist-info").mkdir()
    monkeypatch.setattr(library, "__file__", str(tmp_path / "pipfast" / "remote" / "library.py"))
    monkeypatch.setattr(sys, "path", [])
    assert home() == str(tmp_path)
