"""Stored wheels' files, linked aside by a worker process while pip goes on."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from pipfast.report import logger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipfast.store.workers import Answer, Workers

_LAST = 9
"""The job's priority: pip's own thread can make links, too, but nothing else that workers do."""


class Arrangement:
    """One wheel's links, on their way.

    :param folder: where they are made; see ``install.arranged`` for what is in it. Who makes this folder, the
        worker or the thread that installs, places the wheel's files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done = threading.Event()
        self._read = threading.Event()
        self._sound = False
        self._tree_id = ""
        self._taken = False

    def is_sound(self) -> bool:
        """Tell whether a worker has read the archive, and its bytes have its digest; waits for that."""
        self._read.wait()
        return self._sound

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

    def finish(self, answer: Answer) -> None:
        """Note what a worker says of it, or that no worker is going to; the first time counts."""
        if "sound" in answer:
            self._sound = bool(answer["sound"])
            self._read.set()
            return
        self._read.set()
        if self._done.is_set():
            return
        self._tree_id = str(answer.get("id", ""))
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


def arrange_aside(
    workers: Workers, job: Answer, folder: Path, digests: Iterable[str], *, read: bool
) -> dict[str, Arrangement]:
    """Have wheels linked aside below ``folder``, by one worker and in this order; return them by digest.

    :param job: what the worker's job has besides, see ``worker``.
    :param read: have their archives read, too, before anything is linked.
    """
    wanted = list(digests)
    made = {digest: Arrangement(folder / digest) for digest in wanted}

    def step(answer: Answer) -> None:
        made[answer["digest"]].finish(answer)

    def done(answer: Answer) -> None:
        for each in made.values():
            each.finish({"reason": answer.get("reason")})

    whole = {**job, "do": "arrange", "folder": str(folder), "digests": wanted, "read": read}
    workers.put(_LAST, whole, done, step)
    return made


def remove_emptied(aside: Path) -> None:
    """Take away the folders of wheels of which everything was moved: most of them, in a few calls each.

    :param aside: the parent of what ``arrange_aside`` was given.
    """
    for batch in os.listdir(aside):
        for digest in os.listdir(aside / batch):
            folder = f"{aside}/{batch}/{digest}"
            with suppress(OSError):
                for name in os.listdir(folder):
                    os.rmdir(f"{folder}/{name}")
                os.rmdir(folder)
