"""Links of stored wheels, made aside by worker processes.

Each wheel has a folder, see ``install.aside``. Whoever makes it, a worker or the thread that installs, places the
wheel's files.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.prepare.jobs import Answer, Arrange, Arranged, Checked, Done, Failed, Note, Priority, Read
from pipfast.report import logger
from pipfast.store.archives import archive_name
from pipfast.store.layout import Layout, remove
from pipfast.system import threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipfast.prepare.workers import Workers
    from pipfast.settings import LinkMode

COMPARED_S = 2.0
"""Seconds for which a comparison of stored files with their manifest holds."""

Link = Callable[[Path, "LinkMode"], str]
"""Links a wheel into an empty folder; returns the linked tree's id, or an empty text: not all could be linked."""

_AT_ONCE = 16
"""Wheels linked by one job. Between two jobs, a worker waits until pip's thread gives up the interpreter."""


class Aside:
    """The links that one run has made aside. ``mode``: how to link."""

    def __init__(self, layout: Layout, workers: Workers, mode: LinkMode) -> None:
        self._layout = layout
        self._workers = workers
        self._mode = mode
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._numbers = itertools.count()
        self._closed = False
        self._expected: dict[str, Arrangement] = {}
        self._reading: Reading | None = None

    def expect(self, digests: Sequence[str]) -> None:
        """Have stored wheels read and linked that will most likely be installed, in this order.

        All workers but one do that: pip needs a core.
        """
        count = max(1, min(self._workers.count - 1, len(digests)))
        lanes = [self._lane(digests[first::count]) for first in range(count)]
        for lane in lanes:
            self._expected.update(lane.arrangements)
        self._reading = Reading(self._workers, digests, lanes[0].go_on)
        for lane in lanes[1:]:
            lane.go_on()

    def has_read(self, digest: str) -> bool:
        """Tell whether a worker has found an archive to have its digest; waits only while it reads that one."""
        return self._reading is not None and self._reading.is_sound(digest)

    def arrange(self, digest: str, link: Link | None = None) -> Arrangement | None:
        """Have a stored wheel linked, unless that has begun; None if it cannot be.

        :param link: links it in the place of a worker, who would have to read it first.
        """
        with self._lock:
            arrangement = self._expected.pop(digest, None)
        try:
            if arrangement is None:
                lane = self._lane([digest])
                arrangement = lane.arrangements[digest]
                if link is None:
                    lane.go_on()
                else:
                    lane.have_linked(digest, link)
        except (OSError, RuntimeError) as error:
            logger.debug("pipfast: nothing is linked aside: %r", error)
            self._layout.note_refusal(getattr(error, "errno", None))
            return None
        return arrangement

    def close(self) -> None:
        """Remove unused links; no worker may be at work any more."""
        with self._lock:
            self._closed = True
            folder, self._folder = self._folder, None
        if folder is not None:
            _remove_emptied(folder)
            remove(folder)

    def _lane(self, digests: Sequence[str]) -> Lane:
        with self._lock:
            if self._closed:
                raise OSError("the run is over")
            if self._folder is None:
                self._folder = self._layout.new_staging()
            folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return Lane(self._layout, self._workers, self._mode, folder, digests)


