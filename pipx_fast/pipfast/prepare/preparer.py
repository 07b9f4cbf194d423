"""Preparation of archives: trees and bytecode by worker processes."""

from __future__ import annotations

import itertools
import queue
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipfast.prepare.aside import Arrangement, Lane, Reading, remove_emptied
from pipfast.report import logger
from pipfast.store.archives import archive_name
from pipfast.store.layout import note_use, remove
from pipfast.store.manifest import Damaged, read_bytecode_manifest, read_tree_manifest
from pipfast.store.prepared import Prepared
from pipfast.upkeep.boots import Times, is_unproved, note_alive, unproved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pipfast.prepare.bytecode import BytecodeKind
    from pipfast.prepare.workers import Answer, Workers
    from pipfast.store.layout import Layout
    from pipfast.store.manifest import TreeManifest

_AWAITED, _UNPACK, _COMPILE = 0, 1, 2
"""Priorities: what pip waits for; then trees, since compiling needs them and two workers can share one tree's
sources."""


class Preparer:
    """Makes trees and bytecode of archives, each once; what is there already is used as it is.

    :param kind: which bytecode to make, or None for none.
    :param link_mode: how to link the files of what is there already aside, a ``settings.LinkMode``; or None
        for not at all.
    """

    def __init__(
        self,
        layout: Layout,
        workers: Workers,
        umask: int,
        kind: BytecodeKind | None,
        link_mode: str | None = None,
    ) -> None:
        self._layout = layout
        self._workers = workers
        self._umask = umask
        self._kind = kind
        self._lock = threading.Lock()
        self._link_mode = link_mode
        self._jobs: dict[str, _Preparation] = {}
        self._aside: Path | None = None
        self._asides = itertools.count()
        self._closed = False
        self._expected: dict[str, Arrangement] = {}
        self._reading: Reading | None = None
        self._unproved: Times | None = None

    def unproved(self) -> Times:
        """Return the times of entries that are proved before they are used."""
        if self._unproved is None:
            self._unproved = unproved(self._layout)
        return self._unproved

    @property
    def kind(self) -> BytecodeKind | None:
        """Return which bytecode is made."""
        return self._kind

    def expect(self, digests: Sequence[str]) -> None:
        """Have stored wheels linked aside that will most likely be installed, in this order.

        Before that their archives are read. By all workers but one: the core that remains is pip's.
        """
        if self._link_mode is None:
            return
        count = max(1, min(self._workers.count - 1, len(digests)))
        lanes = [self._lane(digests[first::count]) for first in range(count)]
        for lane in lanes:
            self._expected.update(lane.arrangements)
        self._reading = Reading(self._workers, self._layout.root, digests, lanes[0].go_on)
        for lane in lanes[1:]:
            lane.go_on()

    def has_read(self, digest: str) -> bool:
        """Tell whether a worker has found an archive to have its digest; waits only while it reads that one."""
        return self._reading is not None and self._reading.is_sound(digest)

    def start(self, digest: str, archive: Path, *, hashed: bool = False) -> None:
        """Begin to prepare an archive, unless that has begun; returns at once.

        :param hashed: all its bytes were hashed just now; otherwise that is done before they are used.
        """
        self._preparation(digest, archive, hashed=hashed)

    def wait(self, digest: str, archive: Path, *, again: bool = False) -> Prepared | None:
        """Return the prepared wheel, when it is ready; None if it cannot be kept unpacked.

        :param again: what was ready before has gone from the store; what is missing is made again.
        """
        if again:
            self._forget(digest)
        preparation = self._preparation(digest, archive)
        preparation.hasten()
        preparation.done.wait()
        if preparation.vanished:
            # Pruned or made again by another process while this one worked on it.
            self._forget(digest)
            preparation = self._preparation(digest, archive)
            preparation.hasten()
            preparation.done.wait()
        if preparation.reason:
            # A stored archive's own name says nothing.
            name = archive_name(archive.parent) or archive.name
            logger.debug("pipfast: %s is not kept unpacked: %s", name, preparation.reason)
            return None
        prepared = preparation.prepared
        if prepared is not None:
            note_use(prepared.tree)
            if prepared.bytecode is not None:
                note_use(prepared.bytecode)
        return prepared

    def ready(self, digest: str) -> Prepared | None:
        """Return a prepared wheel if it is ready by now."""
        with self._lock:
            preparation = self._jobs.get(digest)
        return preparation.prepared if preparation is not None and preparation.done.is_set() else None

    def mend(self, digest: str) -> tuple[str, str] | None:
        """Have a worker put stored files right whose contents are; wait for that.

        :returns: None if they are as they should be now; else the path of one that is not, and how it is, as the
            end of a sentence about it. Then it is taken away, and to be waited for again.
        """
        job = {"do": "mend", "digest": digest, **self._job()}
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._workers.put(_AWAITED, job, answers.put)
        answer = answers.get()
        if not answer["ok"]:
            tree = self._layout.tree(digest, self._umask)
            self._layout.discard(tree)
            return str(tree), f"cannot be checked ({answer['reason']})"
        return (answer["path"], answer["how"]) if "path" in answer else None

    def close(self) -> None:
        """Remove what was linked aside and not used; no worker may be at work any more."""
        note_alive(self._layout)
        with self._lock:
            self._closed = True
            aside, self._aside = self._aside, None
        if aside is not None:
            remove_emptied(aside)
            remove(aside)

    def arrangement(self, digest: str) -> Arrangement | None:
        """Return the links of a wheel that was waited for; None if no worker makes any."""
        with self._lock:
            preparation = self._jobs.get(digest)
        return preparation.arrangement if preparation is not None else None

    def arrange(self, digest: str) -> Arrangement | None:
        """Have the files of a prepared wheel linked aside, if that is wanted and can be done."""
        if self._link_mode is None:
            return None
        with self._lock:
            arrangement = self._expected.pop(digest, None)
        try:
            if arrangement is None:
                lane = self._lane([digest])
                arrangement = lane.arrangements[digest]
                lane.go_on()
            return arrangement
        except (OSError, RuntimeError) as error:
            logger.debug("pipfast: nothing is linked aside: %r", error)
            self._layout.note_refusal(getattr(error, "errno", None))
            return None

    def _lane(self, digests: Sequence[str]) -> Lane:
        with self._lock:
            if self._closed:
                raise OSError("the run is over")
            if self._aside is None:
                self._aside = self._layout.new_staging()
            folder = self._aside / str(next(self._asides))
        folder.mkdir()
        return Lane(self._workers, {**self._job(), "mode": self._link_mode}, folder, digests)

    def _job(self) -> Answer:
        kind = asdict(self._kind) if self._kind else None
        return {"root": str(self._layout.root), "umask": self._umask, "kind": kind}

    def _forget(self, digest: str) -> None:
        with self._lock:
            self._jobs.pop(digest, None)

    def _preparation(self, digest: str, archive: Path, *, hashed: bool = False) -> _Preparation:
        with self._lock:
            preparation = self._jobs.get(digest)
            if preparation is not None:
                return preparation
            preparation = self._jobs[digest] = _Preparation(self, digest, archive, hashed)
        preparation.begin()
        return preparation


