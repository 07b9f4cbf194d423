"""Where venv and virtualenv are made to attach what they make, and how that is taken back."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from pipfast.plugin import files
from pipfast.plugin.environment import NotAttachable
from pipfast.plugin.files import own_folder
from pipfast.plugin.makers import Maker, ask_maker, makers_on_path, switch_off, switch_on, switched_on
from support import snapshot

RUNNER = own_folder() / "runner.py"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home without user sites."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setattr(site, "getuserbase", lambda: str(folder / ".local"))
    return folder


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Return a program that says to every question that all is well."""
    return script(tmp_path / "python", "exit 0")


def script(path: Path, program: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{program}\n", "utf-8")
    path.chmod(0o755)
    return path


def maker(python: Path, place: Path) -> Maker:
    return Maker(str(python), str(place), of_user=True, why_not="")


def user_site(home: Path, version: str) -> Path:
    return home / ".local" / "lib" / f"python{version}" / "site-packages"


def test_environment_has_no_user_site_but_its_own() -> None:
    found = ask_maker(sys.executable, RUNNER)
    assert (found.place, found.of_user, found.why_not) == (sysconfig.get_path("purelib"), False, "")


def test_interpreter_has_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which need not exist. Nothing of the current folder is imported."""
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit('imported')", "utf-8")
    found = ask_maker(getattr(sys, "_base_executable", ""), RUNNER)
    assert found.of_user and Path(found.place).is_relative_to(tmp_path)
    monkeypatch.setenv("PYTHONNOUSERSITE", "1")
    with pytest.raises(NotAttachable, match="reads no user site"):
        ask_maker(getattr(sys, "_base_executable", ""), RUNNER).check()


def test_those_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shims without a Python, relative folders and environments are passed over; each user site comes once."""
    base = getattr(sys, "_base_executable", "")
    script(tmp_path / "bin" / "python3.10", "echo 'pyenv: python3.10: command not found' >&2; exit 127")
    script(tmp_path / "bin" / "python3", f'exec "{sys.executable}" "$@"')
    script(tmp_path / "bin" / "python3.12", f'exec "{base}" "$@"')
    script(tmp_path / "relative" / "python3.11", "touch called")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "user"))
    monkeypatch.setenv("PATH", os.pathsep.join(["relative", str(tmp_path / "bin"), "/usr/bin", "/bin"]))
    found = makers_on_path(RUNNER)
    assert not (tmp_path / "called").exists()
    assert all(each.of_user and Path(each.place).is_relative_to(tmp_path / "user") for each in found)
    assert [each.place for each in found].count(ask_maker(base, RUNNER).place) == 1


def test_on_and_off(home: Path, python: Path) -> None:
    place = user_site(home, "3.12")
    assert switched_on() == []
    assert switch_on(maker(python, place), own_folder())
    assert set(files.OF_MAKERS.names) == {path.name for path in place.iterdir()}
    assert switched_on() == [place]
    assert not switch_on(maker(python, place), own_folder())
    assert switch_off(place)
    assert list(home.iterdir()) == [] and not switch_off(place)


@pytest.mark.parametrize("order", [*permutations(("3.10", "3.11", "3.13"))], ids=" ".join)
@pytest.mark.parametrize("before", ["", ".local", ".local/lib/python3.11/site-packages/theirs"])
def test_folders_go_with_the_last_that_uses_them(
    home: Path, python: Path, before: str, order: tuple[str, ...]
) -> None:
    """Those that were there before stay."""
    (home / before).mkdir(parents=True, exist_ok=True)
    tree = snapshot.picture(home)
    for version in sorted(order):
        switch_on(maker(python, user_site(home, version)), own_folder())
    for version in order:
        assert switch_off(user_site(home, version))
    assert not list(snapshot.compare_trees(tree, snapshot.picture(home)))


def test_what_others_have_put_there_stays(home: Path, python: Path) -> None:
    place = user_site(home, "3.12")
    switch_on(maker(python, place), own_folder())
    (place / "theirs.py").touch()
    switch_off(place)
    assert [path.name for path in place.iterdir()] == ["theirs.py"]


def test_nobody_else_can_write_into_new_folders(home: Path, python: Path) -> None:
    before = os.umask(0)
    try:
        switch_on(maker(python, user_site(home, "3.12")), own_folder())
    finally:
        os.umask(before)
    assert not [path for path in home.rglob("*") if path.is_dir() and path.stat().st_mode & 0o022]


def test_python_that_takes_no_notice(home: Path, tmp_path: Path) -> None:
    deaf = script(tmp_path / "deaf", "exit 1")
    with pytest.raises(NotAttachable, match=r"does not read \.pth files"):
        switch_on(maker(deaf, user_site(home, "3.12")), own_folder())
    assert list(home.iterdir()) == []


def test_folder_that_cannot_be_made(home: Path, python: Path) -> None:
    (home / ".local").touch()
    with pytest.raises(OSError, match="Not a directory"):
        switch_on(maker(python, user_site(home, "3.12")), own_folder())
    assert (home / ".local").is_file()


def test_files_that_cannot_be_written(home: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_write", lambda *_: Path("/proc/self/absent").stat())
    with pytest.raises(OSError, match="absent"):
        switch_on(maker(python, user_site(home, "3.12")), own_folder())
    assert list(home.iterdir()) == []


def test_reasons_against_it(home: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = maker(python, user_site(home, "3.12"))
    good.check()
    with pytest.raises(NotAttachable, match=r"Python 3\.9 is older"):
        replace(good, why_not="Python 3.9 is older than 3.10").check()
    with pytest.raises(NotAttachable, match="reads no user site"):
        replace(good, place="").check()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(NotAttachable, match="belongs to another user"):
        good.check()


def test_changed_file_is_seen_and_left_alone(home: Path, python: Path) -> None:
    place = user_site(home, "3.12")
    switch_on(maker(python, place), own_folder())
    (place / files.OF_MAKERS.names[2]).write_text("import mine\n", "utf-8")
    tree = snapshot.picture(home)
    assert switched_on() == [place]
    with pytest.raises(files.ForeignFile):
        switch_off(place)
    assert not list(snapshot.compare_trees(tree, snapshot.picture(home)))
