"""A repository's subdirectory in a requirements file, which imports torch undeclared."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.program import Ended
from support.sources import seeing, source

if TYPE_CHECKING:
    from pathlib import Path

    from support.index import Index
    from support.program import Box

pytestmark = [pytest.mark.once, pytest.mark.skipif(shutil.which("git") is None, reason="needs git")]

_SCRIPT = b"from setuptools import setup\nsetup(name='rotary_emb', version='0.1')\n"


def repository(box: Box, *, named: bool = True) -> str:
    """Make the repository and return the line that asks for its subdirectory, by address alone."""
    root = box.work / "flash"
    tree = source("rotary_emb", scripts={"requires": seeing("torch", "rotary_emb")})
    # What a setup.py has there when nothing was built yet: no PKG-INFO.
    del tree["PKG-INFO"]
    if named:
        tree["setup.py"] = _SCRIPT
    for path, data in tree.items():
        (root / "csrc" / "rotary" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "csrc" / "rotary" / path).write_bytes(data)
    git = ["git", "-C", str(root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    return f"git+{root.as_uri()}#subdirectory=csrc/rotary"


def install(box: Box, index: Index, *lines: str, **variables: str) -> Ended:
    """Install a requirements file."""
    (box.work / "requirements.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    ended = box.pipfast("install", *index.args, "-r", "requirements.txt", **variables)
    assert box.leftovers() == []
    return ended


def pasted(box: Box, index: Index, hint: str) -> Ended:
    """Do as a hint says: run its line in a shell, then the same command again."""
    command = f"{hint}\n{box.python} -m pipfast install {' '.join(index.args)} -r requirements.txt\n"
    ended = subprocess.run(
        ["bash", "-ec", command], cwd=box.work, env=box.environ(PIPFAST_BUILD_RESCUE="named"),
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def seen(site_packages: Path) -> str:
    """Return the torch that it was built against."""
    return (site_packages / "rotary_emb" / "seen.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["named", "on"])
def test_torch_in_the_run(box: Box, index: Index, mode: str) -> None:
    """It is built against the version that is installed beside it."""
    ended = install(box, index, "torch==1.0", repository(box), PIPFAST_BUILD_RESCUE=mode)
    assert ended.status == 0, ended.err
    assert seen(box.site_packages) == "1.0"
    assert (
        "pipfast: rotary_emb imports torch without declaring it. Building it again without isolation, with "
        "torch==1.0 (this command asks for it).\n"
    ).replace("torch==", "torch ") in ended.err


@pytest.mark.parametrize("mode", ["named", "on"])
def test_torch_in_the_environment(box: Box, index: Index, mode: str) -> None:
    """It is built against what is there, which stays."""
    assert box.pipfast("install", *index.args, "torch==1.0").status == 0
    ended = install(box, index, repository(box), PIPFAST_BUILD_RESCUE=mode)
    assert ended.status == 0, ended.err
    assert seen(box.site_packages) == "1.0"
    assert "with torch 1.0 (the version that the environment has)." in ended.err


def test_torch_nowhere(box: Box, index: Index) -> None:
    """The reviewed table names it, for this build alone."""
    ended = install(box, index, repository(box))
    assert ended.status == 0, ended.err
    assert seen(box.site_packages) == "2.0"
    assert "torch" not in box.installed()
    assert "if rotary_emb needs it to run:\n  pipfast install torch\n" in ended.err


@pytest.mark.parametrize("named", [True, False])
def test_torch_nowhere_and_named(box: Box, index: Index, named: bool) -> None:
    """Refused; the hint works when it is pasted, also where no file of the package tells its name."""
    ended = install(box, index, repository(box, named=named), PIPFAST_BUILD_RESCUE="named")
    assert ended.status == 1
    assert "imports torch without declaring it, and pipfast may not add torch (build-rescue = named)" in ended.err
    hint = ended.err.splitlines()[-1]
    assert hint.startswith("  export PIPFAST_EXTRA_BUILD_DEPENDENCIES=")
    ended = pasted(box, index, hint)
    assert ended.status == 0, ended.err
    assert seen(box.site_packages) == "2.0"


def test_hint_to_build_it_again_names_the_repository(box: Box, index: Index) -> None:
    """The index may have another project of that name: pasted, the line builds the same commit again."""
    assert install(box, index, "torch==1.0", repository(box)).status == 0
    ended = box.pipfast("install", *index.args, "torch==2.0")
    hint = ended.err.splitlines()[-1]
    assert hint.startswith("  pipfast install --force-reinstall --no-deps 'git+file:///")
    ended = box.pipfast(*shlex.split(hint)[1:], *index.args)
    assert ended.status == 0, ended.err
    assert seen(box.site_packages) == "2.0"


@pytest.mark.parametrize("lines", [["torch==1.0"], []])
def test_off(box: Box, index: Index, lines: list[str]) -> None:
    """The failure is pip's, whoever names torch."""
    ended = install(box, index, *lines, repository(box), PIPFAST_BUILD_RESCUE="off")
    assert ended.status == 1
    assert "pipfast:" not in ended.err
