"""Pool of connections that downloads share: the engine's front door."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipfast.fetch.board import Board
from pipfast.fetch.job import Download
from pipfast.fetch.scheduler import Scheduler
from pipfast.fetch.worker import Worker
from pipfast.system import threads

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pipfast.fetch.transport import Response, Transport


CONNECTIONS = 8
"""Requests in flight at once: enough where each connection is capped, not too many for any server."""

SEGMENT_THRESHOLD = 8 * 1024 * 1024
"""Bytes from which a file comes in several ranges; for smaller ones a request costs more than it saves."""

JOIN_S = 1.0
"""Seconds that closing waits for requests that will not end, such as one to a host that does not answer."""


class DownloadPool:
    """Downloads files over a bounded number of connections, large ones over several at once."""

    def __init__(
        self, transport: Transport, *, connections: int = CONNECTIONS, segment_threshold: int = SEGMENT_THRESHOLD,
        on_thread_start: Callable[[Download], AbstractContextManager[object]] = lambda _: nullcontext(),
    ) -> None:
        """:param on_thread_start: returns the context in which a worker works for a download."""
        self._connections = connections
        self._around = on_thread_start
        self._board = Board(connections, self._grow)
        self._scheduler = Scheduler(self._board)
        self._worker = Worker(self._board, transport, segment_threshold)
        self._threads: list[threading.Thread] = []
        self._downloads: dict[tuple[str, Path], Download] = {}

    def submit(
        self, url: str, directory: Path, *, name: Callable[[Response], str],
        expected: Mapping[str, str] = MappingProxyType({}),
    ) -> Download:
        """Queue a file for download into ``directory``; one that is on its way there is not fetched twice.

        :param name: returns the file's name, a single path component, from the first answer's headers.
        :param expected: known digests, hex by ``hashlib`` algorithm; a mismatch shows in the result only.
        :raises RuntimeError: the pool is closed, or the system has no thread for it.
        """
        with self._board.lock:
            if self._board.closing:
                raise RuntimeError("the download pool is closed")
            known = self._downloads.get((url, directory))
            # One that is under way, or whose file is still there.
            if known is not None and (known.fetched.path.is_file() if known.fetched else not known.finished):
                return known
            download = Download(url, directory, name, expected, self._board.lock)
            self._scheduler.submit(download)
            self._downloads[url, directory] = download
            return download

    def close(self, wait_s: float = JOIN_S) -> None:
        """Cancel unfinished downloads, and wait at most ``wait_s`` seconds for threads. Safe to call again."""
        self._scheduler.close()

        threads.join(self._threads, wait_s)

    def _grow(self) -> None:
        if len(self._threads) < self._connections and not self._board.closing:
            thread = threads.start(self._serve, f"pipfast-fetch-{len(self._threads)}")
            if thread is not None:
                self._threads.append(thread)
            elif not self._threads:
                raise RuntimeError("there is no thread to download in")

    def _serve(self) -> None:
        while (task := self._scheduler.next_task()) is not None:
            try:
                with self._around(task.download):
                    if self._worker.run(task):
                        task.download.call_back()
            except BaseException as error:
                # Only the caller's context manager can bring us here.
                self._worker.give_up(task, error)
