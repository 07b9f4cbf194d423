"""An environment whose own pip runs with pipfast, which is installed elsewhere."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast.plugin import files
from support import snapshot
from support.outputs import normalized
from support.program import Ended, make_box

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box

PIP = importlib.metadata.distribution("pip")

RUNPY = "import runpy, sys; sys.argv[0] = 'pip'; runpy.run_module('pip', run_name='__main__')"

OLD_SCRIPT = "import sys; from pip._internal import main; sys.argv[0] = 'pip'; sys.exit(main())"

FORMS = {
    "pip": ("{bin}/pip",),
    "pip3": ("{bin}/pip3",),
    "python -m pip": ("{bin}/python", "-m", "pip"),
    "python -I -m pip": ("{bin}/python", "-I", "-m", "pip"),
    "runpy": ("{bin}/python", "-c", RUNPY),
    "runner": ("{bin}/python", "{site}/pip/__pip-runner__.py"),
    "old script": ("{bin}/python", "-c", OLD_SCRIPT),
}
"""Ways to start an environment's pip."""


@pytest.fixture(scope="module")
def attached(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Return an environment with a copy of the running pip that is attached."""
    box = make_box(tmp_path_factory.mktemp("attached").resolve())
    (box.site_packages / "running.pth").unlink()
    root = Path(str(PIP.locate_file("")))
    for name in ("pip", f"pip-{PIP.version}.dist-info"):
        shutil.copytree(root / name, box.site_packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    for entry in PIP.entry_points:
        script = box.python.with_name(entry.name)
        script.write_text(f"#!{box.python}\nimport sys\nfrom {entry.module} import {entry.attr}\n"
                          f"if __name__ == '__main__':\n    sys.exit({entry.attr}())\n", "utf-8")
        script.chmod(0o755)
    subprocess.run([box.python, "-m", "compileall", "-q", box.site_packages / "pip"], check=True)
    before = snapshot.picture(box.site_packages)
    ended = pipfast(box, "attach", "--prefix", str(box.root / "venv"))
    assert (ended.status, ended.err) == (0, "")
    assert set(snapshot.picture(box.site_packages)) - set(before) == {
        files.MODULE, files.START, files.PTH, "__pycache__", *written(box)}
    return box


def written(box: Box) -> list[str]:
    return [str(path.relative_to(box.site_packages)) for path in box.site_packages.glob("__pycache__/_pipfast*")]


def pipfast(box: Box, *arguments: str, **variables: str) -> Ended:
    """Run the pipfast that runs the tests."""
    return ended_of(box, [sys.executable, "-m", "pipfast", *arguments], **variables)


def ended_of(box: Box, command: list[str], **variables: str) -> Ended:
    ended = subprocess.run(command, cwd=box.work, env=box.environ(**variables), stdin=subprocess.DEVNULL,
                           capture_output=True, encoding="utf-8", check=False)
    return Ended(ended.returncode, normalized(ended.stdout), normalized(ended.stderr))


def start(box: Box, form: str, *arguments: str, **variables: str) -> Ended:
    """Start pip in one of the ways."""
    command = [part.format(bin=box.python.parent, site=box.site_packages) for part in FORMS[form]]
    return ended_of(box, [*command, *arguments], **variables)


@pytest.mark.parametrize("form", FORMS)
def test_every_way_to_start_pip(attached: Box, form: str) -> None:
    """pipfast runs; usage line, output and exit code are those of pip alone."""
    assert start(attached, form, "store", "path").out == f"{attached.store}\n"
    arguments = ("install", "--no-such-option")
    ours = start(attached, form, *arguments)
    assert ours == start(attached, form, *arguments, PIPFAST="off")
    assert ours.status == 2 and "pipfast" not in ours.err


@pytest.mark.parametrize(
    "arguments", ["list", "freeze --all", "check", "inspect", "show --files pip pipfast", "--version"]
)
def test_plugin_is_not_seen(attached: Box, arguments: str) -> None:
    ours = attached.pip(*arguments.split())
    assert ours == attached.pip(*arguments.split(), PIPFAST="off")
    assert "pipfast" not in ours.out


def test_other_programs_do_not_know(attached: Box) -> None:
    """Nothing of pipfast is imported, or can be."""
    code = "import sys; print([each for each in sys.modules if 'pipfast' in each])\nimport pipfast"
    ended = attached.run("-c", code)
    assert ended.out == "['_pipfast_plugin']\n"
    assert "No module named 'pipfast'" in ended.err


def test_without_site_pip_is_not_there(attached: Box) -> None:
    ended = attached.run("-S", "-c", "import sys; print([each for each in sys.modules if 'pipfast' in each])")
    assert ended.out == "[]\n"


def test_pip_as_a_library_is_pips(attached: Box) -> None:
    code = "import sys; from pip._internal.cli.main import main; main(['list']); print('pipfast' in sys.modules)"
    assert attached.run("-c", code).out.splitlines()[-1] == "False"


def test_what_is_installed_is_uninstalled(attached: Box, index: Index) -> None:
    before = snapshot.picture(attached.site_packages)
    ended = attached.pip("install", "--index-url", index.url, "app")
    assert (ended.status, attached.pip("check").status) == (0, 0), ended.err
    assert attached.pip("freeze").out == "app==1.0\nlibrary==1.0\n"
    assert attached.pip("uninstall", "-y", "app", "library").status == 0
    assert not list(snapshot.compare_trees(before, snapshot.picture(attached.site_packages)))


def test_attached_environment_may_have_pipfast_too(attached: Box) -> None:
    """`python -m pipfast` there, and the runner, hook once."""
    paths = os.pathsep.join(str(Path(str(importlib.import_module(name).__file__)).parents[1])
                            for name in ("pipfast", "pipfast_hooks"))
    ended = attached.run("-m", "pipfast", "store", "path", PYTHONPATH=paths)
    assert (ended.status, ended.out, ended.err) == (0, f"{attached.store}\n", "")
    runner = str(files.own_folder() / "runner.py")
    assert attached.run(runner, "pip", "list", "-v") == attached.pip("list", "-v", PIPFAST="off")


def test_second_attach_and_foreign_file(attached: Box) -> None:
    where = ("--python", str(attached.python))
    ended = pipfast(attached, "attach", *where)
    assert ended.out.startswith("Already attached: ")
    path = attached.site_packages / files.START
    content = path.read_bytes()
    path.write_bytes(b"")
    try:
        for command in ("attach", "detach"):
            ended = pipfast(attached, command, *where)
            assert (ended.status, ended.out) == (1, "")
            assert ended.err.startswith(f"ERROR: {path} is not as pipfast wrote it; nothing is changed\nhint: ")
    finally:
        path.write_bytes(content)


def test_detach_leaves_nothing(attached: Box) -> None:
    """Whatever has become of pip."""
    copy = make_box(attached.work / "copy")
    shutil.rmtree(copy.root / "venv")
    shutil.copytree(attached.root / "venv", copy.root / "venv", symlinks=True)
    assert copy.pip("store", "path").out == f"{copy.store}\n"
    shutil.rmtree(copy.site_packages / "pip")
    before = {name for name in snapshot.picture(copy.site_packages) if "pipfast" not in name}
    ended = pipfast(copy, "detach", "--prefix", str(copy.root / "venv"))
    assert (ended.status, ended.err) == (0, "")
    assert set(snapshot.picture(copy.site_packages)) == before - {"__pycache__"}
    ended = pipfast(copy, "detach", "--prefix", str(copy.root / "venv"))
    assert (ended.status, ended.err) == (0, f"WARNING: {copy.root / 'venv'} is not attached.\n")
