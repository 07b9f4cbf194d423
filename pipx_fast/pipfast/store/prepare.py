"""From an archive to a tree and its bytecode, in worker processes, while pip goes on."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipfast.report import logger
from pipfast.store.layout import note_use
from pipfast.store.manifest import (
    BytecodeManifest,
    Damaged,
    TreeManifest,
    read_bytecode_manifest,
    read_tree_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable
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

    def wait(self, digest: str, archive: Path, *, again: bool = False) -> Prepared | None:
        """Return the prepared wheel, when it is ready; None if it cannot be kept unpacked.

        :param again: what was ready before has gone from the store; what is missing is made again.
        """
        if again:
            self._forget(digest)
        preparation = self._preparation(digest, archive)
        preparation.done.wait()
        if preparation.vanished:
            # Pruned or made again by another process while this one worked on it.
            self._forget(digest)
            preparation = self._preparation(digest, archive)
            preparation.done.wait()
        if preparation.reason:
            logger.debug("pipfast: %s is not kept unpacked: %s", archive.name, preparation.reason)
            return None
        prepared = preparation.prepared
        if prepared is not None:
            note_use(prepared.tree)
            if prepared.bytecode is not None:
                note_use(prepared.bytecode)
        return prepared

    def renew(self, digest: str, archive: Path) -> Prepared | None:
        """Throw away what is there, prepare it again and wait for it."""
        self._layout.discard(self._layout.tree(digest, self._umask))
        return self.wait(digest, archive, again=True)

    def _forget(self, digest: str) -> None:
        with self._lock:
            self._jobs.pop(digest, None)

    def _preparation(self, digest: str, archive: Path) -> _Preparation:
        with self._lock:
            preparation = self._jobs.get(digest)
            if preparation is not None:
                return preparation
            preparation = self._jobs[digest] = _Preparation(self, digest, archive)
        preparation.begin()
        return preparation


class _Preparation:
    """One archive on its way: a chain of jobs, each of which puts the next."""

    def __init__(self, preparer: Preparer, digest: str, archive: Path) -> None:
        self.done = threading.Event()
        self.reason = ""
        self.vanished = False
        """It failed because an entry of the store went away meanwhile."""
        self.prepared: Prepared | None = None
        self._layout = preparer._layout
        self._workers = preparer._workers
        self._kind = preparer._kind
        self._digest = digest
        self._archive = archive
        self._umask = preparer._umask
        self._tree = self._layout.tree(digest, self._umask)
        self._staging: Path | None = None
        self._manifest: TreeManifest | None = None
        self._pending = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Use what is there, or put the first job for what is missing."""
        try:
            try:
                manifest = read_tree_manifest(self._tree)
            except FileNotFoundError:
                self._begin_tree()
            except Damaged as error:
                # Another version's, truncated, or flipped bits: made again.
                logger.debug("pipfast: %s", error)
                self._layout.discard(self._tree)
                self._begin_tree()
            else:
                self._begin_bytecode(manifest)
        except Exception as error:
            self._fail(repr(error))

    def _begin_tree(self) -> None:
        self._staging = self._layout.new_staging()
        self._put(_UNPACK, "plan-unpack", self._unpack_planned)

    def _begin_bytecode(self, manifest: TreeManifest) -> None:
        if self._kind is None:
            self._succeed(Prepared(self._tree, manifest))
            return
        target = self._bytecode_folder(manifest)
        try:
            bytecode = read_bytecode_manifest(target)
        except FileNotFoundError:
            pass
        except Damaged as error:
            logger.debug("pipfast: %s", error)
            self._layout.discard(target)
        else:
            self._succeed(Prepared(self._tree, manifest, target, bytecode))
            return
        self._staging = self._layout.new_staging()
        self._manifest = manifest
        self._put(_COMPILE, "plan-compile", self._compile_planned)

    def _bytecode_folder(self, manifest: TreeManifest) -> Path:
        assert self._kind is not None
        return self._layout.bytecode(self._digest, self._umask, manifest.tree_id, self._kind.tag)

    def _succeed(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.done.set()

    def _put(self, priority: int, do: str, done: Any, **fields: Any) -> None:
        job: Answer = {
            "do": do,
            "id": self._manifest.tree_id if self._manifest else "",
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
            self._fail(answer["reason"], vanished=answer.get("again", False))
            return
        try:
            done(answer)
        except Exception as error:
            self._fail(repr(error), vanished=isinstance(error, FileNotFoundError | Damaged))

    def _fail(self, reason: str, *, vanished: bool = False) -> None:
        with self._lock:
            if self.reason:
                return
            self.reason, self.vanished = reason, vanished
        if self._staging is not None:
            self._layout.discard(self._staging)
        self.done.set()

    def _unpack_planned(self, answer: Answer) -> None:
        self._share_out(answer["bounds"], _UNPACK, "unpack", self._seal_tree)

    def _share_out(self, bounds: list[list[int]], priority: int, do: str, then: Callable[[], None]) -> None:
        """Put one job for each share; ``then`` follows when all are done. A single one is done already."""
        if len(bounds) == 1:
            then()
            return
        self._pending = len(bounds)

        def share_done(_: Answer) -> None:
            with self._lock:
                self._pending -= 1
                left = self._pending
            if left == 0:
                then()

        for share, each in enumerate(bounds):
            self._put(priority, do, share_done, share=share, bounds=each)

    def _seal_tree(self) -> None:
        self._put(_UNPACK, "seal-tree", lambda _: self._begin_bytecode(read_tree_manifest(self._tree)))

    def _compile_planned(self, answer: Answer) -> None:
        self._share_out(answer["bounds"], _COMPILE, "compile", self._seal_bytecode)

    def _seal_bytecode(self) -> None:
        self._put(_COMPILE, "seal-bytecode", self._bytecode_sealed)

    def _bytecode_sealed(self, _: Answer) -> None:
        # The tree's manifest is read once more: it may be another process's tree by now.
        manifest = read_tree_manifest(self._tree)
        target = self._bytecode_folder(manifest)
        self._succeed(Prepared(self._tree, manifest, target, read_bytecode_manifest(target)))
