"""A store that is emptied while wheels are installed from it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from pipfast.store.layout import Layout, open_layout
from pipfast.upkeep.maintenance import prune, purge
from support.wheels import Wheel

if TYPE_CHECKING:
    from pathlib import Path

DEMO = Wheel(
    "demo", files={f"demo/p{part}/m{number}.py": f"x = {number}\n" for part in range(6) for number in range(40)}
).build()


def install(wheel: Path, target: Path, store: Path, link_mode: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipfast", "install", "--no-index", "--no-deps", "--target", str(target),
         str(wheel), "--disable-pip-version-check"],
        env={**os.environ, "PIPFAST_STORE": str(store), "PIPFAST_LINK_MODE": link_mode},
        capture_output=True, text=True, timeout=120,
    )


def assert_whole(target: Path) -> None:
    """Every source is there, with bytecode that is valid for it."""
    for part in range(6):
        for number in range(40):
            source = target / "demo" / f"p{part}" / f"m{number}.py"
            assert source.read_text() == f"x = {number}\n"
            (cached,) = source.parent.joinpath("__pycache__").glob(f"m{number}.*.pyc")
            flags, seconds, size = struct.unpack("<III", cached.read_bytes()[4:16])
            if flags == 0:
                assert (seconds, size) == (int(source.stat().st_mtime), source.stat().st_size)


def empty_repeatedly(store: Path, over: threading.Event) -> None:
    while not over.is_set():
        prune(Layout(store), max_size=0)
        if not over.wait(0.01):
            purge(open_layout(store))
            open_layout(store)


def test_installing_while_the_store_is_emptied(tmp_path: Path) -> None:
    """No installation fails, and none is left half done."""
    store = tmp_path / "store"
    open_layout(store)
    wheel = tmp_path / DEMO.filename
    wheel.write_bytes(DEMO.data)
    over = threading.Event()
    emptying = threading.Thread(target=empty_repeatedly, args=(store, over))
    emptying.start()
    try:
        for number, mode in enumerate(["hardlink", "copy", "auto"]):
            ended = install(wheel, tmp_path / f"env{number}", store, mode)
            assert ended.returncode == 0, ended.stderr
            assert_whole(tmp_path / f"env{number}")
            assert "Traceback" not in ended.stderr
    finally:
        over.set()
        emptying.join()


_VANISH = """
import os, sys
from pipfast.store.layout import Layout
from pipfast_hooks.install import wheel as install
times = int(sys.argv.pop(1))
stock = install.place
def place(batches, linker):
    global times
    if times:
        times -= 1
        stock(batches[: len(batches) // 2], linker)
        layout = Layout(__import__("pathlib").Path(os.environ["PIPFAST_STORE"]))
        for bucket in ("trees-v1", "bytecode-v1"):
            layout.discard(layout.root / bucket)
    return stock(batches, linker)
install.place = place
from pipfast.launch import main
sys.exit(main(sys.argv[1:]))
"""


def test_tree_that_vanishes_half_placed(tmp_path: Path) -> None:
    """Once: placed again. Every time: pip's own code installs it. Never: half of it."""
    wheel = tmp_path / DEMO.filename
    wheel.write_bytes(DEMO.data)
    for times in (1, 9):
        target = tmp_path / f"env{times}"
        ended = subprocess.run(
            [sys.executable, "-c", _VANISH, str(times), "install", "--no-index", "--no-deps",
             "--disable-pip-version-check", "--target", str(target), str(wheel)],
            env={**os.environ, "PIPFAST_STORE": str(tmp_path / "store"), "PIPFAST_LINK_MODE": "hardlink"},
            capture_output=True, text=True, timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr and "changed in place" not in ended.stderr
        assert_whole(target)
        linked = (target / "demo" / "p0" / "m0.py").stat().st_nlink > 1
        assert linked is (times == 1)
