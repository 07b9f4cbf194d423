"""Links of stored wheels, made aside by worker processes."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pipfast.report import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pipfast.prepare.workers import Answer, Workers

_FIRST, _LAST = 0, 9
"""Priorities: what is read is waited for soonest; pip's own thread can make links, too, but nothing else that
workers do."""

COMPARED_S = 2.0
"""Seconds for which a comparison of stored files with their manifest stands."""

_AT_ONCE = 16
"""Wheels linked aside by one job. After each, the next one waits until pip's thread lets go of the interpreter."""


class Arrangement:
    """One wheel's links, on their way.

    :param folder: where they are made; see ``install.arranged`` for what is in it. Who makes this folder, the
        worker or the thread that installs, places the wheel's files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done = threading.Event()
        self._tree_id = ""
        self._finished = 0.0
        self._taken = False

    def take(self, tree_id: str) -> Path | None:
        """Return the folder when it is ready; None if nobody has begun, or not every file could be linked.

        Once: whoever asks after that finds it empty, or half empty.

        :param tree_id: the stored tree that is meant; it may have been made again meanwhile.
        """
        if self._taken or self._is_ours():
            return None
        self._taken = True
        self._done.wait()
        return self._folder if self._tree_id == tree_id else None

    def is_old(self) -> bool:
        """Tell whether the stored files were compared so long ago that they may have been changed since."""
        return time.monotonic() - self._finished > COMPARED_S

    def finish(self, answer: Answer) -> None:
        """Note what a worker says of it, or that no worker is going to; the first time counts."""
        if self._done.is_set():
            return
        self._tree_id = str(answer.get("id", ""))
        self._finished = time.monotonic()
        if not self._tree_id:
            logger.debug("pipfast: not linked aside: %s (%s)", self._folder.name, answer.get("reason"))
        self._done.set()

    def _is_ours(self) -> bool:
        try:
            self._folder.mkdir()
        except FileExistsError:
            return False
        except OSError as error:
            logger.debug("pipfast: not linked aside: %r", error)
        return True


class Reading:
    """Archives that a worker reads again, one after another."""

    def __init__(
        self, workers: Workers, root: Path, digests: Iterable[str], then: Callable[[], None]
    ) -> None:
        """:param then: called when all are read, or as many as are worth it."""
        self._then = then
        self._change = threading.Condition()
        self._sound: dict[str, bool | None] = {}
        """By digest; None while it is being read."""
        job = {"do": "read", "root": str(root), "digests": list(digests)}
        workers.put(_FIRST, job, self._over, self._step)

    def is_sound(self, digest: str) -> bool:
        """Tell whether an archive's bytes were found to have its digest; waits only while it is being read."""
        with self._change:
            self._change.wait_for(lambda: self._sound.get(digest, False) is not None)
            return self._sound.get(digest) is True

    def _step(self, answer: Answer) -> None:
        with self._change:
            self._sound[answer["digest"]] = answer.get("sound")
            self._change.notify_all()

    def _over(self, answer: Answer) -> None:
        with self._change:
            self._sound = {digest: sound for digest, sound in self._sound.items() if sound is not None}
            self._change.notify_all()
        self._then()


class Lane:
    """Wheels that workers link aside one after another, some at once: what is urgent comes in between.

    :param job: what the workers' jobs have besides, see ``worker``.
    :param folder: below which they are linked.
    """

    def __init__(self, workers: Workers, job: Answer, folder: Path, digests: Iterable[str]) -> None:
        self._workers = workers
        self._job = {**job, "do": "arrange", "folder": str(folder)}
        self._left = list(digests)
        self.arrangements = {digest: Arrangement(folder / digest) for digest in self._left}

    def go_on(self) -> None:
        """Have the next ones linked, and then those after them."""
        now, self._left = self._left[:_AT_ONCE], self._left[_AT_ONCE:]
        if now:
            job = {**self._job, "digests": now}
            self._workers.put(_LAST, job, lambda answer: self._over(now, answer), self._step)

    def _step(self, answer: Answer) -> None:
        self.arrangements[answer["digest"]].finish(answer)

    def _over(self, digests: Iterable[str], answer: Answer) -> None:
        for digest in digests:
            self.arrangements[digest].finish({"reason": answer.get("reason")})
        if answer["ok"]:
            self.go_on()


def remove_emptied(aside: Path) -> None:
    """Take away the folders of wheels of which everything was moved: most of them, in a few calls each.

    :param aside: the parent of the folders of lanes.
    """
    with suppress(OSError):
        for batch in os.listdir(aside):
            for digest in os.listdir(aside / batch):
                folder = f"{aside}/{batch}/{digest}"
                with suppress(OSError):
                    for name in os.listdir(folder):
                        os.rmdir(f"{folder}/{name}")
                    os.rmdir(folder)
