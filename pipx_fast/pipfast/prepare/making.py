"""Trees and bytecode of archives, made by the jobs of a worker.

Jobs leave their results as files in a staging folder, so that the facts of tens of thousands of files never pass
through the process that runs pip.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast import report
from pipfast.prepare import jobs
from pipfast.prepare.bytecode import BytecodeKind, compile_sources
from pipfast.prepare.unpack import unpack_members
from pipfast.report import timed
from pipfast.store import manifest as manifests
from pipfast.store.archives import stored_sha256
from pipfast.store.manifest import TREE, Damaged, StoredFile, TreeManifest, group_by_folder
from pipfast.store.names import SECONDS
from pipfast.wheel.members import read_members

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast.store.layout import Layout


KEPT_S = 7 * 86_400
"""Seconds for which a claim is kept. Nobody draws from that far back: of 20 tries even 100,000 claims leave one
free."""

_LOOK_EVERY = 256
"""Average number of claims between two searches for old ones."""


def claim_second(layout: Layout) -> int:
    """Return a second since the epoch that no other tree of this store has: the time of all its files.

    A .pyc file is valid for a source's path, size and time in whole seconds. Kept outside of the environment
    (``PYTHONPYCACHEPREFIX``), it outlives an upgrade: if two versions of a module have one size and were unpacked
    within one second, Python runs the old one. A process claims a second by making a file with its name: the
    present one, or if that is taken, one drawn from the last 2, 4, 8 … seconds.

    :raises OSError: nothing can be written there.
    """
    if not secrets.randbelow(_LOOK_EVERY):
        forget_old_claims(layout)
    now = int(time.time())
    for power in itertools.count():
        second = now - secrets.randbelow(1 << power)
        try:
            _claim(layout, second)
        except FileExistsError:
            continue
        return second
    raise AssertionError


def _claim(layout: Layout, second: int) -> None:
    path, flags = f"{layout.root}/{SECONDS}/{second}", os.O_CREAT | os.O_EXCL | os.O_WRONLY
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        layout.make_folder(os.path.dirname(path))
        descriptor = os.open(path, flags, 0o600)
    os.close(descriptor)


def forget_old_claims(layout: Layout) -> None:
    """Remove claims of seconds that nobody draws any more; a claim that cannot be removed stays."""
    oldest = time.time() - KEPT_S
    with suppress(OSError):
        for name in os.listdir(layout.root / SECONDS):
            if name.isascii() and name.isdigit() and int(name) < oldest:
                with suppress(OSError):
                    (layout.root / SECONDS / name).unlink()


UNPACK_SHARE = 48 << 20
"""Bytes unpacked by one job: larger archives are shared between the workers."""

COMPILE_SHARE = 2 << 20
"""Bytes of Python source compiled by one job, about a quarter of a second's work."""

SourceFiles = list[tuple[str, StoredFile]]


