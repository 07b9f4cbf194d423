"""Environments in which pipfast's libraries are missing, or are somebody else's."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from pipfast import dependencies
from pipfast.launch import OWN_COMMANDS
from support.environments import SOURCES
from support.index import serving
from support.pips import PIP, plain
from support.program import Box, Ended, make_box
from support.sources import archive
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.index import Index

pytestmark = pytest.mark.many

NEEDED = dependencies.NEEDED
LIBRARIES = (*NEEDED, *dependencies.OPTIONAL)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Return an environment that has pip and pipfast in its own folder, as links to the running ones."""
    box = make_box(tmp_path_factory.mktemp("poor"))
    (box.site_packages / "running.pth").unlink()
    bundled(box).mkdir(parents=True)
    for path in SOURCES["pipfast"].iterdir():
        if path.name != "bundled":
            (box.site_packages / "pipfast" / path.name).symlink_to(path)
    (box.site_packages / "pipfast_hooks").symlink_to(SOURCES["pipfast_hooks"])
    spec = importlib.util.find_spec("pip")
    assert spec is not None and spec.origin is not None
    (box.site_packages / "pip").symlink_to(Path(spec.origin).parent)
    return box


def bundled(box: Box) -> Path:
    """Return the folder of pipfast's libraries."""
    return box.site_packages / "pipfast" / "bundled"


@pytest.fixture
def poor(shared: Box) -> Box:
    """Return it with all the libraries."""
    for name in LIBRARIES:
        library = bundled(shared) / name
        if library.is_symlink():
            library.unlink()
        shutil.rmtree(library, ignore_errors=True)
        library.symlink_to(Path(dependencies.FOLDER) / name)
    shutil.rmtree(shared.store, ignore_errors=True)
    return shared


def damage(box: Box, name: str, how: str) -> None:
    library = bundled(box) / name
    library.unlink()
    if how == "broken":
        library.mkdir()
        (library / "__init__.py").write_text("raise SystemError('it is broken')", encoding="utf-8")


@pytest.mark.parametrize(("name", "how"), [
    ("wrapt", "broken"), ("packaging", "missing"), ("platformdirs", "broken"),
])
def test_pip_runs_alone(poor: Box, index: Index, name: str, how: str, tmp_path: Path) -> None:
    """Where pip succeeds, so do we: one line says what is wrong, a hint what to do, and the rest is pip's."""
    damage(poor, name, how)
    command = ["install", *index.args, "app", "--target"]
    expected = poor.pip(*command, str(tmp_path / "pip"))
    ended = poor.pipfast(*command, str(tmp_path / "pipfast"))
    assert (ended.status, ended.out.replace("-m pipfast", "-m pip")) == (0, expected.out)
    line, hint = ended.err.removeprefix(expected.err).splitlines()
    assert line.startswith(f"pipfast: pip runs alone: {name} is {how}")
    assert hint == "hint: install pipfast again"
    assert not poor.store.exists()


def test_nothing_is_said_where_nothing_is_needed(poor: Box, index: Index) -> None:
    """Commands that we have nothing to do with, and ``-q``."""
    for name in NEEDED:
        damage(poor, name, "missing")
    for command in (["list"], ["--version"], ["--help"], ["install", "-q", *index.args, "--dry-run", "app"]):
        ended = poor.pipfast(*command)
        assert (ended.status, ended.err) == (0, ""), command


@pytest.mark.parametrize("name", NEEDED)
def test_own_commands_need_no_library(poor: Box, name: str) -> None:
    """``doctor`` names what is missing; ``store`` works, or says why it cannot."""
    damage(poor, name, "missing")
    ended = poor.pipfast("doctor", "--json")
    assert (ended.status, ended.err) == (1, "")
    assert any(each.startswith(f"{name} is missing") for each in json.loads(ended.out)["problems"])
    assert poor.pipfast("doctor").status == 1
    assert poor.pipfast("store", "info").status == 0
    lost = poor.pipfast("store", "path", PIPFAST_STORE="")
    assert lost.status == (name == "platformdirs") and "Traceback" not in lost.err
    listed = poor.pipfast("store", "list", "--built")
    assert listed.status == (name == "packaging") and "Traceback" not in listed.err


