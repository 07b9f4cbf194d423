"""Worker process that unpacks, compiles and links, job by job.

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
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.install.aside import arrange
from pipfast.prepare.bytecode import BytecodeKind, compile_sources
from pipfast.prepare.seconds import claim_second
from pipfast.prepare.unpack import unpack_members
from pipfast.store.archives import find_archive, has_its_bytes, stored_sha256
from pipfast.store.layout import Layout
from pipfast.store.manifest import (
    TREE,
    BytecodeManifest,
    Damaged,
    StoredFile,
    TreeManifest,
    group_by_folder,
    info_digests,
    read_bytecode_manifest,
    read_digests,
    read_tree_manifest,
    write_bytecode_manifest,
    write_digests,
    write_tree_manifest,
)
from pipfast.store.prepared import Prepared
from pipfast.upkeep.mend import mend
from pipfast.wheel.members import NotStorable, WheelMembers, read_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNPACK_SHARE = 48 << 20
"""Bytes unpacked by one job: larger archives are shared between the workers."""

READ_BYTES = 1 << 29
"""Bytes of archives that are read because they are expected: a third of a second's work."""

COMPILE_SHARE = 2 << 20
"""Bytes of Python source compiled by one job, about a quarter of a second's work."""

_AS_WRITTEN: Any = {"encoding": "utf-8", "errors": "surrogateescape"}


def main() -> None:
    """Do jobs until standard input ends."""
    # Ctrl-C reaches the whole process group; the parent decides and closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = sys.stdout.buffer
    # A print by anything we call must not be taken for an answer.
    sys.stdout = sys.stderr
    for line in sys.stdin.buffer:
        for answer in answers(json.loads(line)):
            output.write(json.dumps(answer).encode() + b"\n")
            output.flush()


