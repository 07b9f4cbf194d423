"""Preparation of one archive, from job to job."""

from __future__ import annotations

import os
import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipfast.prepare import jobs
from pipfast.report import logger
from pipfast.store.manifest import Damaged, TreeManifest, read_bytecode_manifest, read_tree_manifest
from pipfast.store.prepared import Prepared
from pipfast.upkeep.boots import Times, is_unproved

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from pipfast.prepare.aside import Arrangement
    from pipfast.prepare.workers import Workers
    from pipfast.store.layout import Layout


class Preparation:
    """One archive on its way: jobs for the workers, and the next step when all of them are done."""

    def __init__(
        self, layout: Layout, workers: Workers, digest: str, archive: Path, *, hashed: bool,
        unproved: Callable[[], Times], arrange: Callable[[], Arrangement | None] | None,
        coming: Future[Any] | None = None,
    ) -> None:
        """:param coming: brings its tree and bytecode from elsewhere; it begins when that is over."""
        self.done = threading.Event()
        self.reason = ""
        self.vanished = False
        self.prepared: Prepared | None = None
        self.arrangement: Arrangement | None = None
        """Its files linked aside, where all of it was in the store."""
        self._layout = layout
        self._workers = workers
        self._kind = workers.terms.kind
        self._digest = digest
        self._archive = archive
        self._hashed = hashed
        self._unproved = unproved
        self._arrange = arrange
        self._coming = coming
        self._is_proved = False
        self._tree = layout.tree(digest, workers.terms.umask)
        self._staging: Path | None = None
        self._code: Path | None = None
        self._tree_id = ""
        self._hasty = False
        self._made = False
        """A job had to be done for it in this run."""
        self._running = 0
        self._then: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Use a tree and bytecode that are there, or put the first job for what is missing."""
        if self._coming is None:
            self._begin()
        else:
            self._coming.add_done_callback(lambda _: self._begin())

    @property
    def was_made(self) -> bool:
        """Tell whether anything of it was made in this run."""
        return self._made

    def _begin(self) -> None:
        try:
            try:
                manifest = read_tree_manifest(self._tree)
            except FileNotFoundError:
                self._begin_tree()
            except (Damaged, NotADirectoryError) as error:
                # Of another version, truncated, or with flipped bits: made again.
                logger.debug("pipfast: %s", error)
                self._layout.discard(self._tree)
                self._begin_tree()
            else:
                if not self._proves(self._tree):
                    self._begin_bytecode(manifest)
        except Exception as error:
            self._fail(repr(error), getattr(error, "errno", None))

    def wait(self) -> None:
        """Wait for it, and let its jobs come first: pip installs one wheel after another, and this one is next."""
        if not self.done.is_set():
            if self._coming is not None:
                # Without a thread for it, whoever asks for the result does it.
                with suppress(Exception, CancelledError):
                    self._coming.result()
            self._hasty = True
            self._workers.hasten(jobs.Priority.AWAITED, self._is_ours)
            self.done.wait()

    def _is_ours(self, job: jobs.Job) -> bool:
        return isinstance(job, jobs.ArchiveJob) and job.digest == self._digest

    def _proves(self, entry: Path) -> bool:
        if self._is_proved or not is_unproved(self._unproved(), entry):
            return False
        self._is_proved = True
        self._then = self._begin
        self._put(jobs.Priority.UNPACK, jobs.Prove(self._digest))
        return True

    def _begin_tree(self) -> None:
        self._staging = self._layout.new_staging()
        if self._kind is not None:
            self._code = self._layout.new_staging()
        plan = jobs.Plan(self._digest, str(self._archive), self._hashed, *self._folders())
        self._put(jobs.Priority.UNPACK, plan, self._planned)

    def _folders(self) -> tuple[str, str]:
        return os.fspath(self._staging or ""), os.fspath(self._code or "")

    def _planned(self, answer: jobs.Answer) -> None:
        if isinstance(answer, jobs.Sources):
            self._then = self._seal
            self._compile(answer)
        elif isinstance(answer, jobs.Shares):
            self._then = self._seal
            for number, begin, end in answer.shares:
                job = jobs.Unpack(
                    self._digest, str(self._archive), str(self._staging), number, begin, end, answer.second
                )
                self._put(jobs.Priority.UNPACK, job, self._compile)
        else:
            self._then = self._sealed

    def _compile(self, answer: jobs.Answer) -> None:
        assert isinstance(answer, jobs.Sources)
        for part, (begin, end) in enumerate(answer.parts):
            job = jobs.Compile(self._digest, self._tree_id, *self._folders(), answer.share, part, begin, end)
            self._put(jobs.Priority.COMPILE, job)

    def _seal(self) -> None:
        self._then = self._sealed
        self._put(jobs.Priority.UNPACK, jobs.Seal(self._digest, str(self._archive), *self._folders()))

    def _sealed(self) -> None:
        # Another process may have been first: then this is its tree, with other times.
        self._begin_bytecode(read_tree_manifest(self._tree))

    def _begin_bytecode(self, manifest: TreeManifest) -> None:
        if self._kind is None:
            self._succeed(Prepared(self._layout, self._tree, manifest))
            return
        target = self._bytecode(manifest)
        try:
            bytecode = read_bytecode_manifest(target)
        except FileNotFoundError:
            pass
        except (Damaged, NotADirectoryError) as error:
            logger.debug("pipfast: %s", error)
            self._layout.discard(target)
        else:
            if not self._proves(target):
                self._succeed(Prepared(self._layout, self._tree, manifest, target, bytecode))
            return
        self._staging, self._code = None, self._layout.new_staging()
        self._tree_id = manifest.tree_id
        self._put(jobs.Priority.COMPILE, jobs.PlanCompile(self._digest, self._tree_id), self._compile_planned)

    def _bytecode(self, manifest: TreeManifest) -> Path:
        assert self._kind is not None
        return self._layout.bytecode(self._digest, self._workers.terms.umask, manifest.tree_id, self._kind.tag)

    def _compile_planned(self, answer: jobs.Answer) -> None:
        self._then = self._seal_bytecode
        self._compile(answer)

    def _seal_bytecode(self) -> None:
        self._then = self._bytecode_sealed
        self._put(jobs.Priority.COMPILE, jobs.SealBytecode(self._digest, self._tree_id, str(self._code)))

    def _bytecode_sealed(self) -> None:
        # Read once more: it may be another process's tree by now.
        manifest = read_tree_manifest(self._tree)
        target = self._bytecode(manifest)
        self._succeed(Prepared(self._layout, self._tree, manifest, target, read_bytecode_manifest(target)))

    def _succeed(self, prepared: Prepared) -> None:
        self.prepared = prepared
        if not self._made and self._arrange is not None:
            self.arrangement = self._arrange()
        self.done.set()

    def _put(
        self, priority: jobs.Priority, job: jobs.ArchiveJob, done: Callable[[jobs.Answer], None] | None = None
    ) -> None:
        self._made = True
        with self._lock:
            self._running += 1
        try:
            urgency = jobs.Priority.AWAITED if self._hasty else priority
            self._workers.put(urgency, job, lambda answer: self._advance(answer, done))
        except BaseException:
            with self._lock:
                self._running -= 1
            raise

    def _advance(self, answer: jobs.Answer, done: Callable[[jobs.Answer], None] | None) -> None:
        """Go on after a job, in the thread that had it done; after the last one, to the next step."""
        try:
            if isinstance(answer, jobs.Failed):
                self._fail(answer.reason, answer.number, vanished=answer.vanished)
            elif done is not None and not self.reason:
                done(answer)
            with self._lock:
                self._running -= 1
                last, then = not self._running, self._then
                if last:
                    self._then = None
            if last and self.reason:
                # Files of a share that was still at work when another one failed.
                self._discard_staging()
            elif last and then is not None:
                then()
        except Exception as error:
            vanished = isinstance(error, FileNotFoundError | Damaged)
            self._fail(repr(error), getattr(error, "errno", None), vanished=vanished)

    def _fail(self, reason: str, number: int | None = None, *, vanished: bool = False) -> None:
        self._layout.note_refusal(number)
        with self._lock:
            if self.reason:
                return
            self.reason, self.vanished = reason, vanished
        self._discard_staging()
        self.done.set()

    def _discard_staging(self) -> None:
        for folder in (self._staging, self._code):
            if folder is not None:
                self._layout.discard(folder)
