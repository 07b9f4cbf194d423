"""A stored wheel's files, linked aside by a worker process while pip goes on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pipfast.report import logger

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.workers import Answer, Workers

_LAST = 9
"""The job's priority: pip's own thread can make links, too, but nothing else that workers do."""


class Arrangement:
    """One wheel's links, on their way.

    :param job: the worker's job, see ``worker``.
    :param folder: where it makes them; see ``install.arranged`` for what is in it.
    """

    def __init__(self, workers: Workers, job: Answer, folder: Path) -> None:
        self._workers = workers
        self._job = job
        self._folder = folder
        self._done = threading.Event()
        self._complete = False
        self._taken = False
        workers.put(_LAST, job, self._finish)

    def take(self) -> Path | None:
        """Return the folder when it is ready; None if nobody has begun, or not every file could be linked.

        Once: whoever asks after that finds it empty, or half empty.
        """
        if self._taken or self._workers.withdraw(self._job):
            return None
        self._taken = True
        self._done.wait()
        return self._folder if self._complete else None

    def _finish(self, answer: Answer) -> None:
        self._complete = bool(answer.get("complete"))
        if not self._complete:
            logger.debug("pipfast: not linked aside: %s (%s)", self._job["tree"], answer.get("reason"))
        self._done.set()
