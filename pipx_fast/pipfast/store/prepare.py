"""From an archive to a tree and its bytecode, in worker processes, while pip goes on."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipfast.report import logger
from pipfast.store.manifest import (
    BytecodeManifest,
    Damaged,
    TreeManifest,
    read_bytecode_manifest,
    read_tree_manifest,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.bytecode import BytecodeKind
    from pipfast.store.layout import Layout
    from pipfast.store.workers import Answer, Workers

_UNPACK, _COMPILE = 0, 1
"""Priorities: trees first, since compiling needs them and two workers can share one tree's sources."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A wheel in the store, ready to be placed."""

    tree: Path
    manifest: TreeManifest
    bytecode: Path | None = None
    bytecode_manifest: BytecodeManifest | None = None


class Preparer:
    """Makes trees and bytecode of archives, each once; what is there already is used as it is.

    :param kind: which bytecode to make, or None for none.
    """

    def __init__(self, layout: Layout, workers: Workers, umask: int, kind: BytecodeKind | None) -> None:
        self._layout = layout
        self._workers = workers
        self._umask = umask
        self._kind = kind
        self._lock = threading.Lock()
        self._jobs: dict[str, _Preparation] = {}

    def start(self, digest: str, archive: Path) -> None:
        """Begin to prepare an archive, unless that has begun; returns at once."""
        self._preparation(digest, archive)

    def wait(self, digest: str, archive: Path) -> Prepared | None:
        """Return the prepared wheel, when it is ready; None if it cannot be kept unpacked."""
        preparation = self._preparation(digest, archive)
        preparation.done.wait()
        if preparation.reason:
            logger.debug("pipfast: %s is not kept unpacked: %s", archive.name, preparation.reason)
            return None
        try:
            return self._read(digest)
        except (Damaged, OSError) as error:
            logger.debug("pipfast: %s: %r", archive.name, error)
            return None

    def renew(self, digest: str, archive: Path) -> Prepared | None:
        """Throw away what is there, prepare it again and wait for it."""
        self._layout.discard(self._layout.tree(digest, self._umask))
        with self._lock:
            self._jobs.pop(digest, None)
        return self.wait(digest, archive)

    def _preparation(self, digest: str, archive: Path) -> _Preparation:
        with self._lock:
            preparation = self._jobs.get(digest)
            if preparation is not None:
                return preparation
            preparation = self._jobs[digest] = _Preparation(self, digest, archive)
        preparation.begin()
        return preparation

    def _read(self, digest: str) -> Prepared:
        tree = self._layout.tree(digest, self._umask)
        manifest = read_tree_manifest(tree)
        if self._kind is None:
            return Prepared(tree, manifest)
        bytecode = self._layout.bytecode(digest, self._umask, manifest.tree_id, self._kind.tag)
        return Prepared(tree, manifest, bytecode, read_bytecode_manifest(bytecode))


class _Preparation:
    """One archive on its way: a chain of jobs, each of which puts the next."""

    def __init__(self, preparer: Preparer, digest: str, archive: Path) -> None:
        self.done = threading.Event()
        self.reason = ""
        self._layout = preparer._layout
        self._workers = preparer._workers
        self._kind = preparer._kind
        self._digest = digest
        self._archive = archive
        self._umask = preparer._umask
        self._tree = self._layout.tree(digest, self._umask)
        self._staging: Path | None = None
        self._pending = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Find out what is missing, and put the first job."""
        try:
            if (self._tree / "manifest").exists():
                self._begin_bytecode()
            else:
                self._staging = self._layout.new_staging()
                self._put(_UNPACK, "plan-unpack", self._unpack_planned)
        except Exception as error:
            self._fail(repr(error))

    def _begin_bytecode(self) -> None:
        if self._kind is None:
            self.done.set()
            return
        try:
            tree_id = read_tree_manifest(self._tree).tree_id
        except Damaged as error:
            # Another version's, truncated, or flipped bits: made again.
            logger.debug("pipfast: %s", error)
            self._layout.discard(self._tree)
            self.begin()
            return
        target = self._layout.bytecode(self._digest, self._umask, tree_id, self._kind.tag)
        if (target / "manifest").exists():
            try:
                read_bytecode_manifest(target)
            except Damaged as error:
                logger.debug("pipfast: %s", error)
                self._layout.discard(target)
            else:
                self.done.set()
                return
        self._staging = self._layout.new_staging()
        self._put(_COMPILE, "plan-compile", self._compile_planned)

    def _put(self, priority: int, do: str, done: Any, **fields: Any) -> None:
        job: Answer = {
            "do": do,
            "root": str(self._layout.root),
            "archive": str(self._archive),
            "digest": self._digest,
            "umask": self._umask,
            "staging": str(self._staging),
            "tree": str(self._tree),
            **({"kind": asdict(self._kind)} if self._kind else {}),
            **fields,
        }
        self._workers.put(priority, job, lambda answer: self._advance(answer, done))

    def _advance(self, answer: Answer, done: Any) -> None:
        if not answer["ok"]:
            self._fail(answer["reason"])
            return
        try:
            done(answer)
        except Exception as error:
            self._fail(repr(error))

    def _fail(self, reason: str) -> None:
        with self._lock:
            if self.reason:
                return
            self.reason = reason
        if self._staging is not None:
            self._layout.discard(self._staging)
        self.done.set()

    def _unpack_planned(self, answer: Answer) -> None:
        self._share_out(answer["bounds"], _UNPACK, "unpack", self._seal_tree)

    def _share_out(self, bounds: list[list[int]], priority: int, do: str, then: Any, **fields: Any) -> None:
        """Put one job for each share; ``then`` follows when all are done. A single one is done already."""
        if len(bounds) == 1:
            then(**fields)
            return
        self._pending = len(bounds)

        def share_done(_: Answer) -> None:
            with self._lock:
                self._pending -= 1
                left = self._pending
            if left == 0:
                then(**fields)

        for share, each in enumerate(bounds):
            self._put(priority, do, share_done, share=share, bounds=each)

    def _seal_tree(self) -> None:
        self._put(_UNPACK, "seal-tree", lambda _: self._begin_bytecode())

    def _compile_planned(self, answer: Answer) -> None:
        self._share_out(answer["bounds"], _COMPILE, "compile", self._seal_bytecode, id=answer["id"])

    def _seal_bytecode(self, id: str) -> None:  # noqa: A002 - the job's field
        self._put(_COMPILE, "seal-bytecode", lambda _: self.done.set(), id=id)
