"""Preparation of archives: trees and bytecode by worker processes."""

from __future__ import annotations

import queue
import threading
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from pipfast.prepare.aside import Arrangement, Aside
from pipfast.prepare.jobs import Answer, Failed, Mend, Priority, Unmendable
from pipfast.prepare.preparation import Preparation
from pipfast.report import logger
from pipfast.store.archives import archive_name
from pipfast.store.layout import Layout, note_use
from pipfast.store.prepared import is_tree_there
from pipfast.upkeep.boots import Times, note_alive, unproved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from pipfast.prepare.aside import Link
    from pipfast.prepare.bytecode import BytecodeKind
    from pipfast.prepare.workers import Workers
    from pipfast.settings import LinkMode
    from pipfast.store.prepared import Prepared


class Preparer:
    """Makes trees and bytecode of archives, each once; entries of the store are used as they are."""

    def __init__(self, layout: Layout, workers: Workers, link_mode: LinkMode | None = None) -> None:
        self._layout = layout
        self._workers = workers
        self._lock = threading.Lock()
        self._jobs: dict[str, Preparation] = {}
        self._coming: dict[str, Future[Any]] = {}
        """Trees and bytecode that are brought from elsewhere, by the digest of their archive."""
        self._aside = Aside(layout, workers, link_mode) if link_mode is not None else None

    @cached_property
    def _unproved(self) -> Times:
        """Times of entries that are proved before they are used."""
        return unproved(self._layout)

    @property
    def kind(self) -> BytecodeKind | None:
        """Return which bytecode is made."""
        return self._workers.terms.kind

    def expect(self, digests: Sequence[str]) -> None:
        """Have stored wheels linked aside that will most likely be installed, in this order."""
        if self._aside is not None:
            self._aside.expect(digests)

    def has_read(self, digest: str) -> bool:
        """Tell whether a worker has found an archive to have its digest; waits only while it reads that one."""
        return self._aside is not None and self._aside.has_read(digest)

    def bring(self, digest: str, bring: Callable[[], Future[Any]]) -> None:
        """Have an archive's tree and bytecode brought from elsewhere, unless they are here or on their way.

        :param bring: begins that and returns at once; what is not there afterwards is made of the archive.
        """
        with self._lock:
            if digest in self._coming or digest in self._jobs:
                return
            if not is_tree_there(self._layout, digest, self._workers.terms.umask):
                self._coming[digest] = bring()

    def start(
        self, digest: str, archive: Path, *, hashed: bool = False, link: Link | None = None
    ) -> Preparation:
        """Begin to prepare an archive, unless that has begun; returns at once.

        :param hashed: all its bytes were hashed just now; otherwise that is done before they are used.
        :param link: links it aside if all of it is there already; by default a worker does.
        """
        with self._lock:
            preparation = self._jobs.get(digest)
            if preparation is not None:
                return preparation
            preparation = self._jobs[digest] = Preparation(
                self._layout, self._workers, digest, archive, hashed=hashed, unproved=lambda: self._unproved,
                arrange=partial(self._aside.arrange, digest, link) if self._aside is not None else None,
                coming=self._coming.pop(digest, None),
            )
        preparation.begin()
        return preparation

    def wait(self, digest: str, archive: Path, *, again: bool = False) -> Prepared | None:
        """Return the prepared wheel, when it is ready; None if it cannot be kept unpacked."""
        if again:
            self._jobs.pop(digest, None)
        preparation = self.start(digest, archive)
        preparation.wait()
        if preparation.vanished:
            # Pruned or made again by another process while this one worked on it.
            self._jobs.pop(digest, None)
            preparation = self.start(digest, archive)
            preparation.wait()
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
        preparation = self._jobs.get(digest)
        return preparation.prepared if preparation is not None and preparation.done.is_set() else None

    def arrangement(self, digest: str) -> Arrangement | None:
        """Return the links of a wheel that was waited for; None if no worker makes any."""
        preparation = self._jobs.get(digest)
        return preparation.arrangement if preparation is not None else None

    def mend(self, digest: str) -> Unmendable | None:
        """Have a worker put changed files of a stored wheel right, and wait for that.

        :returns: None if all are right now; else one that is not. Its entry is removed; wait for the wheel again.
        """
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._workers.put(Priority.AWAITED, Mend(digest), answers.put)
        answer = answers.get()
        if isinstance(answer, Failed):
            tree = self._layout.tree(digest, self._workers.terms.umask)
            self._layout.discard(tree)
            return Unmendable(str(tree), f"cannot be checked ({answer.reason})")
        return answer if isinstance(answer, Unmendable) else None

    def close(self) -> None:
        """Remove unused links; no worker may be at work any more."""
        note_alive(self._layout)
        if self._aside is not None:
            self._aside.close()
