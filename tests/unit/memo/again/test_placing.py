"""Wheels of the store, placed in one more environment by one process or by two."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast.install import info
from pipfast.memo.again import halves, place, placing
from pipfast.memo.again.elsewhere import HERE, Environment
from pipfast.memo.again.installation import Installation, KeptWheel, Placed, Script, read_installation
from pipfast.memo.again.placing import Declined
from pipfast.prepare.bytecode import current_kind
from pipfast.wheel.scheme import SCHEME_KEYS
from support.snapshot import picture
from support.stores import UMASK, prepare
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipfast.store.layout import Layout

WHEELS = [
    Wheel(
        f"demo{number}", files={f"demo{number}/it.py": "x = 1\n", f"space/part{number}.py": "y = 1\n"},
        data={f"data/share/{number}.txt": "1\n", f"scripts/own{number}": "#!python\nprint()\n"},
    ).build()
    for number in range(4)
]

FOLDERS = {"purelib": "lib", "platlib": "lib", "headers": "include", "scripts": "bin", "data": ""}


@pytest.fixture
def kept(layout: Layout, tmp_path: Path) -> Installation:
    wheels = []
    for number, archive in enumerate(WHEELS):
        prepare(layout, archive, tmp_path)
        scripts = [Script(f"{HERE}/bin/own{number}", False, b"print()\n"),
                   Script(f"{HERE}/bin/made{number}", True, b"import it\n")]
        folders = [f"{HERE}/{FOLDERS[key]}".rstrip("/") for key in SCHEME_KEYS]
        wheels.append(KeptWheel(archive.sha256, folders, number == 0, [f"made{number}"], scripts, False, 5))
    kind = current_kind(dict(os.environ))
    return Installation("hardlink", UMASK, kind.tag if kind else "", wheels, apart=True, length=9)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    before = os.umask(UMASK)
    for name in ("lib", "bin"):
        (tmp_path / "env" / name).mkdir(parents=True)
    (tmp_path / "env/lib/mine.py").touch()
    yield Environment(str(tmp_path / "env"))
    os.umask(before)


@pytest.fixture(params=[1, 10_000], ids=["two processes", "one process"])
def least(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halves, "LEAST_FILES", request.param)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})


def look(environment: Environment) -> list[str]:
    return sorted(picture(Path(environment.prefix)))


def test_what_is_told_is_read_again(kept: Installation) -> None:
    assert read_installation(kept.fields()).fields() == kept.fields()


@pytest.mark.parametrize("path", ["/etc/passwd", f"{HERE}/../x", f"{HERE}//x", f"{HERE}x", f"{HERE}/./x", ""])
def test_path_that_leaves_the_environment_is_refused(kept: Installation, path: str) -> None:
    kept.wheels[0].scripts[0].path = path
    with pytest.raises(ValueError, match="not in the environment"):
        read_installation(kept.fields())


@pytest.mark.parametrize("digest", ["", "x" * 64, "../" + "a" * 61, "A" * 64])
def test_digest_that_is_none_is_refused(kept: Installation, digest: str) -> None:
    kept.wheels[0].digest = digest
    with pytest.raises(ValueError, match="no digest"):
        read_installation(kept.fields())


@pytest.mark.usefixtures("least")
def test_all_files_are_placed(kept: Installation, layout: Layout, environment: Environment) -> None:
    place.place_all(kept, str(layout.root), environment).end()
    root = Path(environment.prefix)
    for number in range(4):
        made = (root / f"bin/made{number}").read_text(encoding="utf-8")
        assert made == f"#!{sys.executable}\nimport it\n"
        assert os.access(root / f"bin/made{number}", os.X_OK)
        own = (root / f"bin/own{number}").read_text(encoding="utf-8")
        assert own == f"#!{sys.executable}\nprint()\n"
        info = root / f"lib/demo{number}-1.0.dist-info"
        rows = [line.partition(",")[0] for line in (info / "RECORD").read_text(encoding="utf-8").splitlines()]
        assert all((root / "lib" / row).exists() for row in rows) and f"../bin/made{number}" in rows
        assert (info / "REQUESTED").exists() == (number == 0)
        assert (root / f"lib/demo{number}/it.py").stat().st_nlink > 1
    assert (root / "share/3.txt").exists() and (root / "lib/space/part2.py").exists()


def prune(layout: Layout, environment: Environment) -> None:
    shutil.rmtree(layout.tree(WHEELS[3].sha256, UMASK))


def edit(layout: Layout, environment: Environment) -> None:
    path = layout.tree(WHEELS[2].sha256, UMASK) / "tree/demo2/it.py"
    path.write_text("x = 2\n# more\n", encoding="utf-8")


def script(layout: Layout, environment: Environment) -> None:
    Path(environment.prefix, "bin/made1").symlink_to("/nowhere")


def module(layout: Layout, environment: Environment) -> None:
    Path(environment.prefix, "lib/demo0").mkdir()
    Path(environment.prefix, "lib/demo0/it.py").touch()


def file_for_a_folder(layout: Layout, environment: Environment) -> None:
    Path(environment.prefix, "lib/space").touch()


@pytest.mark.usefixtures("least")
@pytest.mark.parametrize("change", [prune, edit, script, module, file_for_a_folder])
def test_nothing_is_placed_where_something_is_otherwise(
    kept: Installation, layout: Layout, environment: Environment,
    change: Callable[[Layout, Environment], None],
) -> None:
    change(layout, environment)
    before = look(environment)
    with pytest.raises(Declined):
        place.place_all(kept, str(layout.root), environment)
    assert look(environment) == before


@pytest.mark.usefixtures("least")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["demo0", "demo3"])
def test_what_is_not_finished_is_taken_away(
    kept: Installation, layout: Layout, environment: Environment, error: BaseException, name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, original = look(environment), info.write_info

    def fail(installed: info.Installed, folder: str, umask: int) -> None:
        if name in folder:
            raise error
        original(installed, folder, umask)

    monkeypatch.setattr(placing, "write_info", fail)
    with pytest.raises((Declined, KeyboardInterrupt)):
        place.place_all(kept, str(layout.root), environment)
    assert look(environment) == before


def test_second_half_is_taken_away_however_late(
    kept: Installation, layout: Layout, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process gives up while the second one is at its last wheel."""
    before, original, first = look(environment), info.write_info, os.getpid()

    def write(installed: info.Installed, folder: str, umask: int) -> None:
        if os.getpid() == first:
            time.sleep(0.6)
            raise OSError(28, "No space left on device")
        time.sleep(0.4)
        original(installed, folder, umask)

    monkeypatch.setattr(halves, "LEAST_FILES", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(placing, "write_info", write)
    with pytest.raises(Declined):
        place.place_all(kept, str(layout.root), environment)
    assert look(environment) == before


@pytest.mark.usefixtures("least")
def test_all_is_taken_away_if_it_cannot_be_said(
    kept: Installation, layout: Layout, environment: Environment
) -> None:
    before = look(environment)
    place.place_all(kept, str(layout.root), environment).undo()
    assert look(environment) == before


def test_one_process_places_all_where_there_is_no_second(
    kept: Installation, layout: Layout, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(halves, "LEAST_FILES", 1)
    monkeypatch.setattr(os, "fork", refuse)
    place.place_all(kept, str(layout.root), environment).end()
    assert Path(environment.prefix, "lib/demo3-1.0.dist-info/RECORD").exists()


def test_halves_have_all_wheels_and_about_as_many_files(kept: Installation) -> None:
    for number, wheel in enumerate(kept.wheels):
        wheel.files = (number + 1) * 10
    first, second = halves.halves(kept.wheels)
    assert sorted(map(id, first + second)) == sorted(map(id, kept.wheels))
    assert abs(sum(each.files for each in first) - sum(each.files for each in second)) <= 40


def test_script_of_another_interpreter_is_not_kept(tmp_path: Path) -> None:
    environment = Environment(str(tmp_path))
    path = tmp_path / "tool"
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    folders = [str(tmp_path)] * len(SCHEME_KEYS)
    placed = Placed("a" * 64, folders, False, [], [str(path)], [], False, [], Installation("auto", UMASK, "", ()))
    with pytest.raises(ValueError, match="does not begin"):
        placed.kept(environment, sys.executable)
    path.write_text(f"#!{sys.executable}\nprint()\n", encoding="utf-8")
    assert placed.kept(environment, sys.executable).scripts[0].path == f"{HERE}/tool"
