"""Engine of builds beside pip."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.report import logger
from pipfast.store.archives import add_archive, find_archive, sha256_of
from pipfast_hooks.builds.beside.build import Build, Failed
from pipfast_hooks.builds.jobs import Ended, Jobs
from pipfast_hooks.guard import guarded
from pipfast_hooks.output import records

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from pipfast_hooks.run import Run


_REMOVALS = 5
"""Attempts to remove a folder: a process that was just ended may have written to it in its last moment."""

_WAIT_S = 0.1


class Builder:
    """Makes each build once, in a thread; finds it by a key of the client's."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self._lock = threading.Lock()
        self._builds: dict[Hashable, Build] = {}
        self._is_stopped = False

    def begin(self, key: Hashable, build: Build) -> None:
        """Begin a build, unless there is one with this key; return at once."""
        with self._lock:
            if not self._is_stopped and key not in self._builds:
                self._builds[key] = build
                self.jobs.submit(lambda: self._make(build))

    def find(self, key: Hashable) -> Build | None:
        """Return the build of a key."""
        with self._lock:
            return self._builds.get(key)

    def begun(self, key: Hashable) -> Build | None:
        """Return the build of a key, begun now if it was not: pip waits for it. None if pip is to build it."""
        with self._lock:
            build = self._builds.get(key)
            if build is None or build.is_abandoned:
                return None
            if not build.is_started and not build.is_hastened:
                build.is_hastened = self.jobs.start(lambda: self._make(build))
                if not build.is_hastened:
                    # The threads that there are may be waiting for others.
                    build.is_abandoned = True
                    return None
            return build

    def stop(self) -> None:
        """Begin no more."""
        with self._lock:
            self._is_stopped = True
            for build in self._builds.values():
                build.is_abandoned = build.is_abandoned or not build.is_started

    def close(self) -> None:
        """End all builds and remove their folders."""
        self.stop()
        self.jobs.close()
        for build in self._builds.values():
            _remove(build.folder)
        self._builds.clear()

    def _make(self, build: Build) -> None:
        with self._lock:
            if build.is_abandoned or build.is_started:
                return
            build.is_started = True
        try:
            build.folder = tempfile.mkdtemp(prefix="pipfast-build-")
            with records.held_back([]):
                build.make(build)
        except (Ended, Failed) as error:
            logger.debug("pipfast: %s is not built ahead: %r", build.name, error)
        except Exception:
            logger.debug("pipfast: %s is not built ahead", build.name, exc_info=True)
        finally:
            build.end()


def _remove(folder: str) -> None:
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(_WAIT_S)


def prepare(run: Run, path: Path) -> None:
    """Keep a wheel in the store and begin to unpack and compile it; what fails is done at its installation."""
    with guarded("%s is prepared when it is installed", path.name):
        preparer, layout = run.store.preparer(), run.store.layout
        if preparer is None:
            return
        digest = sha256_of(path)
        archive = find_archive(layout, digest)
        hashed = archive is None
        archive = archive or add_archive(layout, path, digest, path.name, move=False)
        if archive is not None:
            run.store.remember(path, {"sha256": digest})
            preparer.start(digest, archive.path, hashed=hashed)


def prepare_all(run: Run, requirements: Iterable[Any]) -> None:
    """Prepare the wheels that were built of requirements; not those of local folders, which change."""
    for each in requirements:
        source, path = each.original_link, each.local_file_path
        if path and not (source is not None and source.is_existing_dir()):
            prepare(run, Path(path))
