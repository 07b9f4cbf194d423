"""Filesystems of a test's own, mounted for a while."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGES = {
    "btrfs": ["mkfs.btrfs", "--quiet", "--mixed"],
    "xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"],
    "ext4": ["mkfs.ext4", "-q"],
}
"""Commands that make a filesystem in a file."""

_IMAGE_BYTES = 310 << 20
"""Least for XFS, in a file with holes."""


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something on a folder within the block; skip the test where that is not allowed."""
    folder.mkdir(exist_ok=True, parents=True)
    command = ["mount", *options, str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"{' '.join(options)} cannot be mounted")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody, root included, write to a folder within the block; as ``mounted``."""
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield


@contextmanager
def image(folder: Path, kind: str, file: Path) -> Iterator[None]:
    """Mount a filesystem of an ``IMAGES`` kind from a file, which is made if it is not there; as ``mounted``."""
    if os.geteuid() or shutil.which(IMAGES[kind][0]) is None:
        pytest.skip(f"{kind} cannot be made")
    if not file.exists():
        with file.open("xb") as made:
            made.truncate(_IMAGE_BYTES)
        subprocess.run([*IMAGES[kind], str(file)], check=True, capture_output=True)
    with mounted(folder, "-o", "loop", "-t", kind, str(file)):
        folder.chmod(0o700)
        yield


@contextmanager
def filesystem(folder: Path, kind: str, beside: Path) -> Iterator[None]:
    """Mount a filesystem within the block; as ``mounted``.

    :param kind: of ``IMAGES``, ``tmpfs``, or ``overlay``, whose lower layer has what is in the folder.
    :param beside: a new folder for what it needs.
    """
    beside.mkdir()
    with ExitStack() as stack:
        if kind in IMAGES:
            stack.enter_context(image(folder, kind, beside / "image"))
        elif kind == "tmpfs":
            stack.enter_context(mounted(folder, "-t", "tmpfs", "-o", "mode=700", "tmpfs"))
        else:
            layers = {name: beside / name for name in ("upper", "work")}
            for each in layers.values():
                each.mkdir(mode=0o700)
            options = f"lowerdir={folder},upperdir={layers['upper']},workdir={layers['work']}"
            stack.enter_context(mounted(folder, "-t", "overlay", "-o", options, "overlay"))
        yield
