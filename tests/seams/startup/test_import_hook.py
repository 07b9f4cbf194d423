"""The import hook of an attached environment, before a pip and a pipfast of three lines."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipfast.plugin import files

if TYPE_CHECKING:
    from pathlib import Path

PIP = '''import sys
def main(args=None):
    print("pip", sys.argv[1:] if args is None else args)
    if "fails" in sys.argv:
        raise RuntimeError("pip's own")
    return 3
'''
"""The module of pip's command line; `cli` came with 26.3."""

RUNNER = '''import sys
def launcher():
    def launch():
        from pip._internal.cli import main
        print("pipfast", sys.argv[1:], "imported" if hasattr(main, "sys") else "")
        return getattr(main, "cli", main.main)(sys.argv[1:])
    return launch
'''

START = "import _pipfast_plugin; _pipfast_plugin.install()\n"

RUN = "import sys; from pip._internal.cli.main import main; sys.exit(main())"


class World:
    """A site-packages folder with a pip, and the folder of a pipfast."""

    def __init__(self, root: Path) -> None:
        self.site_packages = root / "site-packages"
        self.pipfast = root / "pipfast"
        self.pip = self.site_packages / "pip/_internal/cli/main.py"
        self.pip.parent.mkdir(parents=True)
        for folder in self.pip.parents[:3]:
            (folder / "__init__.py").touch()
        self.pip.write_text(PIP, "utf-8")
        self.pipfast.mkdir()
        self.runner = self.pipfast / "runner.py"
        self.runner.write_text(RUNNER, "utf-8")
        files.attach(self.site_packages, self.pipfast)

    def run(self, code: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run code after what the .pth file does."""
        return subprocess.run(
            [sys.executable, "-S", "-c", START + code, *arguments], capture_output=True, text=True, check=False,
            env={"PYTHONPATH": str(self.site_packages), "PYTHONDONTWRITEBYTECODE": "1", **variables},
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_command_line_goes_to_pipfast(world: World) -> None:
    ended = world.run(RUN, "install", "six")
    assert ended.stdout == "pipfast ['install', 'six'] imported\npip ['install', 'six']\n"
    assert (ended.returncode, ended.stderr) == (3, "")


def test_entry_of_newer_pips(world: World) -> None:
    world.pip.write_text(PIP + "def cli(args=None):\n    print('cli', args)\n", "utf-8")
    ended = world.run("from pip._internal.cli.main import cli; cli()", "list")
    assert ended.stdout == "pipfast ['list'] imported\ncli ['list']\n"


def test_entry_that_an_older_pip_lacks(world: World) -> None:
    ended = world.run("from pip._internal.cli.main import cli")
    assert "ImportError: cannot import name 'cli' from 'pip._internal.cli.main'" in ended.stderr


def test_pipfast_comes_before_pips_modules(world: World) -> None:
    world.runner.write_text(RUNNER.replace("    def launch", "    print('reached')\n    def launch"), "utf-8")
    world.pip.write_text("print('pip is imported')\n" + PIP, "utf-8")
    assert world.run(RUN).stdout.splitlines()[:2] == ["reached", "pip is imported"]


def test_library_is_pips_own(world: World) -> None:
    """Nothing of pipfast is read where arguments are passed."""
    world.runner.write_text("raise SystemExit('read')", "utf-8")
    code = "from pip._internal.cli.main import main, sys as s; print(main(['list']), main(args=[]), s.__name__)"
    ended = world.run(code)
    assert (ended.stdout, ended.stderr) == ("pip ['list']\npip []\n3 3 sys\n", "")


def test_hook_leaves_no_mark(world: World) -> None:
    code = ("import sys; before = len(sys.meta_path); import json\n"
            "from pip._internal.cli import main\n"
            "print(before - len(sys.meta_path), main.__loader__ is main.__spec__.loader,"
            " type(main.__loader__).__name__, main.__file__.endswith('main.py'))")
    assert world.run(code).stdout == "1 True SourceFileLoader True\n"


def test_second_run_in_a_process(world: World) -> None:
    again = "from pip._internal.cli.main import main; main(); main()"
    assert world.run(again, "list").stdout.count("pipfast ['list']") == 2


@pytest.mark.parametrize("value", ["off", "0", "FALSE", " off "])
def test_switched_off(world: World, value: str) -> None:
    world.runner.write_text("raise SystemExit('read')", "utf-8")
    ended = world.run(RUN, "list", PIPFAST=value)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "pip ['list']\n", "")


def test_removed_pipfast_is_not_mentioned(world: World) -> None:
    world.runner.unlink()
    ended = world.run(RUN, "list")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "pip ['list']\n", "")
    world.pipfast.rmdir()
    ended = world.run(RUN, "list")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "pip ['list']\n", "")


def test_hidden_pipfast_is_not_mentioned(world: World) -> None:
    """As root reads everything, the file is what fails in the same way."""
    world.runner.write_text("raise PermissionError(13, 'Permission denied')", "utf-8")
    ended = world.run(RUN, "list")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "pip ['list']\n", "")


@pytest.mark.parametrize("source", [
    "syntax error", "import no_such_module", "raise OSError(5, 'I/O error')", "",
    RUNNER.replace("print(", "import no_such_module; print("),
], ids=["syntax", "import", "disk", "empty", "later"])
def test_broken_pipfast_is_one_line(world: World, source: str) -> None:
    world.runner.write_text(source, "utf-8")
    ended = world.run(RUN, "list")
    assert (ended.returncode, ended.stdout) == (3, "pip ['list']\n")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"pipfast: pip runs alone: {world.pipfast} is broken (")
    assert world.run(RUN, "list", "-qq").stderr == ""


def test_pips_own_error_is_not_repeated(world: World) -> None:
    ended = world.run(RUN, "fails")
    assert ended.stdout.count("pip ['fails']") == 1
    assert ended.stderr.splitlines()[-1] == "RuntimeError: pip's own"


def test_start_imports_nothing_else(world: World) -> None:
    """Every Python of the environment pays for it."""
    code = "print(sorted(set(sys.modules) - before))"
    ended = subprocess.run(
        [sys.executable, "-S", "-c", f"import os, sys; before = set(sys.modules)\n{START}{code}"],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(world.site_packages)},
    )
    assert ended.stdout == "['_pipfast_plugin']\n"


def test_what_others_put_in_the_place_of_pipfast_is_not_run(world: World) -> None:
    """In /tmp anybody can, once it is removed; root may, who installs it again for all."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    place = world.pipfast.parent
    os.chown(place, 1234, 1234)
    assert world.run(RUN, "list").stdout == "pip ['list']\n"
    files.attach(world.site_packages, world.pipfast)
    assert world.run(RUN, "list").stdout.startswith("pipfast ['list']")
    os.chown(place, 0, 0)
    assert world.run(RUN, "list").stdout.startswith("pipfast ['list']")
    os.chown(place, 1235, 1235)
    assert world.run(RUN, "list").stdout == "pip ['list']\n"