class _Preparation:
    """One archive on its way: jobs for the workers, and what follows when all of them are done."""

    def __init__(self, preparer: Preparer, digest: str, archive: Path, hashed: bool) -> None:
        self.done = threading.Event()
        self.reason = ""
        self.vanished = False
        """It failed because an entry of the store went away meanwhile."""
        self.prepared: Prepared | None = None
        self.arrangement: Arrangement | None = None
        """Its files linked aside, where all of it was in the store."""
        self._arrange = preparer.arrange
        self._times = preparer.unproved
        self._is_proved = False
        self._layout = preparer._layout
        self._workers = preparer._workers
        self._kind = preparer._kind
        self._digest = digest
        self._archive = archive
        self._hashed = hashed
        self._umask = preparer._umask
        self._tree = self._layout.tree(digest, self._umask)
        self._staging: Path | None = None
        self._code: Path | None = None
        """Where bytecode is made."""
        self._manifest: TreeManifest | None = None
        self._hasty = False
        self._made = False
        """Something had to be made of it in this run."""
        self._running = 0
        self._then: Callable[[], None] | None = None
        """Follows when no job is left."""
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Use what is there, or put the first job for what is missing."""
        try:
            try:
                manifest = read_tree_manifest(self._tree)
            except FileNotFoundError:
                self._begin_tree()
            except (Damaged, NotADirectoryError) as error:
                # Another version's, truncated, or flipped bits: made again.
                logger.debug("pipfast: %s", error)
                self._layout.discard(self._tree)
                self._begin_tree()
            else:
                if not self._proves(self._tree):
                    self._begin_bytecode(manifest)
        except Exception as error:
            self._layout.note_refusal(getattr(error, "errno", None))
            self._fail(repr(error))

    def _proves(self, entry: Path) -> bool:
        """Have an entry compared with its digests where a power cut may have spoiled it, and begin again then."""
        if self._is_proved or not is_unproved(self._times(), entry):
            return False
        self._is_proved = True
        self._then = self.begin
        self._put(_UNPACK, "prove")
        return True

    def hasten(self) -> None:
        """Let its jobs come before all others: pip installs one wheel after another, and waits for this one."""
        if not self.done.is_set():
            self._hasty = True
            self._workers.hasten(_AWAITED, lambda job: job.get("digest") == self._digest)

    def _begin_tree(self) -> None:
        self._staging = self._layout.new_staging()
        if self._kind is not None:
            self._code = self._layout.new_staging()
        self._put(_UNPACK, "plan", self._planned, hashed=self._hashed)

    def _planned(self, answer: Answer) -> None:
        if answer.get("sealed"):
            self._then = self._sealed
            return
        self._then = self._seal
        if "shares" not in answer:
            self._compile_share(answer)
        for number, begin, end in answer.get("shares", ()):
            self._put(_UNPACK, "unpack", self._compile_share, share=number, bounds=(begin, end),
                      second=answer["second"])

    def _compile_share(self, answer: Answer) -> None:
        """Compile what one share brought while others are still being unpacked."""
        for part, bounds in enumerate(answer["sources"]):
            self._put(_COMPILE, "compile", share=answer["share"], part=part, bounds=bounds)

    def _seal(self) -> None:
        self._then = self._sealed
        self._put(_UNPACK, "seal")

    def _sealed(self) -> None:
        # Another process may have been first: then its tree stands there, and has other times.
        self._begin_bytecode(read_tree_manifest(self._tree))

    def _begin_bytecode(self, manifest: TreeManifest) -> None:
        if self._kind is None:
            self._succeed(Prepared(self._layout, self._tree, manifest))
            return
        target = self._layout.bytecode(self._digest, self._umask, manifest.tree_id, self._kind.tag)
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
        self._manifest = manifest
        self._put(_COMPILE, "plan-compile", self._compile_planned)

    def _compile_planned(self, answer: Answer) -> None:
        self._then = self._seal_bytecode
        for part, bounds in enumerate(answer["sources"]):
            self._put(_COMPILE, "compile", share=0, part=part, bounds=bounds)

    def _seal_bytecode(self) -> None:
        self._then = self._bytecode_sealed
        self._put(_COMPILE, "seal-bytecode")

    def _bytecode_sealed(self) -> None:
        # The tree's manifest is read once more: it may be another process's tree by now.
        manifest = read_tree_manifest(self._tree)
        assert self._kind is not None
        target = self._layout.bytecode(self._digest, self._umask, manifest.tree_id, self._kind.tag)
        self._succeed(Prepared(self._layout, self._tree, manifest, target, read_bytecode_manifest(target)))

    def _succeed(self, prepared: Prepared) -> None:
        self.prepared = prepared
        if not self._made:
            self.arrangement = self._arrange(self._digest)
        self.done.set()

    def _put(self, priority: int, do: str, done: Callable[[Answer], None] | None = None, **fields: Any) -> None:
        self._made = True
        job: Answer = {
            "do": do,
            "id": self._manifest.tree_id if self._manifest else "",
            "root": str(self._layout.root),
            "archive": str(self._archive),
            "digest": self._digest,
            "umask": self._umask,
            "staging": str(self._staging or ""),
            "code": str(self._code or ""),
            "tree": str(self._tree),
            **({"kind": asdict(self._kind)} if self._kind else {}),
            **fields,
        }
        with self._lock:
            self._running += 1
        try:
            urgency = _AWAITED if self._hasty else priority
            self._workers.put(urgency, job, lambda answer: self._advance(answer, done))
        except BaseException:
            with self._lock:
                self._running -= 1
            raise

    def _advance(self, answer: Answer, done: Callable[[Answer], None] | None) -> None:
        """Go on after a job, in whichever thread had it done; after the last one, to what follows."""
        try:
            if not answer["ok"]:
                self._layout.note_refusal(answer.get("errno"))
                self._fail(answer["reason"], vanished=answer.get("again", False))
            elif done is not None and not self.reason:
                done(answer)
            with self._lock:
                self._running -= 1
                last, then = not self._running, self._then
                if last:
                    self._then = None
            if last and self.reason:
                # What a share wrote that was still at work when another one failed.
                self._discard_staging()
            elif last and then is not None:
                then()
        except Exception as error:
            self._layout.note_refusal(getattr(error, "errno", None))
            self._fail(repr(error), vanished=isinstance(error, FileNotFoundError | Damaged))

    def _fail(self, reason: str, *, vanished: bool = False) -> None:
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
