"""The import hook of venv and virtualenv: the real venv, and a virtualenv of a few lines."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipfast.plugin import files
from support import snapshot

if TYPE_CHECKING:
    from pathlib import Path

START = "import _pipfast_environments; _pipfast_environments.install()\n"

MAKE = '''
import sys, venv
from pathlib import Path
class Builder(venv.EnvBuilder):
    def setup_python(self, context):
        """Nothing is copied or linked."""
    def post_setup(self, context):
        (site,) = Path(context.env_dir).glob("lib/python*/site-packages")
        pip = site / "pip"
        pip.mkdir(exist_ok=True)
        (pip / "__init__.py").write_text('__version__ = "PIP"\\n')
Builder(clear=sys.argv[2:] == ["clear"]).create(sys.argv[1])
'''
"""A program that makes an environment with as much of a pip as is looked at."""

SESSION = '''
import os
from types import SimpleNamespace
class Session:
    def __init__(self, dest, version):
        purelib = os.path.join(dest, "site-packages")
        interpreter = SimpleNamespace(version_info=(*version, 1, "final", 0))
        self.creator = SimpleNamespace(dest=dest, purelib=purelib, interpreter=interpreter, clear=False)
    def run(self):
        """Make it."""
        pip = os.path.join(self.creator.purelib, "pip")
        os.makedirs(pip)
        with open(os.path.join(pip, "__init__.py"), "w") as file:
            file.write('__version__ = "26.3"\\n')
        return "made"
'''


class World:
    """A user site with the hook, and a folder for environments."""

    def __init__(self, root: Path) -> None:
        self.site = root / "site-packages"
        self.made = root / "made"
        session = self.site / "virtualenv/run/session.py"
        session.parent.mkdir(parents=True)
        for folder in session.parents[:2]:
            (folder / "__init__.py").touch()
        session.write_text(SESSION, "utf-8")
        files.attach(self.site, files.own_folder(), files.OF_MAKERS)

    def run(
        self, code: str, *arguments: str, start: str = START, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run code after what the .pth file does."""
        return subprocess.run(
            [sys.executable, "-S", "-c", start + code, *arguments], capture_output=True, text=True, check=False,
            env={"PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1", **variables},
        )

    def make(self, *arguments: str, pip: str = "26.3", start: str = START, **variables: str) -> str:
        """Have venv make an environment; return what is said."""
        ended = self.run(MAKE.replace("PIP", pip), str(self.made), *arguments, start=start, **variables)
        assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
        return ended.stderr

    def attached(self) -> files.Attached | None:
        """Return what stands in the new environment."""
        (folder,) = self.made.glob("lib/python*/site-packages")
        return files.look(folder)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_venv_attaches_what_it_makes(world: World) -> None:
    assert world.make() == ""
    there = world.attached()
    assert there is not None and (there.folder, there.complete) == (files.own_folder(), True)


def test_detached_environment_stays_so(world: World) -> None:
    """Until it is emptied."""
    world.make()
    files.detach(next(world.made.glob("lib/python*/site-packages")))
    world.make()
    assert world.attached() is None
    world.make("clear")
    assert world.attached() is not None


@pytest.mark.parametrize("pip", ["22.3", ""], ids=["old", "none told"])
def test_pip_that_is_not_supported_runs_alone(world: World, pip: str) -> None:
    assert world.make(pip=pip) == ""
    assert world.attached() is None


def test_without_pip(world: World) -> None:
    ended = world.run(f"import venv; venv.EnvBuilder().create({str(world.made)!r})")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert world.attached() is None


@pytest.mark.parametrize("value", ["off", "0", " FALSE "])
def test_switched_off(world: World, value: str) -> None:
    assert world.make(PIPFAST=value) == ""
    assert world.attached() is None


def test_removed_pipfast_is_not_mentioned(world: World) -> None:
    """The environment is as it would be without the hook."""
    gone = world.site.parent / "gone"
    files.attach(world.site, gone, files.OF_MAKERS)
    assert world.make() == ""
    with_hook = snapshot.picture(world.made)
    world.made.rename(world.made.with_name("first"))
    assert world.make(start="") == ""
    assert not list(snapshot.compare_trees(with_hook, snapshot.picture(world.made)))


