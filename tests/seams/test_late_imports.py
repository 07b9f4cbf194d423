"""Once an installation has begun, no module of ours is imported: it may be replaced by then."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import Box, add_shim, make_box
from support.sources import archive, seeing, torch
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index

_LISTEN = """
import os, sys

begun = False

def hear(event, arguments):
    global begun
    if event == "import":
        if begun and arguments[0].startswith({ours!r}):
            os.write(log, (arguments[0] + "\\n").encode())
    elif event in ("open", "os.link", "os.rename", "os.mkdir"):
        place = str(arguments[event in ("os.link", "os.rename")])
        writes = event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes and not begun and place.startswith({site!r}) and ".pyc" not in place:
            begun = True
            os.write(log, b"begun\\n")

if os.path.basename(sys.argv[0]) == "pipfast":
    log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.addaudithook(hear)
"""
OURS = ("pipfast", "wrapt", "packaging", "platformdirs", "isal")


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    """Serve two versions of a program, and a source whose build misses torch."""
    with serving() as server:
        index = server.index()
        for version in ("1.0", "2.0"):
            index.add(Wheel("app", version, requires=["library"], console={"app": "app:main"},
                            files={"app/__init__.py": "# -*- coding: utf-8 -*-\n"}).build())
        index.add(Wheel("library").build(), torch("1.0"),
                  archive("needy", scripts={"requires": seeing("torch", "needy")}))
        yield index


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Return an environment whose commands note what they import late."""
    box = make_box(tmp_path)
    add_shim(box, _LISTEN.format(ours=OURS, site=str(box.site_packages), log=str(tmp_path / "late")))
    return box


def late(box: Box) -> list[str]:
    """Return what the last command noted."""
    text = (box.root / "late").read_text("utf-8")
    (box.root / "late").unlink()
    return text.split()


def script_of(box: Box) -> Path:
    """Write the console script, and return it."""
    script = box.python.with_name("pipfast")
    script.write_text(f"#!{box.python}\nimport sys\nfrom pipfast.__main__ import main\nsys.exit(main())\n")
    return script


def test_nothing_is_imported_late(box: Box, index: Index) -> None:
    """An installation into the store and from it, an upgrade, one that fails, a rescued build."""
    script = script_of(box)
    for more in (["app==1.0"], ["-U", "app"], ["--force-reinstall", "app"], ["torch", "needy"],
                 ["--no-cache-dir", "--force-reinstall", "library"],
                 ["--no-compile", "--force-reinstall", "library"]):
        ended = box.run(str(script), "install", *index.args, *more)
        assert ended.status == 0, ended.err
        assert late(box) == ["begun"], more
    shutil.rmtree(box.site_packages / "library")
    (box.site_packages / "library").touch()
    assert box.run(str(script), "install", "--ignore-installed", *index.args, "library").status
    assert late(box) == ["begun"]


def test_nothing_is_imported_late_where_pip_installs_without_the_hooks_of_builds(box: Box, index: Index) -> None:
    """What the command's end asks about builds is imported before, too."""
    script = script_of(box)
    # With such a prefix pip compiles, and installs.
    variables = {"PIPFAST_DISABLE": "builds,index", "PYTHONPYCACHEPREFIX": str(box.root / "bytecode")}
    ended = box.run(str(script), "install", *index.args, "app", **variables)
    assert ended.status == 0, ended.err
    assert late(box) == ["begun"]
