"""Two builds of one source tree are the same bytes, whenever, wherever and with whatever umask."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.house import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

LEFT_OUT = shutil.ignore_patterns(".git", ".tox", ".venv", ".*_cache", "__pycache__", "bundled", ".bundled-*")


def built(folder: Path, umask: int, time: float) -> str:
    """Build the wheel of a copy of the sources and return its SHA-256."""
    shutil.copytree(CHECKOUT, folder / "sources", ignore=LEFT_OUT)
    for path in (folder / "sources").rglob("*"):
        os.utime(path, (time, time))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(folder / "sources")],
        check=True, umask=umask,
    )
    (wheel,) = folder.glob("*.whl")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@pytest.mark.slow
def test_two_builds_are_equal(tmp_path: Path) -> None:
    assert built(tmp_path / "one", 0o022, 1_600_000_000) == built(tmp_path / "two", 0o077, 1_700_000_000)
