"""An installer that a rescued build runs does not reach the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.snapshot import picture
from support.sources import archive

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box

INSTALLING = """
import os, subprocess, sys, torch
python = [sys.executable, "-m", "pip"]
for command in (
    [*python, "install", "unknown"],
    ["pip", "install", "--force-reinstall", "--no-deps", "unknown"],
    ["python", "-m", "pip", "install", "--upgrade", "torch"],
    [*python, "uninstall", "--yes", "torch", "beside"],
    [*python, "install", "--user", "--force-reinstall", "--no-deps", "unknown"],
    [sys.executable, "-I", "-m", "pip", "--isolated", "install", "--index-url", os.environ["PIP_INDEX_URL"],
     "--force-reinstall", "--no-deps", "unknown"],
):
    try:
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        pass
code = subprocess.run([sys.executable, "-c", "import unknown"]).returncode
os.makedirs("src/meddling", exist_ok=True)
with open("src/meddling/seen.txt", "w") as stream:
    stream.write(str(code))
"""


@pytest.fixture
def meddling(index: Index) -> Index:
    """Return the index with a package whose build installs, upgrades and removes what it likes."""
    index.add(archive("meddling", scripts={"wheel": INSTALLING}))
    return index


@pytest.mark.once
@pytest.mark.parametrize("variables", [{}, {"PIP_TARGET": "there"}, {"PIP_NO_CACHE_DIR": "1"}])
def test_target_stays_as_it_was(box: Box, meddling: Index, variables: dict[str, str]) -> None:
    """What a build script installs is there for the rest of that build, and nowhere afterwards."""
    assert box.pipfast("install", *meddling.args, "torch==1.0").status == 0
    before = {path: entry for path, entry in picture(box.site_packages).items() if "__pycache__" not in path}
    # Of no environment but the test's own, whatever becomes of this.
    variables = {**variables, "PATH": str(box.python.parent), "PIP_INDEX_URL": meddling.url}
    ended = box.pipfast("install", "--no-deps", "meddling", **variables)
    assert ended.status == 0, ended.err
    folder = box.work / "there" if "PIP_TARGET" in variables else box.site_packages
    assert (folder / "meddling" / "seen.txt").read_text(encoding="utf-8") == "0"
    after = picture(box.site_packages)
    assert {path: after.get(path) for path in before} == before
    assert {path.partition("/")[0] for path in after.keys() - before.keys() if "__pycache__" not in path} <= {
        "meddling", "meddling-1.0.dist-info"
    }
    assert sorted(path.name for path in folder.glob("*unknown*")) == []
    assert box.leftovers() == []
