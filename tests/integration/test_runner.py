"""The runner: pipfast in an environment that it is not installed in."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pipfast.runner
from pipfast.targets.start import OWN_PIP, WHY
from support.program import add_shim, make_box

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box, Ended

RUNNER = str(pipfast.runner.__file__)
PIP = Path(str(importlib.metadata.distribution("pip").locate_file("")))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Return an environment with a pip, as links to the running one, and nothing of ours."""
    box = make_box(tmp_path_factory.mktemp("target"))
    (box.site_packages / "running.pth").unlink()
    for path in PIP.glob("pip*"):
        if path.name == "pip" or path.name.startswith("pip-"):
            (box.site_packages / path.name).symlink_to(path)
    return box


@pytest.fixture
def without_pip(box: Box) -> Box:
    """Return an environment with nothing in it."""
    (box.site_packages / "running.pth").unlink()
    return box


def refusal(box: Box, typed: str) -> Ended:
    """Return how pip refuses an option, in the words for somebody who has typed ``typed``."""
    ended = box.pip("list", "--bogus")
    assert ended.err.count(f" {box.python} -m pip list ") == 1
    return replace(ended, err=ended.err.replace(f"{box.python} -m pip", typed))


def run(box: Box, *arguments: str, **variables: str) -> Ended:
    return box.run(RUNNER, "pip", *arguments, **variables)


@pytest.mark.parametrize("arguments", ["list", "freeze --all", "check", "inspect", "--version"])
def test_nothing_of_ours_is_seen(target: Box, arguments: str) -> None:
    assert run(target, *arguments.split()) == target.pip(*arguments.split())


def test_messages_say_what_was_typed(target: Box) -> None:
    assert run(target, "list", "--bogus") == refusal(target, "pip")


def test_hooks_are_attached(target: Box, index: Index) -> None:
    there = str(target.root / "there")
    ended = run(target, "install", "--no-deps", "--target", there, "--index-url", index.url, "app")
    assert ended.status == 0, ended.err
    assert [each for each in target.entries() if each.startswith("trees-")]


def test_imports_are_the_targets(target: Box) -> None:
    """Another library of the name of one of ours is what pip's plugins and the target import."""
    code = (
        "import sys; sys.argv = ['-', 'pip', 'list']\nimport runpy, pathlib\n"
        f"runner = runpy.run_path({RUNNER!r})\nbefore = list(sys.path)\nrunner['make_reachable']()\n"
        "import pipfast, pipfast_hooks\nassert sys.path == before\n"
        "import wrapt"
    )
    assert "No module named 'wrapt'" in target.run("-c", code).err


def test_target_without_pip_has_ours(without_pip: Box, index: Index) -> None:
    variables = {OWN_PIP: str(PIP)}
    ended = run(without_pip, "install", "--index-url", index.url, "app", **variables)
    assert ended.status == 0, ended.err
    assert run(without_pip, "freeze", "--all", **variables).out == "app==1.0\nlibrary==1.0\n"


def test_no_pip_at_all(without_pip: Box) -> None:
    variables = {OWN_PIP: str(without_pip.work)}
    ended = run(without_pip, "list", **variables)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"pipfast: {without_pip.python} has no pip")


def test_variables_end_with_the_runner(box: Box) -> None:
    add_shim(box, "import atexit, os\n@atexit.register\ndef _():\n    print(*sorted(os.environ))\n")
    variables = {WHY: "x", OWN_PIP: "y"}
    out = run(box, "--version", **variables).out
    assert "PIP_CONFIG_FILE" in out and not any(each in out for each in variables)


@pytest.fixture
def command(box: Box) -> Path:
    """Return the command ``pipfast`` of an environment of its own."""
    script = box.python.with_name("pipfast")
    script.write_text(f"#!{box.python}\nfrom pipfast.__main__ import main\nraise SystemExit(main())\n", "utf-8")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--python", "{python}"], {}),
        (["--python={env}"], {"VIRTUAL_ENV": "/elsewhere"}),
        ([], {"PIP_PYTHON": "{python}"}),
        ([], {"VIRTUAL_ENV": "{env}"}),
        ([], {"CONDA_PREFIX": "{env}"}),
        ([], {"PATH": "{env}/bin"}),
        ([], {"PIP_CONFIG_FILE": "{env}/own.conf"}),
    ],
    ids=str,
)
def test_command(
    box: Box, target: Box, command: Path, arguments: list[str], variables: dict[str, str]
) -> None:
    """One installation acts on the environment that is meant, and its messages say what was typed."""
    env = target.python.parents[1]
    (env / "bin" / "pip").write_text(f"#!{target.python}\n", "utf-8")
    (env / "bin" / "pip").chmod(0o755)
    (env / "own.conf").write_text(f"[global]\npython = {target.python}\n", "utf-8")

    def filled(text: str) -> str:
        return text.replace("{python}", str(target.python)).replace("{env}", str(env))

    given = {"VIRTUAL_ENV": "", **{name: filled(value) for name, value in variables.items()}}
    before = [filled(each) for each in arguments]
    expected = target.pip("--version")
    assert box.run(str(command), *before, "--version", **given) == expected
    assert box.run(str(command), *before, "list", "--bogus", **given) == refusal(target, "pipfast")
    if "VIRTUAL_ENV" in variables or "CONDA_PREFIX" in variables or "PATH" in variables:
        return
    assert box.pipfast(*before, "--version", **given) == expected
    assert box.pipfast(*before, "list", "--bogus", **given) == refusal(target, f"{target.python} -m pipfast")


@pytest.mark.parametrize("name", ["pipfast", "pip"])
def test_command_alone_is_about_its_own(box: Box, command: Path, name: str) -> None:
    """Also by another name, behind which it does not call itself."""
    if name == "pip":
        command = command.rename(command.with_name(name))
    ended = box.run(str(command), "list", "--bogus", PATH=str(command.parent), VIRTUAL_ENV="")
    assert ended == refusal(box, name)


@pytest.mark.parametrize(
    ("python", "pip", "reason"),
    [
        ((3, 9), "23.0", "Python 3.9 is older than 3.10, the oldest supported"),
        ((3, 99), "", "Python 3.99 is newer than 3.13, the newest tested"),
        ((3, 10), "22.3.1", "pip 22.3.1 is older than 23.0, the oldest supported"),
        ((3, 10), "23.0.dev0", ""),
        ((3, 13), "99", ""),
    ],
)
def test_what_is_not_supported(
    monkeypatch: pytest.MonkeyPatch, python: tuple[int, int], pip: str, reason: str
) -> None:
    monkeypatch.setattr("sys.version_info", (*python, 0, "final", 0))
    assert pipfast.runner.unsupported(pip) == reason
