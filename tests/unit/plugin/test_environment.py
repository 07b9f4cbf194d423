"""What a Python says of its environment, and what stands against attaching it."""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from pipfast.plugin.environment import Environment, NotAttachable, ask, in_folder
from pipfast.plugin.files import own_folder

RUNNER = own_folder() / "runner.py"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment("/python", str(tmp_path), tmp_path, "26.3", "", "")


def test_python_is_asked() -> None:
    found = ask(sys.executable, RUNNER)
    assert found.site_packages == Path(sysconfig.get_path("purelib"))
    assert (found.prefix, found.why_not, found.own_python) == (sys.prefix, "", True)
    assert found.pip.partition(".")[0].isdigit()


def test_folder_with_a_python_is_that_pythons(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', "utf-8")
    python.chmod(0o755)
    assert in_folder(str(tmp_path), "/no/python", RUNNER) == ask(sys.executable, RUNNER)


def test_folder_with_a_python_that_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(tmp_path / "gone")
    with pytest.raises(NotAttachable, match="cannot be run"):
        in_folder(str(tmp_path), sys.executable, RUNNER)


def test_folder_without_a_python_is_laid_out_as_pip_does(tmp_path: Path) -> None:
    found = in_folder(str(tmp_path), sys.executable, RUNNER)
    scheme = sysconfig.get_preferred_scheme("prefix")
    paths = {"base": str(tmp_path), "platbase": str(tmp_path)}
    assert found.site_packages == Path(sysconfig.get_path("purelib", scheme, paths))
    assert not found.own_python


def test_folder_without_packages_is_named_itself(tmp_path: Path) -> None:
    """Where packages of this Python would be has a name that nobody has typed; what would make it is said."""
    found = in_folder(str(tmp_path), sys.executable, RUNNER)
    with pytest.raises(NotAttachable) as caught:
        found.check_changeable()
    assert str(caught.value).startswith(f"{tmp_path} has no Python, and no packages of {sys.executable}, which ")
    assert str(caught.value.hint).endswith(f" -m pip install --prefix {tmp_path} PACKAGE puts one there")


def test_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotAttachable, match="is no folder"):
        in_folder(str(tmp_path / "absent"), sys.executable, RUNNER)


def test_current_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported')", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert ask(sys.executable, RUNNER).prefix == sys.prefix


@pytest.mark.parametrize("program", ["exit 1", "echo no; exit 0", "echo '[]'", "echo 'wrong' >&2; exit 1"])
def test_what_answers_otherwise(tmp_path: Path, program: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{program}\n", "utf-8")
    python.chmod(0o755)
    with pytest.raises(NotAttachable, match="did not say where its packages are"):
        ask(str(python), RUNNER)
    with pytest.raises(NotAttachable, match="cannot be run"):
        ask(str(tmp_path), RUNNER)


def test_supported_ones(environment: Environment) -> None:
    environment.check_supported()
    replace(environment, pip="", own_python=False).check_supported()
    with pytest.raises(NotAttachable, match="has no pip"):
        replace(environment, pip="").check_supported()
    with pytest.raises(NotAttachable, match=r"Python 3\.9 is older"):
        replace(environment, why_not="Python 3.9 is older than 3.10").check_supported()


def test_changeable_ones(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.check_changeable()
    with pytest.raises(NotAttachable, match="externally managed"):
        replace(environment, managed="/usr/lib/EXTERNALLY-MANAGED").check_changeable()
    with pytest.raises(NotAttachable, match="No such file"):
        replace(environment, site_packages=environment.site_packages / "absent").check_changeable()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(NotAttachable, match="cannot be written"):
        environment.check_changeable()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(NotAttachable, match="belongs to another user"):
        environment.check_changeable()


@pytest.mark.skipif(os.getuid() != 0, reason="files of two users")
def test_root_attaches_only_what_others_cannot_change(environment: Environment, tmp_path: Path) -> None:
    # The folders above pytest's own are as the system has them.
    folder = tmp_path / "pipfast"
    folder.mkdir()
    file = folder / "launch.py"
    file.touch()
    environment.check_trusted(folder)
    for path, mode, owner in ((file, 0o646, 0), (folder, 0o757, 0), (file, 0o644, 1000)):
        before = path.stat()
        path.chmod(mode)
        os.chown(path, owner, 0)
        with pytest.raises(NotAttachable, match="can be changed by others"):
            environment.check_trusted(folder)
        path.chmod(before.st_mode)
        os.chown(path, 0, 0)
    file.chmod(0o664)
    environment.check_trusted(folder)
    os.chown(file, 0, 1000)
    with pytest.raises(NotAttachable, match="can be changed by others"):
        environment.check_trusted(folder)


def test_who_is_not_root_attaches_what_he_runs(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    environment.site_packages.chmod(0o777)
    environment.check_trusted(environment.site_packages)
