"""The store's bound: commands that run at once, build environments, and what is said of it."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pipfast.store.names import MEMO
from pipfast.upkeep.inventory import usage_of
from support.index import serving
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box

FOLDERS = 9 * 256 * 4096
"""Bytes of the folders for the first digits of names, if all are there."""


def own_bytes(box: Box) -> int:
    buckets = [usage_of(path) for path in box.store.glob("*-v*")]
    return sum(each.bytes - each.shared for each in buckets)


@pytest.mark.slow
def test_twenty_installs_by_four_processes(box: Box) -> None:
    """The store is never above its bound by more than one of them, and all are right."""
    names = [f"part{number}" for number in range(20)]
    data = 4_000_000
    bound = 5 * 2 * data + FOLDERS
    with serving() as server:
        index = server.index()
        for name in names:
            files: dict[str, str | bytes] = {f"{name}/__init__.py": "x = 1\n", f"{name}/data": os.urandom(data)}
            index.add(Wheel(name, files=files).build())

        def install(name: str) -> tuple[int, str, int]:
            ended = box.pipfast("install", *index.args, "--target", name, name, PIPFAST_STORE_SIZE=str(bound),
                                PIPFAST_WORKERS="1", PIPFAST_LINK_MODE="copy")
            return ended.status, ended.err, own_bytes(box)

        with ThreadPoolExecutor(4) as pool:
            ends = list(pool.map(install, names))
    assert {(status, err) for status, err, _ in ends} == {(0, "")}
    assert max(own for _, _, own in ends) <= bound + 2 * data
    for name in names:
        code = f"import sys; sys.path.insert(0, {name!r}); import {name}; assert {name}.x == 1"
        subprocess.run([box.python, "-c", code], cwd=box.work, check=True)
        assert (box.work / name / name / "data").stat().st_size == data
    assert own_bytes(box) > bound // 3
    assert box.leftovers() == [] == box.broken_entries()
    assert box.pipfast("store", "verify").status == 0


@pytest.mark.once
def test_what_is_said_of_it(box: Box, index: Index) -> None:
    """In pip's own configuration file, too; a store below its bound keeps everything."""
    (box.root / "own.conf").write_text("[pipfast]\nstore-size = 2GiB\n", encoding="utf-8")
    variables = {"PIP_CONFIG_FILE": str(box.root / "own.conf"), "PIPFAST_LINK_MODE": "hardlink"}
    ended = box.pipfast("install", *index.args, "app", **variables)
    assert (ended.status, ended.err) == (0, "")
    info = json.loads(box.pipfast("store", "info", "--json", **variables).out)
    assert info["bound"] == 2 << 30
    assert info["own_bytes"] == info["bytes"] - info["shared_bytes"] and 0 < info["shared_bytes"]
    assert ", which may be 2.1 GB (" in box.pipfast("store", "info", **variables).out
    assert " only here (bound 2.1 GB)" in box.pipfast("doctor", **variables).out
    assert " only here (no bound)" in box.pipfast("doctor").out
    # What environments link costs nothing: this bound is about the rest, and the next command keeps it.
    (box.root / "own.conf").write_text("[pipfast]\nstore-size = 1\n", encoding="utf-8")
    assert box.pipfast("install", *index.args, "--target", "t", "app", **variables).status == 0
    # That it was asked is noted at the very end, in some hundred bytes.
    assert [entry for entry in box.entries() if not entry.startswith(f"{MEMO}/")] == []
    assert (box.work / "t" / "app").is_dir() and box.leftovers() == []