def answers(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Do a job; yield what is to be said of its parts, marked ``step``, and at last of the whole."""
    try:
        found = _JOBS[job["do"]](job)
        if isinstance(found, dict):
            yield {"ok": True, **found}
            return
        for each in found:
            yield {"step": True, **each}
        yield {"ok": True}
    except NotStorable as error:
        yield {"ok": False, "reason": str(error), "storable": False}
    except (FileNotFoundError, Damaged) as error:
        # An entry went away meanwhile (pruned, or made again by another process).
        yield {"ok": False, "reason": repr(error), "storable": True, "again": True}
    except Exception as error:
        # Whatever it is, the archive is installed by pip's own code instead.
        yield {"ok": False, "reason": repr(error), "storable": True, "errno": getattr(error, "errno", None)}


def _plan(job: dict[str, Any]) -> dict[str, Any]:
    """Prepare a small archive at once; tell into how many shares a larger one is divided.

    :returns: ``shares`` as (number, begin, end), the largest first, and the ``second`` for their files; or, where
        there is only one, what ``_unpack_share`` returns of it; or ``sealed``.
    """
    archive = Path(job["archive"])
    if not job["hashed"] and stored_sha256(archive) != job["digest"]:
        layout = Layout(Path(job["root"]))
        layout.discard(layout.archive(job["digest"]))
        raise Damaged(f"{archive} is not what it was")
    sizes = [member.file_size for member in _members(job["archive"]).files]
    bounds = _shares(sizes, UNPACK_SHARE)
    Path(job["staging"], TREE).mkdir(exist_ok=True)
    second = claim_second(Layout(Path(job["root"])))
    if len(bounds) > 1:
        shares = [(number, begin, end) for number, (begin, end) in enumerate(bounds)]
        shares.sort(key=lambda share: sum(sizes[share[1] : share[2]]), reverse=True)
        return {"shares": shares, "second": second}
    unpacked = _unpack_share({**job, "share": 0, "bounds": bounds[0], "second": second})
    if len(unpacked["sources"]) > 1:
        return unpacked
    for each in unpacked["sources"]:
        _compile_share({**job, "share": 0, "part": 0, "bounds": each})
    _seal(job)
    return {"sealed": True}


def _unpack_share(job: dict[str, Any]) -> dict[str, Any]:
    """Unpack some of the members; tell how their sources are divided for compiling."""
    members = _members(job["archive"])
    begin, end = job["bounds"]
    os.umask(job["umask"])
    tree = Path(job["staging"], TREE)
    if not tree.is_dir():
        raise Damaged(f"{tree} was given up")
    facts = unpack_members(Path(job["archive"]), members.files[begin:end], tree, job["umask"], job["second"])
    _write_facts(_facts_of_share(job["staging"], job["share"]), facts)
    sizes = [file.size for _, file in _sources_in(facts)] if "kind" in job else []
    return {"share": job["share"], "sources": _shares(sizes, COMPILE_SHARE) if sizes else []}


def _seal(job: dict[str, Any]) -> dict[str, Any]:
    """Write the manifests of an unpacked archive and of its bytecode, and rename both into place."""
    staging = Path(job["staging"])
    layout = Layout(Path(job["root"]))
    members = _members(job["archive"])
    tree_id = secrets.token_hex(8)
    facts = _read_facts(staging)
    manifest = TreeManifest(
        tree_id, members.info_dir, members.root_is_purelib, members.entry_points,
        members.rows, group_by_folder(facts), info_digests(facts, members.info_dir),
    )
    write_tree_manifest(staging, manifest)
    write_digests(staging, facts)
    if layout.settle(staging, layout.tree(job["digest"], job["umask"])):
        for superseded in layout.bytecode_of_others(job["digest"], job["umask"], tree_id):
            layout.discard(superseded)
        if "kind" in job:
            _seal_bytecode({**job, "id": tree_id})
    elif job["code"]:
        # Another process was first; what was compiled here does not belong to its sources.
        layout.discard(Path(job["code"]))
    return {}


def _plan_compile(job: dict[str, Any]) -> dict[str, Any]:
    """Tell how the sources of a tree that is there already are divided for compiling."""
    return {"sources": _shares([file.size for _, file in _sources_of(job["tree"], job["id"])], COMPILE_SHARE)}


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


@lru_cache(maxsize=2)
def _digests_of(tree: str, tree_id: str) -> dict[str, str]:
    return read_digests(Path(tree))


@lru_cache(maxsize=2)
def _sources_of_share(staging: str, share: int) -> list[tuple[str, StoredFile]]:
    return _sources_in(json.loads(_facts_of_share(staging, share).read_text(**_AS_WRITTEN)))


def _sources_in(facts: list[Any]) -> list[tuple[str, StoredFile]]:
    sources = [each for each in facts if each[0].endswith(".py")]
    return [(folder.path, file) for folder in group_by_folder(sources) for file in folder.files]


def _compile_share(job: dict[str, Any]) -> dict[str, Any]:
    if job["id"]:
        sources, tree = _sources_of(job["tree"], job["id"]), Path(job["tree"], TREE)
    else:
        sources, tree = _sources_of_share(job["staging"], job["share"]), Path(job["staging"], TREE)
    begin, end = job["bounds"]
    os.umask(job["umask"])
    code = Path(job["code"])
    if not code.is_dir():
        raise Damaged(f"{code} was given up")
    digests = _digests_of(job["tree"], job["id"]) if job["id"] else {}
    try:
        facts = compile_sources(tree, sources[begin:end], code / TREE, BytecodeKind(**job["kind"]), digests)
    except Damaged:
        Layout(Path(job["root"])).discard(tree.parent)
        raise
    _write_facts(code / f"facts-{job['share']}-{job['part']}.json", facts)
    return {}


def _seal_bytecode(job: dict[str, Any]) -> dict[str, Any]:
    """Write the manifest of a tree's bytecode and rename it into place."""
    code = Path(job["code"])
    layout = Layout(Path(job["root"]))
    facts = _read_facts(code)
    write_bytecode_manifest(code, BytecodeManifest(group_by_folder(facts)))
    write_digests(code, facts)
    kind = BytecodeKind(**job["kind"])
    layout.settle(code, layout.bytecode(job["digest"], job["umask"], job["id"], kind.tag))
    return {}


def _arrange(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Link stored wheels' files into folders from which they are moved into the environment, one after another."""
    layout = Layout(Path(job["root"]))
    kind = BytecodeKind(**job["kind"]) if job["kind"] else None
    os.umask(job["umask"])
    for digest in job["digests"]:
        folder = Path(job["folder"], digest)
        try:
            folder.mkdir()
        except FileExistsError:
            # pip's own thread has come to it, and places it itself.
            continue
        answer = {"digest": digest, "id": "", "reason": "not every file can be linked"}
        try:
            prepared = _stored(layout, digest, job["umask"], kind)
            is_mended = partial(_is_mended, layout, prepared)
            if arrange(prepared, folder, job["mode"], job["umask"], is_mended):
                answer["id"] = prepared.manifest.tree_id
        except Exception as error:
            answer["reason"] = repr(error)
        yield answer


def _is_mended(layout: Layout, prepared: Prepared) -> bool:
    return mend(layout, prepared) is None


def _mend(job: dict[str, Any]) -> dict[str, Any]:
    """Put a stored wheel's files right; take away the entry that cannot be, and tell why it cannot."""
    layout = Layout(Path(job["root"]))
    kind = BytecodeKind(**job["kind"]) if job["kind"] else None
    prepared = _stored(layout, job["digest"], job["umask"], kind)
    difference = mend(layout, prepared)
    if difference is None:
        return {}
    in_bytecode = prepared.bytecode is not None and difference.path.startswith(f"{prepared.bytecode}")
    layout.discard(prepared.bytecode if in_bytecode and prepared.bytecode is not None else prepared.tree)
    return {"path": difference.path, "how": difference.how}


def _read(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Read stored archives, and tell of each when that begins and whether its bytes have its digest."""
    layout = Layout(Path(job["root"]))
    left = READ_BYTES
    for digest in job["digests"]:
        found = find_archive(layout, digest)
        if found is None or found.size > left:
            # If it is needed at all, a thread of pip's process reads it when that is certain.
            continue
        left -= found.size
        yield {"digest": digest, "reading": True}
        yield {"digest": digest, "sound": has_its_bytes(layout, digest)}


def _stored(layout: Layout, digest: str, umask: int, kind: BytecodeKind | None) -> Prepared:
    tree = layout.tree(digest, umask)
    manifest = read_tree_manifest(tree)
    if kind is None:
        return Prepared(layout, tree, manifest)
    code = layout.bytecode(digest, umask, manifest.tree_id, kind.tag)
    return Prepared(layout, tree, manifest, code, read_bytecode_manifest(code))


def _shares(sizes: list[int], share: int) -> list[tuple[int, int]]:
    """Divide items into runs of about ``share`` bytes; at least one run, perhaps empty.

    An item as large as that stands alone, so that nothing waits for what happens to be beside it.
    """
    bounds: list[tuple[int, int]] = []
    begin = total = 0
    for index, size in enumerate(sizes):
        if size >= share and begin < index:
            bounds.append((begin, index))
            begin, total = index, 0
        total += size
        if total >= share:
            bounds.append((begin, index + 1))
            begin, total = index + 1, 0
    if begin < len(sizes) or not bounds:
        bounds.append((begin, len(sizes)))
    return bounds


def _facts_of_share(staging: str, share: int) -> Path:
    return Path(staging, f"facts-{share}-0.json")


def _write_facts(path: Path, facts: list[Any]) -> None:
    path.write_text(json.dumps(facts), **_AS_WRITTEN)


def _read_facts(folder: Path) -> list[Any]:
    """Take what the jobs have left in a folder, in the order of the archive."""
    facts: list[Any] = []
    paths = sorted(folder.glob("facts-*.json"), key=lambda path: [int(n) for n in path.stem.split("-")[1:]])
    for path in paths:
        facts += json.loads(path.read_text(**_AS_WRITTEN))
        path.unlink()
    return facts


def _prove(job: dict[str, Any]) -> dict[str, Any]:
    """Compare what is stored of an archive with its digests; what is damaged goes."""
    # Not at the top: most workers live in no machine that went down a moment before.
    from pipfast.upkeep.verify import prove

    kind = BytecodeKind(**job["kind"]) if "kind" in job else None
    prove(Layout(Path(job["root"])), job["digest"], job["umask"], kind.tag if kind else None)
    return {}


_JOBS: dict[str, Callable[[dict[str, Any]], dict[str, Any] | Iterator[dict[str, Any]]]] = {
    "plan": _plan,
    "unpack": _unpack_share,
    "seal": _seal,
    "plan-compile": _plan_compile,
    "compile": _compile_share,
    "seal-bytecode": _seal_bytecode,
    "arrange": _arrange,
    "mend": _mend,
    "read": _read,
    "prove": _prove,
}
