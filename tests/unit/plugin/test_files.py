"""The three files of an attached environment."""

from __future__ import annotations

import fcntl
import os
import pkgutil
import signal
import stat
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast.plugin import files
from support import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = {files.MODULE, files.START, files.PTH}


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    """Return a folder with a package and another program's .pth file."""
    folder = tmp_path / "site-packages"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "__init__.py").touch()
    (folder / "other.pth").write_text("import os\n", encoding="utf-8")
    return folder


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """Return the folder of a pipfast."""
    folder = tmp_path / "elsewhere" / "pipfast"
    folder.mkdir(parents=True)
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def fill_cache(site_packages: Path, *others: str) -> None:
    """Write what a Python leaves that imports the module."""
    cache = site_packages / "__pycache__"
    cache.mkdir(exist_ok=True)
    for name in ("_pipfast_plugin.cpython-311.pyc", "_pipfast_plugin.cpython-311.opt-2.pyc", *others):
        (cache / name).write_bytes(b"code")


def test_three_files_are_added(site_packages: Path, ours: Path) -> None:
    before = names(site_packages)
    assert files.look(site_packages) is None
    assert files.attach(site_packages, ours)
    assert names(site_packages) - before == NAMES
    assert files.look(site_packages) == files.Attached(ours, made_cache=True, complete=True)


