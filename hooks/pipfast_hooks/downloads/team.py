"""Downloaded archives in the team's store."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from pipfast.system import threads
from pipfast_hooks.builds.team.part import Team, team_of
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from pipfast.remote.remote import Remote
    from pipfast.store.archives import Archive

AT_ONCE = 4
"""Archives that come at once, each by a process of its own: waits for small ones add up otherwise."""


class TeamArchives(Part):
    """Gets archives from the team's store, and puts downloaded ones there."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        # Made before anything is asked for, so that it ends later.
        self._team = run.part(Team)
        self._threads = threads.Pool(min(AT_ONCE, run.settings.connections), "pipfast-team")
        self._lock = threading.Lock()
        self._remotes: list[Remote] = []
        self._idle: list[Remote] = []
        self._to_put: list[tuple[Archive, str]] = []

    def ask(self, function: Callable[[], bool]) -> Future[bool]:
        """Have a thread call ``function``, which gets an archive."""
        return self._threads.submit(function)

    def get(self, digest: str, filename: str) -> Archive | None:
        """Return an archive by its SHA-256 if the team's store has it."""
        with guarded("%s is fetched from its index", filename):
            if team_of(self.run) is not None:
                with self._remote() as remote:
                    return remote.archive(digest, filename)
        return None

    def put_later(self, archive: Archive, filename: str) -> None:
        """Put an archive there, which an index has, when the command has done everything else."""
        if self.run.settings.remote_write:
            with self._lock:
                self._to_put.append((archive, filename))

    def put_all(self) -> None:
        """Put the archives there, and wait until that is done; what takes too long is given up by itself."""
        puts = [self._threads.submit(partial(self._put, archive, name)) for archive, name in self._to_put]
        for each in puts:
            with suppress(Exception):
                each.result()

    def _put(self, archive: Archive, filename: str) -> None:
        with guarded("%s is not put into the team's store", filename):
            if team_of(self.run) is not None:
                with self._remote() as remote:
                    remote.keep_archive(archive.digest, filename, archive.path)

    @contextmanager
    def _remote(self) -> Iterator[Remote]:
        """Yield the team's store for one thread alone."""
        with self._lock:
            if not self._idle:
                made = self._team.remote.another()
                self._remotes.append(made)
                self._idle.append(made)
            remote = self._idle.pop()
        try:
            yield remote
        finally:
            with self._lock:
                self._idle.append(remote)

    def give_way(self) -> None:
        """End what is under way."""
        for each in list(self._remotes):
            each.close()
        self._threads.close(0.0)
