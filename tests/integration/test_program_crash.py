"""A command that is killed at each step of placing a wheel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.wheels import Wheel

if TYPE_CHECKING:
    from support.index import Index, Server
    from support.program import Box

DEMO = Wheel(
    "demo",
    files={"demo/__init__.py": "def main():\n    return 0\n", "demo/data/table.txt": "x", "top.py": "",
           "demo-1.0.data/data/share/demo.txt": "x", "demo-1.0.data/scripts/run-demo": "#!python\n"},
    console={"demo": "demo:main"},
).build()

KILLED_AT_EACH_STEP = """
import json, os, shutil, sys, sysconfig
from pathlib import Path
from pipfast.prepare.aside import Arrangement
from pipfast_hooks.install import wheel as install
# Wait for the worker that links aside.
Arrangement._is_ours = lambda self: False
base = Path(sys.prefix)
armed = 0
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def audit(event, args):
    global armed
    if armed and (event in ("os.rename", "os.link", "os.mkdir", "os.remove", "os.chmod")
                  or event == "open" and args[2] & WRITES):
        armed -= 1
        if not armed:
            os._exit(77)
def seen():
    return {str(path.relative_to(base)) for path in base.rglob("*")
            if path.name != "__pycache__" and path.suffix != ".pyc"}
stock_place, stock_install = install.place_wheel, install._install
def kill_at_each_step(request, ready, run):
    global armed
    if request.name != "demo":
        return stock_place(request, ready, run)
    before, states, saved = seen(), [], None
    if ready.arranged:
        saved = Path(str(ready.arranged) + "-saved")
        shutil.copytree(ready.arranged, saved)
    step, status = 0, 77
    while status == 77:
        step += 1
        if not (child := os.fork()):
            armed = step
            placed = stock_place(request, ready, run)
            stock_install(request, placed, run)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        after = seen() - before
        states.append(sorted(after))
        if status == 77 and step == int(sys.argv_stop):
            os._exit(9)
        for each in sorted(after, reverse=True):
            path = base / each
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if saved:
            shutil.rmtree(ready.arranged, ignore_errors=True)
            shutil.copytree(saved, ready.arranged)
    Path("states.json").write_text(json.dumps([bool(saved), status, states]))
    return stock_place(request, ready, run)
sys.argv_stop = sys.argv.pop(1)
sys.addaudithook(audit)
install.place_wheel = kill_at_each_step
from pipfast.launch import main
sys.exit(main())
"""


@pytest.fixture
def index(server: Server) -> Index:
    index = server.index()
    index.add(DEMO)
    return index


@pytest.mark.parametrize(
    ("link_mode", "aside"), [("hardlink", True), ("hardlink", False), ("copy", False)],
    ids=["moved", "linked", "copied"],
)
def test_what_claims_a_package_comes_when_it_is_there(
    link_mode: str, aside: bool, box: Box, index: Index
) -> None:
    """Moved aside folders, links and copies: a .dist-info never stands without every file of the package."""
    # A single worker links nothing aside.
    variables = {"PIPFAST_LINK_MODE": link_mode, "PIPFAST_WORKERS": "2" if aside else "1"}
    # The store has it then, so that the next one can have it linked aside.
    assert box.pipfast("install", *index.args, "--prefix", str(box.root / "p"), "demo", **variables).status == 0
    ended = box.run("-c", KILLED_AT_EACH_STEP, "0", "install", *index.args, "demo", **variables)
    assert ended.status == 0, ended.err
    moved, status, states = json.loads((box.work / "states.json").read_text())
    assert (moved, status) == (aside, 0)
    whole = {path for path in states[-1] if ".dist-info" not in path}
    assert len(states) > 8 and any(path.endswith("bin/demo") for path in whole)
    claims = [path for path in states[-1] if path.endswith(".dist-info")]
    assert claims
    for state in states:
        if claims[0] in state:
            assert whole <= set(state)
            if moved:
                assert f"{claims[0]}/RECORD" in state
    assert box.pip("uninstall", "-y", "demo").status == 0
    assert not [path for path in box.site_packages.iterdir() if "demo" in path.name]


@pytest.mark.once
def test_a_killed_installation_is_no_installation(box: Box, index: Index) -> None:
    """pip would have said "already satisfied" for ever."""
    killed = box.run("-c", KILLED_AT_EACH_STEP, "6", "install", *index.args, "demo", PIPFAST_LINK_MODE="copy")
    assert killed.status == 9
    again = box.pip("install", *index.args, "demo")
    assert again.status == 0 and "Successfully installed demo" in again.out
