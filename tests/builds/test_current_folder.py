"""Modules in the current folder are imported by no process of ours."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipfast.rescue.environment import Overlay
from support.sources import source

if TYPE_CHECKING:
    from pathlib import Path

    from support.index import Index
    from support.program import Box

OURS = ("pipfast", "pipfast_hooks", "pip")
LIBRARIES = ("build", "isal", "packaging", "platformdirs", "pyproject_hooks", "setuptools", "wrapt")
AT_START = ("encodings", "sitecustomize", "usercustomize", "site", "os", "runpy", "pkgutil")
OTHERS = (
    "argparse", "asyncio", "atexit", "compileall", "configparser", "ctypes", "difflib", "email", "fnmatch",
    "getpass", "hashlib", "heapq", "importlib", "json", "logging", "marshal", "optparse", "pathlib",
    "platform", "py_compile", "random", "re", "secrets", "select", "selectors", "shutil", "signal", "socket",
    "ssl", "subprocess", "sysconfig", "tempfile", "threading", "venv", "zipfile", "zlib",
)


def plant(box: Box, *names: str) -> Path:
    """Write modules and packages that leave their names in a file; return that."""
    found = box.root / "found"
    text = f"open({str(found)!r}, 'a').write(__name__ + '\\n')\nraise ImportError('the wrong one')\n"
    for name in names:
        (box.work / name).mkdir()
        for path in (box.work / name / "__init__.py", box.work / name / "__main__.py", box.work / f"{name}.py"):
            path.write_text(text, encoding="utf-8")
    return found


def test_none_is_run_by_a_rescued_build(box: Box, index: Index) -> None:
    """The processes that resolve and install what a build misses, its hooks, the workers, the early builds."""
    script = box.python.with_name("pipfast")
    script.write_text(f"#!{box.python}\nimport sys\nfrom pipfast.__main__ import main\nsys.exit(main())\n")
    found = plant(box, *OURS, *LIBRARIES, *AT_START, *OTHERS)
    ended = box.run(str(script), "install", *index.args, "torch<2", "needy", "late")
    assert ended.status == 0, ended.err
    assert (box.site_packages / "needy" / "seen.txt").read_text("utf-8") == "1.0"
    for own in (["doctor"], ["store", "verify"], ["store", "info"]):
        assert box.run(str(script), *own).status == 0
    assert not found.exists()


@pytest.mark.once
def test_none_is_run_by_the_pip_command_of_a_rescued_build(box: Box, index: Index, tmp_path: Path) -> None:
    """A build that runs ``pip`` in a folder where a module of that name lies gets pip."""
    overlay = Overlay(tmp_path / "it's an overlay")
    overlay.create([str(box.site_packages), *(each for each in sys.path if "site-packages" in each)])
    found = plant(box, "pip", "runpy")
    ended = subprocess.run([f"{overlay.scripts()}/pip", "--version"], cwd=box.work, env=box.environ(),
                           capture_output=True, text=True, timeout=60)
    assert ended.stdout.startswith("pip ") and not found.exists(), ended.stderr


@pytest.mark.once
@pytest.mark.parametrize("names", [LIBRARIES, AT_START, OTHERS], ids=["libraries", "start", "library"])
def test_with_m_the_current_folder_is_looked_at_as_by_pip(box: Box, index: Index, names: tuple[str, ...]) -> None:
    """``python -m`` puts it on the path: pip takes it away first of all, and so do we."""
    found = plant(box, *names)
    for command in (["--version"], ["install", *index.args, "beside"]):
        pip = box.pip(*command)
        wanted = found.read_text("utf-8") if found.exists() else ""
        found.unlink(missing_ok=True)
        box.pip("uninstall", "-y", "beside")
        found.unlink(missing_ok=True)
        ended = box.pipfast(*command)
        assert (ended.status, ended.out) == (pip.status, pip.out.replace("-m pip ", "-m pipfast "))
        assert (found.read_text("utf-8") if found.exists() else "") == wanted
        found.unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["source", "PYTHONPATH"])
def test_what_lies_in_a_source_or_on_the_path_is_run_as_by_pip(box: Box, index: Index, where: str) -> None:
    """The folder of a source that is installed from within, and one that the user has put on the path."""
    # On the path, modules of Python's own would end both at once.
    found = plant(box, *LIBRARIES, *(() if where == "PYTHONPATH" else (*OURS, *OTHERS)))
    for path, data in source("local", scripts={}).items():
        (box.work / path).parent.mkdir(parents=True, exist_ok=True)
        (box.work / path).write_bytes(data)
    variables = {"PYTHONPATH": str(box.work)} if where == "PYTHONPATH" else {}
    script = box.python.with_name("program")
    ran = []
    for main in ("from pip._internal.cli.main import main", "from pipfast.__main__ import main"):
        script.write_text(f"#!{box.python}\nimport sys\n{main}\nsys.exit(main())\n")
        found.unlink(missing_ok=True)
        ended = box.run(str(script), "install", *index.args, ".", **variables)
        ran.append((ended.status, set(found.read_text("utf-8").split()) if found.exists() else set()))
        box.pip("uninstall", "-y", "local")
    (stock, theirs), (ours, mine) = ran
    assert ours == stock and mine <= theirs, mine - theirs
