"""Downloaded archives and prepared wheels in the team's store."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from pipfast.store.archives import stored_bytes
from pipfast.system import threads
from pipfast_hooks.builds.team.part import Team, team_of
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from pipfast.prepare.bytecode import BytecodeKind
    from pipfast.remote.prepared import Brought, PreparedRemote
    from pipfast.remote.remote import Remote
    from pipfast.store.archives import Archive
    from pipfast.store.prepared import Prepared

T = TypeVar("T")

AT_ONCE = 4
"""Objects that come at once, each by a process of its own: waits for small ones add up otherwise."""


class TeamThreads(Part):
    """Threads that ask the team's store, each for one thing at a time."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        # Made before anything is asked for, so that it ends later.
        self._team = run.part(Team)
        count = min(AT_ONCE, run.settings.connections)
        if run.settings.remote_prepared:
            # Each writes what comes: on a core of its own, and one while another waits.
            count = min(count, run.settings.workers + 1)
        self._threads = threads.Pool(count, "pipfast-team")
        self._lock = threading.Lock()
        self._remotes: list[Remote] = []
        self._idle: list[Remote] = []

    def ask(self, function: Callable[[], T]) -> Future[T]:
        """Have a thread call ``function``, which asks for something."""
        return self._threads.submit(function)

    @contextmanager
    def remote(self) -> Iterator[Remote]:
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

    def put_all(self, puts: Iterable[Callable[[], object]]) -> None:
        """Make these calls, and wait until they are done; what takes too long is given up by itself."""
        for each in [self._threads.submit(put) for put in puts]:
            with suppress(Exception):
                each.result()

    def give_way(self) -> None:
        """End what is under way."""
        for each in list(self._remotes):
            each.close()
        self._threads.close(0.0)


class TeamArchives(Part):
    """Gets archives from the team's store, and puts downloaded ones there."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._threads = run.part(TeamThreads)
        self._to_put: list[tuple[Archive, str]] = []

    def ask(self, function: Callable[[], bool]) -> Future[bool]:
        """Have a thread call ``function``, which gets an archive."""
        return self._threads.ask(function)

    def get(self, digest: str, filename: str) -> Archive | None:
        """Return an archive by its SHA-256 if the team's store has it."""
        with guarded("%s is fetched from its index", filename):
            if team_of(self.run) is not None:
                with self._threads.remote() as remote:
                    return remote.archive(digest, filename)
        return None

    def put_later(self, archive: Archive, filename: str) -> None:
        """Put an archive there, which an index has, when the command has done everything else."""
        if self.run.settings.remote_write:
            self._to_put.append((archive, filename))

    def put_all(self) -> None:
        """Put the archives there."""
        self._threads.put_all(partial(self._put, archive, name) for archive, name in self._to_put)

    def _put(self, archive: Archive, filename: str) -> None:
        with guarded("%s is not put into the team's store", filename):
            if team_of(self.run) is not None:
                with self._threads.remote() as remote:
                    remote.keep_archive(archive.digest, filename, archive.path)


class TeamPrepared(Part):
    """Gets trees and bytecode of wheels from the team's store, and puts those there that were made here."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._threads = run.part(TeamThreads)
        self._missing: list[str] = []

    @contextmanager
    def _remote(self) -> Iterator[PreparedRemote]:
        with self._threads.remote() as remote:
            yield cast("PreparedRemote", remote)

    def ask(self, function: Callable[[], bool]) -> Future[bool]:
        """Have a thread call ``function``, which gets a wheel."""
        return self._threads.ask(function)

    def get(self, digest: str, filename: str) -> int | None:
        """Bring what the team has of a wheel into the store; return its archive's size if it is there now."""
        with guarded("%s is prepared here", filename):
            preparer = self.run.store.preparer()
            if preparer is None or team_of(self.run) is None:
                return None
            with self._remote() as remote:
                found = self._ask(remote, preparer.kind, digest)
                if found.size is not None:
                    preparer.start(digest, stored_bytes(self.run.store.layout, digest), link=found.link)
                    return found.size if preparer.ready(digest) is not None else None
        return None

    def bring(self, digest: str) -> None:
        """Have what the team has of a wheel brought into the store, unless it is there; return at once."""
        with guarded("%s is prepared here", digest):
            if (preparer := self.run.store.preparer()) is not None:
                preparer.bring(digest, lambda: self._threads.ask(partial(self._bring, preparer.kind, digest)))

    def _bring(self, kind: BytecodeKind | None, digest: str) -> None:
        with guarded("%s is prepared here", digest):
            if team_of(self.run) is not None:
                with self._remote() as remote:
                    self._ask(remote, kind, digest)

    def _ask(self, remote: PreparedRemote, kind: BytecodeKind | None, digest: str) -> Brought:
        found = remote.prepared(digest, kind, self.run.umask)
        if not found.is_there:
            self._missing.append(digest)
        return found

    def put_all(self) -> None:
        """Put there what was asked for in vain, and was made here."""
        preparer = self.run.store.preparer()
        if preparer is None:
            return
        made = [(digest, wheel) for digest in self._missing if (wheel := preparer.ready(digest)) is not None]
        self._threads.put_all(partial(self._put, preparer.kind, digest, wheel) for digest, wheel in made)

    def _put(self, kind: BytecodeKind | None, digest: str, wheel: Prepared) -> None:
        with guarded("%s is not put into the team's store", digest):
            if team_of(self.run) is not None:
                with self._remote() as remote:
                    remote.keep_prepared(digest, kind, wheel)
