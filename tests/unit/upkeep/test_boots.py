"""Entries that a machine's crash may have spoiled."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from pipfast.upkeep.boots import NAME, is_unproved, note_alive, unproved
from pipfast.upkeep.verify import verify
from support.stores import prepare
from support.wheels import wheel

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout


def went_down(layout: Layout, alive: float) -> None:
    """Let the store be that of another boot, in which a command was last alive then."""
    noted = {"boot": "another", "alive": alive, "unproved": []}
    (layout.root / NAME).write_text(json.dumps(noted))


def spoil(path: Path) -> None:
    """Give a file what some filesystems give it: its size, its time, and nothing in it."""
    found = path.stat()
    path.write_bytes(bytes(found.st_size))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("what", ["source", "bytecode"])
def test_what_was_made_before_a_power_cut_is_whole_or_made_again(
    what: str, layout: Layout, tmp_path: Path
) -> None:
    prepared = prepare(layout, wheel("demo"), tmp_path)
    assert prepared.bytecode is not None
    source = prepared.tree / "tree" / "demo" / "__init__.py"
    (pyc,) = (prepared.bytecode / "tree" / "demo" / "__pycache__").iterdir()
    spoil(source if what == "source" else pyc)
    went_down(layout, time.time())
    prepare(layout, wheel("demo"), tmp_path)
    assert not verify(layout, keep=True).damages


def test_what_is_proved_is_believed(layout: Layout, tmp_path: Path) -> None:
    prepared = prepare(layout, wheel("demo"), tmp_path)
    went_down(layout, time.time() - 120)
    times = [(first, time.time()) for first, _ in unproved(layout)]
    assert is_unproved(times, prepared.tree)
    (layout.root / NAME).write_text((layout.root / NAME).read_text().replace(
        json.dumps(unproved(layout)[0][1]), json.dumps(times[0][1])))
    again = prepare(layout, wheel("demo"), tmp_path)
    assert again.manifest.tree_id == prepared.manifest.tree_id
    assert not is_unproved(unproved(layout), again.tree)


def test_what_was_made_long_before_is_believed(layout: Layout, tmp_path: Path) -> None:
    prepared = prepare(layout, wheel("demo"), tmp_path)
    went_down(layout, time.time() + 3600)
    assert unproved(layout) and not is_unproved(unproved(layout), prepared.tree)


@pytest.mark.parametrize("content", ["", "{}", "[]", "x" * 100])
def test_a_note_that_cannot_be_read_is_no_proof(content: str, layout: Layout) -> None:
    (layout.root / NAME).write_text(content)
    assert unproved(layout)[0][0] < 0


def test_the_machine_is_noted_to_be_up_once_an_hour(layout: Layout) -> None:
    unproved(layout)
    path = layout.root / NAME
    os.utime(path, (1, 1))
    note_alive(layout)
    assert path.stat().st_mtime > 1
    before = path.stat().st_ino
    note_alive(layout)
    assert path.stat().st_ino == before
