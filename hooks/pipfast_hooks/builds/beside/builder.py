"""Engine of builds beside pip: each is made once, in a thread."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from typing import TYPE_CHECKING

from pipfast.report import logger
from pipfast_hooks.builds.beside.build import Failed
from pipfast_hooks.builds.jobs import Ended
from pipfast_hooks.output import records

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pipfast_hooks.builds.beside.build import Build
    from pipfast_hooks.builds.jobs import Jobs

_REMOVALS = 5
"""How often a folder is removed that does not go."""

_WAIT_S = 0.1
"""Seconds between two of these."""


class Builder:
    """Builds under way, by whatever pip will ask for them with."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self._lock = threading.Lock()
        self._builds: dict[Hashable, Build] = {}
        self._is_stopped = False

    def begin(self, key: Hashable, build: Build) -> None:
        """Begin a build, unless there is one of this key; returns at once."""
        with self._lock:
            if not self._is_stopped and key not in self._builds:
                self._builds[key] = build
                self.jobs.submit(lambda: self._make(build))

    def find(self, key: Hashable) -> Build | None:
        """Return a build, whether it has begun or not."""
        with self._lock:
            return self._builds.get(key)

    def begun(self, key: Hashable) -> Build | None:
        """Return a build, whose turn it is now at the latest: pip waits for it."""
        with self._lock:
            build = self._builds.get(key)
            if build is None or build.is_abandoned:
                return None
            if not build.is_started and not build.is_hastened:
                build.is_hastened = self.jobs.start(lambda: self._make(build))
                if not build.is_hastened:
                    # Whoever is to begin it may be waiting for others.
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
        """Begin no more, end what is under way and remove what was made."""
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
    """Remove a folder that processes which were just ended may have written to in the last moment."""
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(_WAIT_S)
