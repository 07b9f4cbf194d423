"""Decision which Python a run is about: variables, scripts on PATH, pyenv's shims."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from pipfast.targets import decision
from pipfast.targets.decision import decide
from pipfast.targets.target import Target

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the command of a pipfast in a folder of its own."""
    script = program(tmp_path / "own" / "bin" / "pipfast", "#!x")
    monkeypatch.setattr(sys, "argv", [str(script)])
    return script


def program(path: Path, text: str | bytes = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o755)
    return path


def environment(folder: Path) -> Path:
    return program(folder / "bin" / "python").parents[1]


def on_path(*folders: Path, **more: str) -> Target:
    return decide([], {"PATH": os.pathsep.join(map(str, folders)), **more})


def test_order(tmp_path: Path) -> None:
    venv, conda = environment(tmp_path / "venv"), environment(tmp_path / "conda")
    pip = program(tmp_path / "bin" / "pip", f"#!{sys.executable}\n")
    environ = {"PATH": str(pip.parent)}
    assert decide([], environ) == Target(sys.executable, f"pip on PATH: {pip}")
    environ["CONDA_PREFIX"] = str(conda)
    assert decide([], environ) == Target(f"{conda}/bin/python", f"CONDA_PREFIX={conda}")
    environ["VIRTUAL_ENV"] = str(venv)
    assert decide([], environ) == Target(f"{venv}/bin/python", f"VIRTUAL_ENV={venv}")
    environ["PIP_PYTHON"] = sys.executable
    assert decide([], environ) == Target(sys.executable, "PIP_PYTHON", by_pip=True)
    assert decide(["--python", str(conda)], environ) == Target(f"{conda}/bin/python", "--python", by_pip=True)
    assert decide([], {"PATH": str(tmp_path)}) == Target(sys.executable, decision.OWN)


def test_environments_that_are_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the shell goes on to the next pip on PATH; conda's may well have no Python."""
    gone, conda = str(tmp_path / "gone"), str(tmp_path / "conda")
    pip = program(tmp_path / "bin" / "pip", f"#!{sys.executable}\n")
    expected = Target(sys.executable, f"pip on PATH: {pip}")
    assert on_path(pip.parent, CONDA_PREFIX=conda) == expected
    assert capsys.readouterr().err == ""
    assert on_path(pip.parent, VIRTUAL_ENV=gone) == expected
    assert capsys.readouterr().err.startswith(f"pipfast: VIRTUAL_ENV names {gone}, where there is no Python")
    assert decide(["-q", "list"], {"PATH": str(pip.parent), "VIRTUAL_ENV": gone}) == expected
    assert capsys.readouterr().err == ""


def test_project_s_environment_called_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``.venv/bin/pipfast`` is about ``.venv`` if others' packages are there and it is not the one on PATH."""
    pip = program(tmp_path / "bin" / "pip", f"#!{sys.executable}\n")
    env = tmp_path / "own"
    site = env / "lib" / "python3" / "site-packages"
    for name in ("pipfast-1.dist-info", "pip-26.dist-info"):
        (site / name).mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(env / "bin" / "python"))
    monkeypatch.setattr(sys, "prefix", str(env))
    monkeypatch.setattr(sys, "path", [str(site), str(tmp_path)])
    assert on_path(pip.parent).why == f"pip on PATH: {pip}"
    (site / "flask-3.dist-info").mkdir()
    assert on_path(pip.parent) == Target(str(env / "bin" / "python"), decision.BESIDE)
    by_function = decide(["list"], {"PATH": str(pip.parent)}, by_path=False)
    assert by_function.why == f"pip on PATH: {pip}"
    assert on_path(pip.parent, env / "bin").why == f"pip on PATH: {pip}"
    assert on_path(pip.parent, VIRTUAL_ENV=str(environment(tmp_path / "venv"))).why.startswith("VIRTUAL_ENV")


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("#!{python}\n", ()),
        ("#! {python} -sP\nimport pip", ("-sP",)),
        ("#!/usr/bin/env python3\n", ()),
        ("#!/usr/bin/env -S python3 -I\n", ("-I",)),
        ("#!/bin/sh\n'''exec' {python} \"$0\" \"$@\"\n' '''\n", ()),
        ("#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n", ()),
        ("#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' \"$0\" \"$@\"\n' '''\n", ()),
        ("#!{python} -Im pip\n", ("-I",)),
        ("#!{python} -sc print\n", ("-s",)),
        ("#!{python} -x -W ignore\n", ()),
        ("#!{python} -Xutf8 -W -E\n", ("-Xutf8", "-E")),
        ("#!/bin/sh\nset -e\nA=1 exec \"{python}\" -sE -m pip \"$@\"\n", ("-sE",)),
        ("#!/usr/bin/env bash\nexec asdf exec pip \"$@\"\n", ()),
        (b"\x7fELF\x00\xff", ()),
    ],
    ids=str,
)
def test_scripts(tmp_path: Path, text: str | bytes, flags: tuple[str, ...]) -> None:
    python = program(tmp_path / "a pipfast" / "bin" / "python3")
    if isinstance(text, str):
        short = tmp_path / "python3"
        short.symlink_to(python)
        text = text.replace('"{python}"', f'"{python}"').replace("{python}", str(short))
    pip = program(python.parent / "pip", text)
    target = on_path(pip.parent)
    assert os.path.realpath(target.python) == str(python)
    assert (target.why, target.flags) == (f"pip on PATH: {pip}", flags)