def test_start_file_names_what_the_import_line_calls(
    site_packages: Path, ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PEP 829: ``module:function``; a .pth file's line that begins with ``import`` is executed."""
    files.attach(site_packages, ours)
    assert Path(files.START).stem == Path(files.PTH).stem
    monkeypatch.syspath_prepend(str(site_packages))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    try:
        (entry,) = (site_packages / files.START).read_text("utf-8").splitlines()
        pkgutil.resolve_name(entry)()
        (line,) = (site_packages / files.PTH).read_text("utf-8").splitlines()
        assert line.startswith("import ")
        exec(line, {})
        assert [each.__module__ for each in sys.meta_path if isinstance(each, type)].count("_pipfast_plugin") == 1
    finally:
        sys.modules.pop("_pipfast_plugin", None)


@pytest.mark.parametrize("cache", [(), ("other.cpython-311.pyc",), None], ids=["empty", "used", "none"])
def test_nothing_is_left(site_packages: Path, ours: Path, cache: tuple[str, ...] | None) -> None:
    if cache is not None:
        (site_packages / "__pycache__").mkdir()
        for name in cache:
            (site_packages / "__pycache__" / name).write_bytes(b"theirs")
    before = snapshot.picture(site_packages)
    files.attach(site_packages, ours)
    fill_cache(site_packages)
    assert files.detach(site_packages) is not None
    assert not list(snapshot.compare_trees(before, snapshot.picture(site_packages)))
    assert files.detach(site_packages) is None


def test_bytecode_of_others_stays(site_packages: Path, ours: Path) -> None:
    files.attach(site_packages, ours)
    fill_cache(site_packages, "late.cpython-311.pyc")
    files.detach(site_packages)
    assert names(site_packages / "__pycache__") == {"late.cpython-311.pyc"}


def test_twice_is_once(site_packages: Path, ours: Path) -> None:
    files.attach(site_packages, ours)
    fill_cache(site_packages)
    before = {name: (site_packages / name).stat() for name in NAMES}
    assert not files.attach(site_packages, ours)
    assert {name: (site_packages / name).stat() for name in NAMES} == before


def test_other_pipfast_replaces_the_first(site_packages: Path, ours: Path, tmp_path: Path) -> None:
    """Old bytecode goes: a new source may have the size and the second of the old one."""
    before = snapshot.picture(site_packages)
    files.attach(site_packages, ours)
    fill_cache(site_packages)
    assert files.attach(site_packages, tmp_path / "newer")
    assert names(site_packages / "__pycache__") == set()
    assert files.look(site_packages) == files.Attached(tmp_path / "newer", made_cache=True, complete=True)
    files.detach(site_packages)
    assert not list(snapshot.compare_trees(before, snapshot.picture(site_packages)))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_changed_file_is_left_alone(site_packages: Path, ours: Path, name: str) -> None:
    files.attach(site_packages, ours)
    with (site_packages / name).open("a", encoding="utf-8") as file:
        file.write("# mine\n")
    before = snapshot.picture(site_packages)
    for call in (lambda: files.detach(site_packages), lambda: files.attach(site_packages, ours.parent)):
        with pytest.raises(files.ForeignFile, match=name):
            call()
    assert not list(snapshot.compare_trees(before, snapshot.picture(site_packages)))


def test_link_is_left_alone(site_packages: Path, ours: Path) -> None:
    files.attach(site_packages, ours)
    (site_packages / files.PTH).rename(ours / "kept")
    (site_packages / files.PTH).symlink_to(ours / "kept")
    with pytest.raises(files.ForeignFile):
        files.detach(site_packages)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_missing_file_is_no_obstacle(site_packages: Path, ours: Path, name: str) -> None:
    before = names(site_packages)
    files.attach(site_packages, ours)
    (site_packages / name).unlink()
    there = files.look(site_packages)
    assert there is not None and not there.complete
    files.attach(site_packages, ours)
    assert names(site_packages) - before == NAMES
    (site_packages / name).unlink()
    files.detach(site_packages)
    assert names(site_packages) == before


@pytest.mark.parametrize("old", [False, True], ids=["first", "over another"])
@pytest.mark.parametrize("call", ["open", "replace"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_all_or_none(
    site_packages: Path, ours: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, old: bool
) -> None:
    """Whichever file cannot be written, the folder is as it was."""
    if old:
        files.attach(site_packages, ours.parent)
    before = snapshot.picture(site_packages)
    calls = count()
    original: Callable[..., object] = getattr(Path, call)

    def failing(path: Path, *arguments: object, **named: object) -> object:
        if (arguments[:1] == ("xb",) or call == "replace") and next(calls) == number:
            raise OSError(28, "No space left on device")
        return original(path, *arguments, **named)

    monkeypatch.setattr(Path, call, failing)
    with pytest.raises(OSError, match="No space"):
        files.attach(site_packages, ours)
    assert not list(snapshot.compare_trees(before, snapshot.picture(site_packages)))


KILLED = """
import os, signal, sys
from pathlib import Path
from pipfast.plugin import files

site_packages, action, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
changes = 0

def count(event, arguments):
    global changes
    if event in ("open", "os.rename", "os.remove", "os.rmdir") and sys.argv[1] in str(arguments[0]):
        changes += 1
        if changes == last:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
getattr(files, action)(site_packages, *([Path("/a/pipfast")] if action == "attach" else []))
"""


@pytest.mark.parametrize("action", ["attach", "detach"])
def test_killed_at_any_step_and_detached_nothing_is_left(site_packages: Path, ours: Path, action: str) -> None:
    before = snapshot.picture(site_packages)
    for last in count(1):
        if action == "detach":
            files.attach(site_packages, ours)
            fill_cache(site_packages)
        command = [sys.executable, "-c", KILLED, str(site_packages), action, str(last)]
        path = os.pathsep.join([str(files.own_folder().parent), str(files.own_folder().parents[1] / "hooks")])
        ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False)
        files.detach(site_packages)
        assert not list(snapshot.compare_trees(before, snapshot.picture(site_packages))), last
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    assert last > 5


def test_one_at_a_time(site_packages: Path, ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once could leave the .pth file without its module: then every Python would complain at its start."""
    read, busy = files._read, []

    def reading(folder: Path, plugin: files.Plugin) -> dict[str, bytes]:
        other = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy.append(folder)
        finally:
            os.close(other)
        return read(folder, plugin)

    monkeypatch.setattr(files, "_read", reading)
    files.attach(site_packages, ours)
    by_attach = len(busy)
    files.detach(site_packages)
    assert by_attach and len(busy) > by_attach


def test_who_hangs_is_not_waited_for(site_packages: Path, ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PATIENCE_S", 0.01)
    other = os.open(site_packages, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert files.attach(site_packages, ours)
    finally:
        os.close(other)


def test_bytecode_of_another_user_keeps_it_attached(
    site_packages: Path, ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.attach(site_packages, ours)
    fill_cache(site_packages)
    before = snapshot.picture(site_packages)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: Path("/proc/self/absent").stat())
        with pytest.raises(OSError, match="absent"):
            files.detach(site_packages)
    assert not list(snapshot.compare_trees(before, snapshot.picture(site_packages)))


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002], ids=oct)
def test_modes_are_as_the_umask_gives(site_packages: Path, ours: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.attach(site_packages, ours)
    finally:
        os.umask(before)
    assert {stat.S_IMODE((site_packages / name).stat().st_mode) for name in NAMES} == {0o666 & ~umask}


@pytest.mark.parametrize("name", ["it's \"quoted\"", "grün", "two\nlines", "back\\slash", "\udce4"], ids=ascii)
def test_folder_of_any_name(site_packages: Path, tmp_path: Path, name: str) -> None:
    files.attach(site_packages, tmp_path / name / "pipfast")
    there = files.look(site_packages)
    assert there is not None and there.folder == tmp_path / name / "pipfast"


def test_pipfast_beside_it_moves_with_the_environment(site_packages: Path, tmp_path: Path) -> None:
    files.attach(site_packages, site_packages / "pipfast")
    site_packages.rename(tmp_path / "moved")
    there = files.look(tmp_path / "moved")
    assert there is not None and there.folder == tmp_path / "moved" / "pipfast"