@pytest.mark.parametrize("name", [*NEEDED, "isal", "build", "pyproject_hooks"])
def test_what_is_on_pythonpath_is_not_used(poor: Box, index: Index, name: str, tmp_path: Path) -> None:
    """Broken libraries of other people's: ours are used, and an installation goes as ever."""
    marker = tmp_path / "marker"
    (tmp_path / "path" / name).mkdir(parents=True)
    (tmp_path / "path" / name / "__init__.py").write_text(
        f"open({str(marker)!r}, 'w').close()\nraise SystemError('it is broken')", encoding="utf-8")
    variables = {"PYTHONPATH": str(tmp_path / "path"), "PIPFAST_STORE": str(tmp_path / "store")}
    ended = poor.pipfast("install", "--force-reinstall", *index.args, "app", **variables)
    assert (ended.status, ended.err) == (0, "")
    assert list((tmp_path / "store").glob("trees-v*/*/*"))
    assert poor.pipfast("doctor", **variables).status == 0
    assert not marker.exists()


def test_distributions_of_the_same_names(poor: Box, tmp_path: Path) -> None:
    """Installing, upgrading and removing them, broken ones and all, is nothing to us, nor are we seen by it."""
    store = {"PIPFAST_STORE": str(tmp_path / "store")}
    listed = poor.pipfast("list").out
    with serving() as server:
        index = server.index()
        for name in LIBRARIES:
            index.add(Wheel(name, "0.1", files={f"{name}/__init__.py": "raise SystemError('theirs')\n"}).build())
        install = ["install", "--force-reinstall", *index.args]
        for command in ([*install, *LIBRARIES], [*install, "wrapt"], ["uninstall", "-y", *LIBRARIES]):
            ended = poor.pipfast(*command, **store)
            assert (ended.status, ended.err) == (0, ""), command
    assert list((tmp_path / "store").glob("trees-v*/*/*"))
    assert poor.pipfast("list").out == listed


def test_library_that_is_broken_within(poor: Box, tmp_path: Path) -> None:
    """Only what leans on the broken part is left out: a build that needs no rescue is made as ever."""
    (bundled(poor) / "packaging").unlink()
    shutil.copytree(Path(dependencies.FOLDER) / "packaging", bundled(poor) / "packaging")
    (bundled(poor) / "packaging" / "specifiers.py").write_text("raise SystemError('half')", encoding="utf-8")
    with serving() as server:
        index = server.index()
        index.add(archive("sound", scripts={}))
        ended = poor.pipfast("install", *index.args, "sound", PIPFAST_STORE=str(tmp_path / "store"))
    assert (ended.status, ended.err.count("pipfast: ")) == (0, 1)
    assert "builds are not rescued: packaging is broken: SystemError: half" in ended.err


@pytest.mark.parametrize("kind", ["gone", "no program", "in a file"])
@pytest.mark.parametrize("arguments", [["doctor"], ["store", "path"], ["attach"], ["detach"]], ids=" ".join)
def test_own_commands_are_about_no_other_python_than_the_named(
    box: Box, tmp_path: Path, arguments: list[str], kind: str
) -> None:
    """Where pip is told to run in what is no Python, they end as pip's commands do, and attach nothing."""
    python, file = tmp_path / "python", tmp_path / "pip.conf"
    if kind == "no program":
        python.touch()
        python.chmod(0o755)
    file.write_text(f"[global]\npython = {python}\n" if kind == "in a file" else "", encoding="utf-8")
    named = {"PIP_CONFIG_FILE": str(file)} | ({} if kind == "in a file" else {"PIP_PYTHON": str(python)})
    before = box.installed()
    theirs, mine = box.pip("list", **named), box.pipfast(*arguments, **named)
    assert theirs.status == 1 and str(python) in theirs.err
    assert mine == theirs
    assert box.installed() == before


@pytest.mark.parametrize("arguments", [["doctor"], ["store", "path"]], ids=" ".join)
def test_own_commands_with_pips_global_options(box: Box, arguments: list[str]) -> None:
    """And with ``PIPFAST=off``, and where a package has the name of one."""

    def said(*args: str) -> tuple[int, str, str]:
        ended = box.pipfast(*args)
        # How much of the disk is free changes.
        return ended.status, re.sub(r"[\d.]+ [kMGT]?B\b", "<size>", ended.out), ended.err

    expected = box.pipfast(*arguments)
    assert expected.status == 0
    for before in (["--no-color"], ["--isolated", "--timeout", "7"]):
        assert said(*before, *arguments) == said(*arguments)
    if arguments == ["doctor"]:
        assert said("-v", "doctor") == said("doctor", "-v") != said("doctor")
    off = box.pipfast(*arguments, PIPFAST="off")
    assert off.status == 0 and (off.out == expected.out or "PIPFAST=off" in off.out)
    assert "No matching distribution found" in box.pipfast("install", "--no-index", arguments[0]).err
    assert box.pipfast("--no-such-option", *arguments).status == 2
    there = box.pipfast("--python", "no/python", *arguments)
    assert (there.status, there.err) == (1, "ERROR: Could not locate Python interpreter no/python\n")


