"""Manifests are read as written, or not at all if damaged."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from pipfast.store.manifest import (
    Damaged,
    Folder,
    StoredFile,
    TreeManifest,
    group_by_folder,
    is_tree,
    read_bytecode_manifest,
    read_tree_manifest,
    write_bytecode_manifest,
    write_tree_manifest,
)

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = TreeManifest(
    "0123456789abcdef", "demo-1.0.dist-info", True, "[console_scripts]\na = b:c\n",
    [("demo/ü.py", "sha256=x", "3"), ("demo-1.0.dist-info/RECORD", "", "")],
    [Folder("demo", (StoredFile("ü.py", 3, 1_700_000_000_123_456_789, 0o644),)),
     Folder("", (StoredFile("tool", 5, 7, 0o755),))],
    {"METADATA": "00"},
)


def test_tree_manifest_round_trip(tmp_path: Path) -> None:
    write_tree_manifest(tmp_path, MANIFEST)
    assert read_tree_manifest(tmp_path) == MANIFEST
    assert is_tree(tmp_path, MANIFEST.tree_id)
    assert not is_tree(tmp_path, "fedcba9876543210")
    assert not is_tree(tmp_path / "gone", MANIFEST.tree_id)


def test_bytecode_manifest_round_trip(tmp_path: Path) -> None:
    manifest = group_by_folder([("a/b/x.pyc", 1, 2, 0o644, ""), ("y.pyc", 3, 4, 0o644, "")])
    write_bytecode_manifest(tmp_path, manifest)
    assert read_bytecode_manifest(tmp_path) == manifest


def test_missing_is_not_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_tree_manifest(tmp_path)


def test_every_flipped_bit_is_seen(tmp_path: Path) -> None:
    write_tree_manifest(tmp_path, MANIFEST)
    content = (tmp_path / "manifest").read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        (tmp_path / "manifest").write_bytes(damaged)
        with pytest.raises(Damaged):
            read_tree_manifest(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 20, 84, -1])
def test_truncated_is_damaged(keep: int, tmp_path: Path) -> None:
    write_tree_manifest(tmp_path, MANIFEST)
    (tmp_path / "manifest").write_bytes((tmp_path / "manifest").read_bytes()[:keep])
    with pytest.raises(Damaged):
        read_tree_manifest(tmp_path)


def test_other_kind_is_damaged(tmp_path: Path) -> None:
    write_bytecode_manifest(tmp_path, [])
    with pytest.raises(Damaged):
        read_tree_manifest(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        [["..", [["x", 1, 1, 0]]]], [["/etc", [["x", 1, 1, 0]]]], [["a/../..", [["x", 1, 1, 0]]]],
        [["a//b", [["x", 1, 1, 0]]]], [["a/", [["x", 1, 1, 0]]]], [["a", [["..", 1, 1, 0]]]],
        [["a", [["b/c", 1, 1, 0]]]], [["a", [["", 1, 1, 0]]]], [["a", [["y", 1, 1, 0], ["", 1, 1, 0]]]],
        [["a", [["x", 1]]]], [["a", 5]], "nothing", None,
    ],
    ids=str,
)
def test_unsafe_or_malformed_folders_are_damaged(folders: object, tmp_path: Path) -> None:
    """Also under a right checksum: it is no signature."""
    body = json.dumps({"folders": folders}).encode()
    head = f"pipfast bytecode {hashlib.sha256(body).hexdigest()}\n".encode()
    (tmp_path / "manifest").write_bytes(head + body)
    with pytest.raises(Damaged):
        read_bytecode_manifest(tmp_path)