class Maker:
    """Does the jobs about archives; keeps what it reads, since jobs about one archive come in a row."""

    def __init__(self, layout: Layout, umask: int, kind: BytecodeKind | None) -> None:
        self._layout = layout
        self._umask = umask
        self._kind = kind
        self._members = lru_cache(maxsize=2)(read_members)
        self._tree_digests = lru_cache(maxsize=2)(_tree_digests)
        self._tree_sources = lru_cache(maxsize=2)(_tree_sources)
        self._share_sources = lru_cache(maxsize=2)(_share_sources)

    def plan(self, job: jobs.Plan) -> jobs.Done | jobs.Shares | jobs.Sources:
        """Prepare a small archive, or divide a larger one, the largest shares first."""
        archive = Path(job.archive)
        if not job.hashed and stored_sha256(archive) != job.digest:
            self._layout.discard(self._layout.archive(job.digest))
            raise Damaged(f"{archive} is not what it was")
        sizes = [member.file_size for member in self._members(archive).files]
        bounds = divide(sizes, UNPACK_SHARE)
        Path(job.staging, TREE).mkdir(exist_ok=True)
        second = claim_second(self._layout)
        if len(bounds) > 1:
            shares = [(number, begin, end) for number, (begin, end) in enumerate(bounds)]
            shares.sort(key=lambda share: sum(sizes[share[1] : share[2]]), reverse=True)
            return jobs.Shares(shares, second)
        sources = self.unpack(jobs.Unpack(job.digest, job.archive, job.staging, 0, *bounds[0], second))
        if len(sources.parts) > 1:
            return sources
        for begin, end in sources.parts:
            self.compile(jobs.Compile(job.digest, "", job.staging, job.code, 0, 0, begin, end))
        return self.seal(jobs.Seal(job.digest, job.archive, job.staging, job.code))

    def unpack(self, job: jobs.Unpack) -> jobs.Sources:
        """Unpack some of the members, and divide their sources for compiling."""
        members = self._members(Path(job.archive)).files[job.begin : job.end]
        tree = Path(job.staging, TREE)
        if not tree.is_dir():
            raise Damaged(f"{tree} was given up")
        with timed("unpack", digest=job.digest, files=len(members)) as told:
            facts = unpack_members(Path(job.archive), members, tree, self._umask, job.second)
            if report.recorder is not None:
                told["bytes"] = sum(member.file_size for member in members)
        _facts_of_share(job.staging, job.share).write_text(json.dumps(facts), encoding="ascii")
        sizes = [file.size for _, file in _sources_in(facts)] if self._kind is not None else []
        return jobs.Sources(job.share, divide(sizes, COMPILE_SHARE) if sizes else [])

    def seal(self, job: jobs.Seal) -> jobs.Done:
        """Write the manifests of an unpacked archive and of its bytecode, and rename both into place."""
        with timed("seal", digest=job.digest):
            return self._seal(job)

    def _seal(self, job: jobs.Seal) -> jobs.Done:
        staging = Path(job.staging)
        members = self._members(Path(job.archive))
        tree_id = secrets.token_hex(8)
        facts = _take_facts(staging)
        manifest = TreeManifest(
            tree_id, members.info_dir, members.root_is_purelib, members.entry_points,
            members.rows, group_by_folder(facts), manifests.info_digests(facts, members.info_dir),
        )
        manifests.write_tree_manifest(staging, manifest)
        manifests.write_digests(staging, facts)
        if self._layout.settle(staging, self._layout.tree(job.digest, self._umask)):
            for superseded in self._layout.bytecode_of_others(job.digest, self._umask, tree_id):
                self._layout.discard(superseded)
            if self._kind is not None:
                self.seal_bytecode(jobs.SealBytecode(job.digest, tree_id, job.code))
        elif job.code:
            # Another process was first; our bytecode does not belong to its sources.
            self._layout.discard(Path(job.code))
        return jobs.Done()

    def plan_compile(self, job: jobs.PlanCompile) -> jobs.Sources:
        """Divide the sources of a stored tree."""
        sources = self._tree_sources(self._layout.tree(job.digest, self._umask), job.tree_id)
        return jobs.Sources(0, divide([file.size for _, file in sources], COMPILE_SHARE))

    def compile(self, job: jobs.Compile) -> jobs.Done:
        """Compile some sources."""
        assert self._kind is not None
        if job.tree_id:
            entry = self._layout.tree(job.digest, self._umask)
            sources = self._tree_sources(entry, job.tree_id)
        else:
            entry = Path(job.staging)
            sources = self._share_sources(job.staging, job.share)
        code = Path(job.code)
        if not code.is_dir():
            raise Damaged(f"{code} was given up")
        digests = self._tree_digests(entry, job.tree_id) if job.tree_id else {}
        try:
            chosen = sources[job.begin : job.end]
            with timed("compile", digest=job.digest, files=len(chosen)):
                facts = compile_sources(entry / TREE, chosen, code / TREE, self._kind, digests)
        except Damaged:
            self._layout.discard(entry)
            raise
        (code / f"facts-{job.share}-{job.part}.json").write_text(json.dumps(facts), encoding="ascii")
        return jobs.Done()

    def seal_bytecode(self, job: jobs.SealBytecode) -> jobs.Done:
        """Write the manifest of a tree's bytecode and rename it into place."""
        assert self._kind is not None
        code = Path(job.code)
        facts = _take_facts(code)
        manifests.write_bytecode_manifest(code, group_by_folder(facts))
        manifests.write_digests(code, facts)
        self._layout.settle(code, self._layout.bytecode(job.digest, self._umask, job.tree_id, self._kind.tag))
        return jobs.Done()


def divide(sizes: list[int], share: int) -> list[tuple[int, int]]:
    """Divide items into runs of about ``share`` bytes; at least one run, perhaps empty.

    An item as large as that gets a run of its own, so that no small one waits for it.
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


def _tree_sources(tree: Path, tree_id: str) -> SourceFiles:
    manifest = manifests.read_tree_manifest(tree)
    if manifest.tree_id != tree_id:
        # Another process has made the tree again: its sources have other times.
        raise Damaged(f"{tree} is another tree by now")
    return manifest.sources()


def _tree_digests(tree: Path, tree_id: str) -> dict[str, str]:
    # `_tree_sources` has found the tree to be this one; the id is part of the cache's key.
    return manifests.read_digests(tree)


def _share_sources(staging: str, share: int) -> SourceFiles:
    return _sources_in(json.loads(_facts_of_share(staging, share).read_bytes()))


def _sources_in(facts: Iterable[Any]) -> SourceFiles:
    sources = [each for each in facts if each[0].endswith(".py")]
    return [(folder.path, file) for folder in group_by_folder(sources) for file in folder.files]


def _facts_of_share(staging: str, share: int) -> Path:
    return Path(staging, f"facts-{share}-0.json")


def _take_facts(folder: Path) -> list[Any]:
    """Return the facts that jobs have left in a folder, in the archive's order, and remove their files."""
    facts: list[Any] = []
    paths = sorted(folder.glob("facts-*.json"), key=lambda path: [int(n) for n in path.stem.split("-")[1:]])
    for path in paths:
        facts += json.loads(path.read_bytes())
        path.unlink()
    return facts
