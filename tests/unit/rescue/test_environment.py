"""The environment of a rescued build is its own, and sees the target's packages."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from pipfast.rescue.environment import VARIABLES, Overlay

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    """Return an overlay over one folder, in which another one is added by a file as editable installs have it."""
    target, further = tmp_path / "target", tmp_path / "further"
    for folder in (target, further):
        folder.mkdir()
    for name in ("both", "here"):
        (target / f"{name}.py").write_text("place = 'target'\n", encoding="utf-8")
    (further / "editable.py").write_text("place = 'further'\n", encoding="utf-8")
    (target / "editable.pth").write_text(f"{further}\n", encoding="utf-8")
    overlay = Overlay(tmp_path / "an overlay")
    overlay.create([os.fspath(target)])
    return overlay


def said(overlay: Overlay, *arguments: str) -> str:
    """Return what the overlay's interpreter prints."""
    return subprocess.run(
        [overlay.python, *arguments], check=True, capture_output=True, encoding="utf-8"
    ).stdout.strip()


def test_own_packages_win_over_the_target_s(overlay: Overlay, tmp_path: Path) -> None:
    """Also what a .pth file of the target adds is seen, also in isolated mode."""
    for folder in overlay.lib_dirs():
        (tmp_path / folder / "both.py").write_text("place = 'overlay'\n", encoding="utf-8")
    code = "import both, here, editable; print(both.place, here.place, editable.place)"
    for mode in ([], ["-I"]):
        assert said(overlay, *mode, "-c", code) == "overlay target further"


def test_prefix_is_its_own(overlay: Overlay) -> None:
    """An installer takes the folder below ``sys.prefix``; that is where ours looks."""
    code = "import sys, sysconfig; print(sys.prefix, sysconfig.get_path('purelib'), sysconfig.get_path('scripts'))"
    assert said(overlay, "-c", code) == f"{overlay.prefix} {overlay.lib_dirs()[0]} {overlay.scripts()}"


def test_variables_name_no_other_place(overlay: Overlay) -> None:
    """What says where installers put things is the overlay, or nothing."""
    before = {"PATH": "/bin", "PYTHONPATH": None, "PYTHONNOUSERSITE": "1"}
    made = overlay.environ(before, ["PIP_TARGET"])
    assert set(made) == set(VARIABLES)
    assert made["PATH"] == f"{overlay.scripts()}{os.pathsep}/bin"
    assert made["PYTHONNOUSERSITE"] == "1"
    assert made["PIP_TARGET"] == overlay.lib_dirs()[0]
    assert made["PIP_PREFIX"] is None and made["PIP_USER"] is None
