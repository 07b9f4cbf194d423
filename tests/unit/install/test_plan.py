"""Places of a wheel's files."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from pipfast.install.linker import Linker
from pipfast.install.place import place
from pipfast.install.plan import check_sources, plan_wheel
from support.stores import UMASK, prepare
from support.wheels import Wheel

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.install.plan import Plan
    from pipfast.store.layout import Layout

DEMO = Wheel(
    "demo",
    files={"demo/__init__.py": "x = 1\n", "top.py": "y = 2\n", "demo/data.txt": "z"},
    data={
        "purelib/pure.py": "p = 1\n", "platlib/deep/plat.py": "q = 1\n", "headers/demo.h": "/* */",
        "scripts/tool": "#!python\nprint(1)\n", "scripts/made": "#!python\n", "data/share/doc.txt": "doc",
    },
    console={"made": "demo:main"},
).build()


def planned(layout: Layout, tmp_path: Path) -> tuple[Plan, Path]:
    env = tmp_path / "env"
    schemes = {key: str(env / key) for key in ("purelib", "platlib", "headers", "scripts", "data")}
    prepared = prepare(layout, DEMO, tmp_path)
    return plan_wheel(prepared, schemes, schemes["purelib"], lambda name: name == "made"), env


def test_every_scheme(layout: Layout, tmp_path: Path) -> None:
    plan, env = planned(layout, tmp_path)
    place(plan.batches, Linker("hardlink", UMASK))
    found = {path.relative_to(env).as_posix() for path in env.rglob("*") if path.is_file()}
    info = "purelib/demo-1.0.dist-info/"
    assert {path for path in found if "__pycache__" not in path} == {
        "purelib/demo/__init__.py", "purelib/top.py", "purelib/demo/data.txt", "purelib/pure.py",
        "platlib/deep/plat.py", "headers/demo.h", "scripts/tool", "data/share/doc.txt",
        f"{info}METADATA", f"{info}WHEEL", f"{info}RECORD", f"{info}entry_points.txt",
    }
    assert {path.rpartition("/")[0] for path in found if "__pycache__" in path} == {
        "purelib/demo/__pycache__", "purelib/__pycache__", "platlib/deep/__pycache__",
    }


def test_paths_in_record_lead_from_the_wheels_own_folder(layout: Layout, tmp_path: Path) -> None:
    plan, env = planned(layout, tmp_path)
    assert plan.installed["demo-1.0.data/platlib/deep/plat.py"] == "../platlib/deep/plat.py"
    assert plan.installed["demo-1.0.data/scripts/tool"] == "../scripts/tool"
    assert plan.installed["demo-1.0.data/purelib/pure.py"] == "pure.py"
    assert "demo-1.0.data/scripts/made" not in plan.installed
    assert plan.scripts == [("demo-1.0.data/scripts/tool", str(env / "scripts" / "tool"))]


@pytest.mark.parametrize("path", ["scripts/tool", "purelib/demo-1.0.dist-info/RECORD"])
def test_rewriting_leaves_the_stored_file_unchanged(path: str, layout: Layout, tmp_path: Path) -> None:
    plan, env = planned(layout, tmp_path)
    place(plan.batches, Linker("hardlink", UMASK))
    (env / path).write_text("rewritten")
    assert (env / path).stat().st_nlink == 1
    assert check_sources(plan.batches) is None


def test_metadata_that_nobody_appends_to_is_linked(layout: Layout, tmp_path: Path) -> None:
    plan, env = planned(layout, tmp_path)
    place(plan.batches, Linker("hardlink", UMASK))
    assert (env / "purelib/demo-1.0.dist-info/METADATA").stat().st_nlink == 2


@pytest.mark.parametrize("way", ["edited", "gone", "touched"])
def test_changed_sources_are_found(way: str, layout: Layout, tmp_path: Path) -> None:
    plan, env = planned(layout, tmp_path)
    place(plan.batches, Linker("hardlink", UMASK))
    linked = env / "purelib" / "top.py"
    if way == "edited":
        linked.write_text("y = 3, and more\n")
    elif way == "touched":
        os.utime(linked)
    else:
        (layout.root / "trees-v1").rename(tmp_path / "away")
    changed = check_sources(plan.batches)
    assert changed is not None
    if way != "gone":
        assert changed.endswith("/top.py")
    assert stat.S_ISREG(linked.stat().st_mode)