@pytest.mark.parametrize("source", ["syntax error", "", "import no_such_module", "raise OSError(5, 'I/O error')"],
                         ids=["syntax", "empty", "import", "disk"])
def test_broken_pipfast_is_one_line(world: World, source: str) -> None:
    broken = world.site.parent / "broken"
    broken.mkdir()
    (broken / "runner.py").write_text(source, "utf-8")
    files.attach(world.site, broken, files.OF_MAKERS)
    (line,) = world.make().splitlines()
    assert line.startswith(f"pipfast: {world.made} is not attached: ")
    assert world.attached() is None


def test_foreign_file_is_one_line(world: World) -> None:
    site = world.made / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True)
    (site / files.PTH).write_text("import mine\n", "utf-8")
    assert world.make().startswith(f"pipfast: {world.made} is not attached: {site / files.PTH} is not as pipfast ")


def test_venvs_own_error_is_its_own(world: World) -> None:
    world.made.touch()
    ended = world.run(MAKE, str(world.made))
    plain = world.run(MAKE, str(world.made), start="")
    assert ended.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]
    assert ended.returncode == plain.returncode == 1


RUN = ("from virtualenv.run import session; import sys\n"
       "print(session.Session(sys.argv[1], eval(sys.argv[2])).run(), session.Session.run.__doc__)")


@pytest.mark.parametrize("version", [(3, 10), (3, 13), (3, 9), (3, 99)], ids=str)
def test_virtualenv_attaches_what_it_makes(world: World, version: tuple[int, int]) -> None:
    """If it has a Python that pipfast runs in."""
    ended = world.run(RUN, str(world.made), str(version))
    assert (ended.stdout, ended.stderr) == ("made Make it.\n", "")
    there = files.look(world.made / "site-packages")
    assert (there is not None) is (version in ((3, 10), (3, 13)))


@pytest.mark.parametrize("source", ["", "Session = None", "class Session:\n    begin = None"], ids=repr)
def test_virtualenv_of_another_shape(world: World, source: str) -> None:
    (world.site / "virtualenv/run/session.py").write_text(source, "utf-8")
    ended = world.run("import virtualenv.run.session as s; print(s.__loader__ is s.__spec__.loader)")
    assert (ended.stdout, ended.stderr) == ("True\n", "")


def test_virtualenv_that_is_not_there(world: World) -> None:
    (world.site / "virtualenv/run/session.py").unlink()
    ended = world.run("import virtualenv.run.session")
    assert ended.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'virtualenv.run.session'"


def test_hook_leaves_no_mark(world: World) -> None:
    code = ("import inspect, venv; from importlib.util import find_spec\n"
            "print(venv.__loader__ is venv.__spec__.loader, type(venv.__loader__).__name__,"
            " inspect.signature(venv.EnvBuilder.create), bool(inspect.getsource(venv)))")
    assert world.run(code).stdout == world.run(code, start="").stdout


def test_spec_can_be_asked_for(world: World) -> None:
    """As `python -m venv` does, and with finders of another age in front."""
    code = ("import sys; from importlib.util import find_spec; sys.meta_path.insert(1, object())\n"
            "spec = find_spec('venv')\n"
            "print(spec.loader.is_package('venv'), spec.origin.endswith('__init__.py'))")
    assert world.run(code).stdout == "True True\n"
    assert "usage: " in world.run("import runpy, sys; sys.argv = ['venv', '-h']; "
                                  "runpy.run_module('venv', run_name='__main__', alter_sys=True)").stdout


def test_start_imports_nothing_else(world: World) -> None:
    """Every Python that reads the user site pays for it."""
    code = "print(sorted(set(sys.modules) - before))"
    ended = subprocess.run(
        [sys.executable, "-S", "-c", f"import os, sys; before = set(sys.modules)\n{START}{START}{code}\n"
         "print(sum(getattr(each, '__module__', '') == '_pipfast_environments' for each in sys.meta_path))"],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(world.site)},
    )
    assert ended.stdout == "['_pipfast_environments']\n1\n"
