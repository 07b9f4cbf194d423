"""pip removes a folder that RECORD lists, and shows nothing odd before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast import __version__
from pipfast.targets.own_record import record_folders
from support.wheels import Wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support.program import Box

FILES = ("pipfast/__init__.py", "pipfast/deep/__init__.py", "pipfast/deep/module.py", "pipfast_hooks/__init__.py")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a wheel with our folders, and little in them."""
    files = dict.fromkeys(FILES, "")
    wheel = Wheel("pipfast", __version__, files=files, console={"pipfast": "pipfast:main"}).build()
    path = tmp_path / wheel.filename
    path.write_bytes(wheel.data)
    return path


def install(box: Box, archive: Path, *options: str) -> None:
    # The running one is seen, too.
    ended = box.pip("install", "--no-index", "--no-deps", "--ignore-installed", *options, str(archive))
    assert ended.status == 0, ended.err


def fill(box: Box) -> None:
    """Write what other Pythons leave: bytecode, and a file of it that was being written."""
    for name in FILES:
        path = box.site_packages / name
        cache = path.parent / "__pycache__"
        cache.mkdir(exist_ok=True)
        for tag in ("cpython-399", "cpython-399.opt-2"):
            (cache / f"{path.stem}.{tag}.pyc").write_bytes(b"code")
        (cache / f"{path.stem}.cpython-399.pyc.140123").write_bytes(b"co")


def test_uninstalling_removes_the_folders(box: Box, archive: Path) -> None:
    install(box, archive)
    fill(box)
    record_folders(str(box.site_packages))
    shown = box.pip("show", "--files", "pipfast").out.partition("Files:\n")[2].split()
    assert {"pipfast", "pipfast_hooks", *FILES} <= set(shown)
    assert len(shown) == len(set(shown))
    assert box.pip("list").out.count("pipfast ") == 1
    assert box.pip("inspect", "--local").status == 0
    ended = box.run("-m", "pip", "uninstall", "pipfast", stdin="y\n")
    assert (ended.status, ended.err) == (0, "")
    assert f"{box.site_packages}/pipfast\n" in ended.out
    assert not box.installed()
    assert not (box.root / "venv" / "bin" / "pipfast").exists()


def test_upgrading_removes_what_is_old(box: Box, archive: Path) -> None:
    """pip takes the rows of the old one, and the new one has none yet."""
    install(box, archive)
    fill(box)
    record_folders(str(box.site_packages))
    ended = box.pip("install", "--no-index", "--no-deps", "--force-reinstall", str(archive))
    assert ended.status == 0, ended.err
    assert "Successfully uninstalled pipfast" in ended.out
    assert not list(box.site_packages.rglob("*.cpython-399*"))
    assert all((box.site_packages / name).is_file() for name in FILES)


def test_a_failed_upgrade_brings_everything_back(box: Box, archive: Path) -> None:
    install(box, archive)
    fill(box)
    record_folders(str(box.site_packages))
    before = {path for folder in ("pipfast", "pipfast_hooks") for path in (box.site_packages / folder).rglob("*")}
    # A folder stands where the script is to be written.
    broken = Wheel("pipfast", "99", files=dict.fromkeys(FILES, ""), data={"data/bin/python/x": ""}).build()
    (archive.parent / broken.filename).write_bytes(broken.data)
    ended = box.pip("install", "--no-index", "--no-deps", str(archive.parent / broken.filename))
    assert ended.status != 0
    assert "Rolling back uninstall of pipfast" in ended.out
    after = {path for folder in ("pipfast", "pipfast_hooks") for path in (box.site_packages / folder).rglob("*")}
    assert after == before