def test_own_commands_are_in_help_and_completion(box: Box) -> None:
    for command in (["--help"], ["help"], []):
        lines = [line.split() for line in box.pipfast(*command).out.splitlines() if line.startswith("  ")]
        assert [line[0] for line in lines if line[0] in OWN_COMMANDS] == list(OWN_COMMANDS)
    assert box.pipfast("store", "list", "--help") == box.pipfast("store", "--help")
    for name in ("doctor", "store"):
        assert box.pipfast("help", name) == box.pipfast(name, "--help")
        assert f"maybe you meant \"{name}\"" in box.pipfast(name[:-1]).err

    def completed(words: str) -> list[str]:
        count = len(words.split(" ")) - 1
        asked = {"PIP_AUTO_COMPLETE": "1", "COMP_WORDS": words, "COMP_CWORD": str(count)}
        return box.pipfast(**asked).out.split()

    assert completed("pipfast doc") == ["doctor"]
    assert completed("pipfast sto") == ["store"]
    assert completed("pipfast doctor --j") == ["--json"]
    assert completed("pipfast store prune --ma") == ["--max-size="]
    if Version("25.2") <= PIP:  # older ones complete no subcommand
        assert completed("pipfast store ver") == ["verify"]
        assert completed("pipfast shell-hook z") == ["zsh"]
    assert completed("pip --py") == ["--python"]


@pytest.mark.once
@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["list", "a", "b"], ["list", "--nonsense"]], ids=str)
def test_own_commands_fail_as_pips_do(box: Box, arguments: list[str]) -> None:
    """As ``cache``, which is made as ``store`` is: exit code, stream, usage and message, but for own names."""

    def shape(ended: Ended) -> tuple[int, str, list[str]]:
        said = re.sub(r"\(\w+(, \w+)+\)", "(ACTIONS)", plain(ended.err))
        usage = [line for line in said.splitlines() if line.startswith("  ")]
        return ended.status, ended.out, [line for line in said.splitlines() if line not in usage]

    assert shape(box.pipfast("store", *arguments)) == shape(box.pip("cache", *arguments))


@pytest.mark.once
@pytest.mark.parametrize(("encoding", "shown"), [
    ("utf-8:strict", "é\udcff"), ("ascii", "\\xe9\\udcff"),
], ids=ascii)
def test_store_in_a_folder_whose_name_is_no_text(box: Box, encoding: str, shown: str) -> None:
    store = f"{box.root}/é\udcff"
    ended = subprocess.run(
        [str(box.python), "-m", "pipfast", "store", "path"], cwd=box.work, capture_output=True, timeout=60,
        env=box.environ(PIPFAST_STORE=store, PYTHONIOENCODING=encoding, PYTHONUTF8="1"), check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout == os.fsencode(f"{box.root}/{shown}\n")


@pytest.mark.once
def test_help_of_nothing_is_pips(box: Box) -> None:
    assert box.pipfast("help", "nonsense") == box.pip("help", "nonsense")


def test_off_is_in_nobodys_help(box: Box) -> None:
    assert box.pipfast("--help", PIPFAST="off").out.replace("-m pipfast", "-m pip") == box.pip("--help").out


def test_misspelt_variables_are_named_and_the_hint_is_said_once(box: Box) -> None:
    ended = box.pipfast("install", "pip", PIPFAST_LINKMODE="copy", PIPFAST_NONSENSE="1", PIPFAST_WORKERS="many",
                        PIPFAST_BUILD_RECORD=os.devnull)
    assert ended.status == 0
    *lines, hint = ended.err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "pipfast: PIPFAST_LINKMODE is set", "pipfast: PIPFAST_NONSENSE is set",
        "pipfast: PIPFAST_WORKERS is 'many'",
    ]
    assert lines[0].endswith("(did you mean PIPFAST_LINK_MODE?)") and hint.startswith("hint: ")
