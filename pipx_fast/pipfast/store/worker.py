"""A worker process: unpacks archives and byte-compiles trees, one job at a time.

It runs as ``python -I -S``, so that nothing of the environment that is being installed into, nor of
the current folder, is imported. Jobs come as JSON lines on standard input, answers go as JSON lines
to standard output; standard input's end ends it. All its modules are imported before the first job.

Jobs leave their results as files in a staging folder: what one job learns of tens of thousands of
files never passes through the process that runs pip.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipfast.store.archives import sha256_of
from pipfast.store.bytecode import BytecodeKind, compile_sources
from pipfast.store.layout import Layout
from pipfast.store.manifest import (
    TREE,
    BytecodeManifest,
    Damaged,
    StoredFile,
    TreeManifest,
    group_by_folder,
    read_tree_manifest,
    write_bytecode_manifest,
    write_tree_manifest,
)
from pipfast.store.members import NotStorable, WheelMembers, read_members
from pipfast.store.unpack import unpack_members

UNPACK_SHARE = 48 << 20
"""Bytes unpacked by one job: larger archives are shared between the workers."""

COMPILE_SHARE = 2 << 20
"""Bytes of Python source compiled by one job, about a second's work."""


def main() -> None:
    """Do jobs until standard input ends."""
    # Ctrl-C reaches the whole process group; the parent decides and closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = sys.stdout.buffer
    # A print by anything we call must not be taken for an answer.
    sys.stdout = sys.stderr
    for line in sys.stdin.buffer:
        answers.write(json.dumps(_answer(json.loads(line))).encode() + b"\n")
        answers.flush()


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"ok": True, **_JOBS[job["do"]](job)}
    except NotStorable as error:
        return {"ok": False, "reason": str(error), "storable": False}
    except (FileNotFoundError, Damaged) as error:
        # An entry went away meanwhile (pruned, or made again by another process).
        return {"ok": False, "reason": repr(error), "storable": True, "again": True}
    except Exception as error:
        # Whatever it is, the archive is installed by pip's own code instead.
        return {"ok": False, "reason": repr(error), "storable": True}


def _plan_unpack(job: dict[str, Any]) -> dict[str, Any]:
    """Tell into how many shares an archive's members are divided; a single one is done at once."""
    archive = Path(job["archive"])
    if sha256_of(archive) != job["digest"]:
        raise Damaged(f"{archive} is not what it was")
    members = _members(job["archive"])
    bounds = _shares([member.file_size for member in members.files], UNPACK_SHARE)
    Path(job["staging"], TREE).mkdir(exist_ok=True)
    if len(bounds) == 1:
        _unpack_share({**job, "share": 0, "bounds": bounds[0]})
    return {"bounds": bounds}


def _unpack_share(job: dict[str, Any]) -> dict[str, Any]:
    members = _members(job["archive"])
    begin, end = job["bounds"]
    os.umask(job["umask"])
    tree = Path(job["staging"], TREE)
    facts = unpack_members(Path(job["archive"]), members.files[begin:end], tree, job["umask"])
    _write_share(job, facts)
    return {}


def _seal_tree(job: dict[str, Any]) -> dict[str, Any]:
    """Write the manifest of an unpacked archive and rename it into place."""
    staging = Path(job["staging"])
    layout = Layout(Path(job["root"]))
    members = _members(job["archive"])
    manifest = TreeManifest(
        secrets.token_hex(8), members.info_dir, members.root_is_purelib, members.entry_points,
        members.rows, group_by_folder(_read_shares(staging)),
    )
    write_tree_manifest(staging, manifest)
    layout.settle(staging, layout.tree(job["digest"], job["umask"]))
    return {}


def _plan_compile(job: dict[str, Any]) -> dict[str, Any]:
    """Tell into how many shares a tree's sources are divided; a single one is done at once."""
    bounds = _shares([file.size for _, file in _sources_of(job["tree"], job["id"])], COMPILE_SHARE)
    if len(bounds) == 1:
        _compile_share({**job, "share": 0, "bounds": bounds[0]})
    return {"bounds": bounds}


@lru_cache(maxsize=2)
def _members(archive: str) -> WheelMembers:
    """Read an archive's members once for the jobs about it, which mostly come in a row."""
    return read_members(Path(archive))


@lru_cache(maxsize=2)
def _sources_of(tree: str, tree_id: str) -> list[tuple[str, StoredFile]]:
    manifest = read_tree_manifest(Path(tree))
    if manifest.tree_id != tree_id:
        # Another process threw the tree away and made it again: its sources have other times.
        raise Damaged(f"{tree} is another tree by now")
    return manifest.sources()


def _compile_share(job: dict[str, Any]) -> dict[str, Any]:
    sources = _sources_of(job["tree"], job["id"])
    begin, end = job["bounds"]
    os.umask(job["umask"])
    kind = BytecodeKind(**job["kind"])
    target = Path(job["staging"], TREE)
    facts = compile_sources(Path(job["tree"], TREE), sources[begin:end], target, kind)
    _write_share(job, facts)
    return {}


def _seal_bytecode(job: dict[str, Any]) -> dict[str, Any]:
    """Write the manifest of a tree's bytecode and rename it into place."""
    staging = Path(job["staging"])
    layout = Layout(Path(job["root"]))
    write_bytecode_manifest(staging, BytecodeManifest(group_by_folder(_read_shares(staging))))
    kind = BytecodeKind(**job["kind"])
    layout.settle(staging, layout.bytecode(job["digest"], job["umask"], job["id"], kind.tag))
    return {}


def _shares(sizes: list[int], share: int) -> list[tuple[int, int]]:
    """Divide items into runs of about ``share`` bytes; at least one run, perhaps empty."""
    bounds: list[tuple[int, int]] = []
    begin = total = 0
    for index, size in enumerate(sizes):
        total += size
        if total >= share:
            bounds.append((begin, index + 1))
            begin, total = index + 1, 0
    if begin < len(sizes) or not bounds:
        bounds.append((begin, len(sizes)))
    return bounds


def _write_share(job: dict[str, Any], facts: list[Any]) -> None:
    path = Path(job["staging"], f"share-{job['share']}.json")
    path.write_text(json.dumps(facts), encoding="utf-8", errors="surrogateescape")


def _read_shares(staging: Path) -> list[Any]:
    facts: list[Any] = []
    paths = sorted(staging.glob("share-*.json"), key=lambda path: int(path.stem.partition("-")[2]))
    for path in paths:
        facts += json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
        path.unlink()
    return facts


_JOBS = {
    "plan-unpack": _plan_unpack,
    "unpack": _unpack_share,
    "seal-tree": _seal_tree,
    "plan-compile": _plan_compile,
    "compile": _compile_share,
    "seal-bytecode": _seal_bytecode,
}