class Arrangement:
    """One wheel's links, on their way. ``folder``: where they are made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done = threading.Event()
        self._tree_id = ""
        self._finished = 0.0
        self._taken = False

    def take(self, tree_id: str) -> Path | None:
        """Return the folder when it is ready; None if no worker has begun, or not every file could be linked.

        It is returned once, since its files are moved away.

        :param tree_id: the wanted stored tree, which may have been made again meanwhile.
        """
        if self._taken or self._is_ours():
            return None
        self._taken = True
        self._done.wait()
        return self._folder if self._tree_id == tree_id else None

    def begin(self) -> None:
        """Make the folder, which says that somebody links there; OSError: it cannot be made, or is there."""
        self._folder.mkdir()

    def is_old(self) -> bool:
        """Tell whether the stored files were compared so long ago that they may have changed."""
        return time.monotonic() - self._finished > COMPARED_S

    def finish(self, tree_id: str) -> bool:
        """Note which tree is linked, or that none is (``tree_id`` is empty); the first time counts.

        :returns: False if it is not the first time.
        """
        if self._done.is_set():
            return False
        self._tree_id = tree_id
        self._finished = time.monotonic()
        self._done.set()
        return True

    def _is_ours(self) -> bool:
        try:
            self._folder.mkdir()
        except FileExistsError:
            return False
        except OSError as error:
            logger.debug("pipfast: not linked aside: %r", error)
        return True


class Reading:
    """Archives that a worker hashes, one after another. ``then``: called after the last one that is read."""

    def __init__(self, workers: Workers, digests: Iterable[str], then: Callable[[], None]) -> None:
        self._then = then
        self._change = threads.Condition()
        self._sound: dict[str, bool | None] = {}
        """By digest; None while it is being read."""
        workers.put(Priority.AWAITED, Read(list(digests)), self._over, self._step)

    def is_sound(self, digest: str) -> bool:
        """Tell whether an archive's bytes were found to have its digest; waits only while it is being read."""
        with self._change:
            self._change.wait_for(lambda: self._sound.get(digest, False) is not None)
            return self._sound.get(digest) is True

    def _step(self, note: Note) -> None:
        if isinstance(note, Checked):
            with self._change:
                self._sound[note.digest] = note.sound
                self._change.notify_all()

    def _over(self, answer: Answer) -> None:
        with self._change:
            self._sound = {digest: sound for digest, sound in self._sound.items() if sound is not None}
            self._change.notify_all()
        self._then()


class Lane:
    """Wheels that workers link one after another, some in each job: urgent jobs come in between.

    :param folder: below which they are linked.
    """

    def __init__(
        self, layout: Layout, workers: Workers, mode: LinkMode, folder: Path, digests: Iterable[str]
    ) -> None:
        self._layout = layout
        self._workers = workers
        self._mode = mode
        self._folder = folder
        self._left = list(digests)
        self.arrangements = {digest: Arrangement(folder / digest) for digest in self._left}

    def go_on(self) -> None:
        """Have the next wheels linked, and then those after them."""
        now, self._left = self._left[:_AT_ONCE], self._left[_AT_ONCE:]
        if now:
            job = Arrange(str(self._folder), self._mode, now)
            self._workers.put(Priority.ASIDE, job, lambda answer: self._over(now, answer), self._step)

    def have_linked(self, digest: str, link: Link) -> None:
        """Have a wheel linked at once."""
        tree_id = ""
        try:
            self.arrangements[digest].begin()
            tree_id = link(self._folder / digest, self._mode)
        finally:
            self._finish(digest, tree_id, "not every file can be linked")

    def _step(self, note: Note) -> None:
        if isinstance(note, Arranged):
            self._finish(note.digest, note.tree_id, note.reason)

    def _over(self, digests: Iterable[str], answer: Answer) -> None:
        reason = answer.reason if isinstance(answer, Failed) else "pip's thread came first"
        for digest in digests:
            self._finish(digest, "", reason)
        if isinstance(answer, Done):
            self.go_on()

    def _finish(self, digest: str, tree_id: str, reason: str) -> None:
        if self.arrangements[digest].finish(tree_id) and not tree_id and logger.isEnabledFor(logging.DEBUG):
            name = archive_name(self._layout.archive(digest)) or digest
            logger.debug("pipfast: not linked aside: %s (%s)", name, reason)


def _remove_emptied(folder: Path) -> None:
    with suppress(OSError):
        for lane in os.listdir(folder):
            for digest in os.listdir(folder / lane):
                wheel = f"{folder}/{lane}/{digest}"
                with suppress(OSError):
                    for name in os.listdir(wheel):
                        os.rmdir(f"{wheel}/{name}")
                    os.rmdir(wheel)