@pytest.mark.parametrize(
    "text",
    [
        "#!/no/python\n",
        "#!/bin/sh\nif true; then\n  {python} -m pip\nelse\n  /other/python -m pip\nfi\n",
        "#!/bin/sh\nexec docker run image {python} -m pip \"$@\"\n",
        b"\x7fELF\x00",
        "#!/bin/sh\nexec pipfast \"$@\"\n",
        "#!{python}\nimport sys\nfrom pipfast.__main__ import main\nsys.exit(main())\n",
        "",
    ],
    ids=str,
)
def test_what_is_passed_over(tmp_path: Path, text: str | bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken script, a launcher with no Python beside it, and pipfast itself, which alone is no surprise."""
    first = tmp_path / "first" / "pip"
    program(first, text.replace("{python}", sys.executable) if isinstance(text, str) else text)
    assert on_path(first.parent).why == decision.OWN
    pip = program(tmp_path / "second" / "pip", f"#!{sys.executable}\n")
    capsys.readouterr()
    assert on_path(first.parent, pip.parent) == Target(sys.executable, f"pip on PATH: {pip}")
    said = "" if b"exec pipfast" in first.read_bytes() or b"import main" in first.read_bytes() else (
        f"pipfast: the Python of {first} cannot be found; {sys.executable} is taken\n"
        "hint: name one, by `--python`\n")
    assert capsys.readouterr().err == said
    decide(["-q", "list"], {"PATH": str(first.parent)})
    assert capsys.readouterr().err == ""


def test_link_to_pipfast_is_passed_over(tmp_path: Path, typed: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").symlink_to(typed)
    program(tmp_path / "bin" / "python3")
    assert on_path(tmp_path / "bin").why == decision.OWN


def test_current_folder_is_no_place_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "pip", f"#!{sys.executable}\n")
    monkeypatch.chdir(tmp_path)
    assert decide([], {"PATH": ":.:"}).why == decision.OWN


@pytest.fixture
def pyenv(tmp_path: Path) -> Path:
    """Return the folder of a pyenv with three versions, the last without pip."""
    root = tmp_path / "pyenv"
    for version in ("3.9.18", "3.11.7", "3.11.10"):
        program(root / "versions" / version / "bin" / "python")
        program(root / "versions" / version / "bin" / "pip")
    program(root / "versions" / "bare" / "bin" / "python")
    lines = ("#!/usr/bin/env bash", "set -e", f'export PYENV_ROOT="{root}"', 'exec pyenv exec "$program" "$@"')
    program(root / "shims" / "pip", "\n".join(lines))
    program(root / "shims" / "python")
    return root


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("3.9.18", "3.9.18"),
        ("3.11", "3.11.10"),
        ("python-3.9.18", "3.9.18"),
        ("bare:3.11.7", "3.11.7"),
        ("system", ""),
        ("system:3.9.18", ""),
        ("4", ""),
        ("../../../outside", ""),
    ],
)
def test_pyenv(pyenv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, expected: str) -> None:
    """Its variable, the project's file, the global file; ``system`` is the next pip on PATH."""
    environment(tmp_path / "outside")
    program(tmp_path / "outside" / "bin" / "pip")
    pip = program(tmp_path / "bin" / "pip", f"#!{sys.executable}\n")
    python = f"{pyenv}/versions/{expected}/bin/python" if expected else sys.executable
    folder = tmp_path / "project" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert on_path(pyenv / "shims", pip.parent, PYENV_VERSION=version).python == python
    (pyenv / "version").write_text(version.replace(":", "\n"), "utf-8")
    assert on_path(pyenv / "shims", pip.parent).python == python
    (pyenv / "version").write_text("none\n", "utf-8")
    (tmp_path / "project" / ".python-version").write_text(f"# ours\n{version}  # this".replace(":", "\n"), "utf-8")
    assert on_path(pyenv / "shims", pip.parent).python == python


def test_pyenvs_system_without_pip(pyenv: Path) -> None:
    """pyenv goes on to the next version."""
    found = on_path(pyenv / "shims", PYENV_VERSION="system:3.9.18")
    assert found.python == f"{pyenv}/versions/3.9.18/bin/python"
