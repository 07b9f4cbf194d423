"""Settings in pip's own configuration files, through the whole program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box


def test_the_store_that_the_file_names_is_used(box: Box, index: Index) -> None:
    """Installing, doctor and the store's own commands mean the same folder."""
    own = box.root / "own"
    (box.root / "own.conf").write_text(f"[pipfast]\nstore = {own}\nlink-mode = copy\n", encoding="utf-8")
    variables = {"PIP_CONFIG_FILE": str(box.root / "own.conf"), "PIPFAST_STORE": ""}
    assert box.pipfast("install", *index.args, "library", **variables).status == 0
    assert list(own.glob("archives-v*/*/*")) and not box.entries()
    assert box.pipfast("store", "path", **variables).out == f"{own}\n"
    document = json.loads(box.pipfast("doctor", "--json", **variables).out)
    assert document["settings"]["PIPFAST_STORE"] == str(own) == document["store"]["path"]
    assert document["settings"]["PIPFAST_LINK_MODE"] == "copy"


def test_switched_off_in_the_file(box: Box, index: Index) -> None:
    """pip runs alone."""
    (box.root / "own.conf").write_text("[pipfast]\nenabled = off\n", encoding="utf-8")
    ended = box.pipfast("install", *index.args, "library", PIP_CONFIG_FILE=str(box.root / "own.conf"))
    assert ended.status == 0 and not ended.err
    assert not box.entries()


def test_a_slip_in_the_file_is_said_once(box: Box, index: Index) -> None:
    """With the file's name for it, and the installation goes on."""
    (box.root / "own.conf").write_text("[pipfast]\nconnections = many\n", encoding="utf-8")
    ended = box.pipfast("install", *index.args, "library", PIP_CONFIG_FILE=str(box.root / "own.conf"))
    assert ended.status == 0
    assert ended.err.count("[pipfast] connections is 'many'") == 1
