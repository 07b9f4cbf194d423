"""Environments that the real venv and virtualenv make after ``pipfast attach --new-environments``."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipfast.plugin import files
from support import snapshot
from support.program import make_box
from support.targets import pythons

if TYPE_CHECKING:
    from pathlib import Path

    from support.program import Box, Ended

pytestmark = pytest.mark.once

PYTHONS = {version: python for version, python in pythons().items() if len(version) == 4}
"""By version, from 3.10 on: of this and one other, environments are made."""


PIP = importlib.metadata.distribution("pip").locate_file("pip")

MAKE = """
import shutil, sys, venv
class Builder(venv.EnvBuilder):
    def post_setup(self, context):
        site = next(Path(context.env_dir).glob("lib/python*/site-packages"))
        shutil.copytree(sys.argv[2], site / "pip", ignore=shutil.ignore_patterns("__pycache__"))
from pathlib import Path
Builder(symlinks=True).create(sys.argv[1])
"""
"""A program that makes an environment with a copy of a pip, which takes a tenth of the time of ensurepip."""


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return make_box(tmp_path.resolve())


def two_pythons(folder: Path) -> list[str]:
    """Return the versions of two Pythons, and have them, and no others, in a folder for PATH."""
    folder.mkdir()
    this = f"3.{sys.version_info[1]}"
    versions = sorted(PYTHONS, key=lambda version: version != this)[:2]
    for version in versions:
        program = folder / f"python{version}"
        program.write_text(f'#!/bin/sh\nexec "{PYTHONS[version]}" "$@"\n', "utf-8")
        program.chmod(0o755)
    return versions


def pip(box: Box, made: Path, *arguments: str, **variables: str) -> Ended:
    """Run a new environment's own pip."""
    code = ("import subprocess, sys; ended = subprocess.run(sys.argv[1:], capture_output=True, text=True); "
            "sys.stdout.write(ended.stdout); sys.stderr.write(ended.stderr); sys.exit(ended.returncode)")
    return box.run("-c", code, str(made / "bin" / "python"), "-I", "-m", "pip", *arguments, **variables)


@pytest.mark.skipif(len(PYTHONS) < 2, reason="one Python")
def test_venv_of_two_pythons(box: Box) -> None:
    """The user sites are as they were, afterwards; what was made stays attached."""
    versions = two_pythons(box.root / "bin")
    path = {"PATH": str(box.root / "bin")}
    home = box.root / "home" / ".local"
    sites = [home / "lib" / f"python{version}" / "site-packages" for version in sorted(versions)]
    sites[0].mkdir(parents=True)
    (sites[0] / "theirs.pth").write_text("import os\n", "utf-8")
    before = snapshot.picture(home)
    ended = box.pipfast("attach", "--new-environments", **path)
    assert (ended.status, ended.err) == (0, "")
    lines = {f"Attached: what venv and virtualenv make, run by a Python that reads {site}" for site in sites}
    assert lines <= set(ended.out.splitlines())
    for version in versions:
        made = box.work / version
        how = ("-m", "venv", made) if version == versions[0] else ("-c", MAKE, made, PIP)
        subprocess.run([box.root / "bin" / f"python{version}", *how], env=box.environ(), check=True)
        assert pip(box, made, "store", "path").out == f"{box.store}\n"
    said = box.pipfast("doctor")
    assert f"venv and virtualenv of {', '.join(site.parent.name for site in sites)}\n" in said.out
    ended = box.pipfast("detach", "--new-environments", **path)
    assert (ended.status, ended.out) == (0, "Detached: what venv and virtualenv make is plain\n")
    assert not list(snapshot.compare_trees(before, snapshot.picture(home)))
    assert box.pipfast("detach", "--new-environments").err == "WARNING: nothing attaches new environments.\n"


def test_virtualenv_in_an_environment(box: Box) -> None:
    """As tox's and nox's own, installed by pipx: it has no user site, and is named."""
    site = ("--new-environments", "--python", str(box.root / "venv"))
    before = snapshot.picture(box.root / "venv")
    ended = box.pipfast("attach", *site)
    assert ended.out == f"Attached: what venv and virtualenv make, run by {box.python}\n"
    made = box.work / "made"
    ended = box.run("-m", "virtualenv", "--quiet", "--no-periodic-update", str(made))
    assert (ended.status, ended.err) == (0, "")
    assert pip(box, made, "store", "path").out == f"{box.store}\n"
    assert box.pipfast("detach", *site).status == 0
    assert not list(snapshot.compare_trees(before, snapshot.picture(box.root / "venv")))


def test_what_cannot_be(box: Box) -> None:
    for arguments, said in (
        (("--prefix", str(box.work)), "--prefix names one environment, --new-environments means those to come"),
        (("--python", str(box.work)), f"{box.work} has no Python"),
        (("--python", str(box.work / "absent")), f"{box.work / 'absent'} cannot be run: "),
    ):
        ended = box.pipfast("attach", "--new-environments", *arguments)
        assert (ended.status, ended.out) == (1, "") and ended.err.startswith(f"ERROR: {said}")
    (box.site_packages / files.OF_MAKERS.names[2]).touch()
    ended = box.pipfast("attach", "--new-environments", "--python", str(box.python))
    assert (ended.status, ended.out) == (1, "") and "is not as pipfast wrote it; nothing is changed" in ended.err
    assert box.pipfast("doctor").status == 1
