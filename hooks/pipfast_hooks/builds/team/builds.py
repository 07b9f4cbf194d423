"""Builds whose wheels go to the team's store."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.remote.built import TeamWheel
from pipfast.report import logger, say
from pipfast.rescue.wheels import facts_of
from pipfast.system.daily import is_quiet
from pipfast_hooks.builds.context import Context
from pipfast_hooks.builds.source import source_of
from pipfast_hooks.builds.team.part import Team, team_of
from pipfast_hooks.builds.team.record import Facts, Seen, files_in, folders_of, is_unchanged
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BUILD_FILES = (".py", ".toml", ".cfg", ".txt", ".build", ".cmake", ".mk", ".in", ".ac", ".am", ".rs", ".sh")
"""Endings of the files in which a build may ask for the processor that it runs on."""

_NATIVE = (b"=native", b"-xHost", b"xHOST", b"/favor:")

_FLAGS = ("CC", "CFLAGS", "CPPFLAGS", "CXX", "CXXFLAGS", "FFLAGS", "RUSTFLAGS")

_MAX_FILE_BYTES = 1 << 20


@dataclass(slots=True)
class _Started:
    source: str
    place: str
    when: float
    """Seconds since the epoch."""
    files: Mapping[str, Facts] = field(default_factory=dict)
    """The build environment's, before the last hook."""


class TeamBuilds(Part):
    """Notes what builds begin with, and puts their wheels into the team's store if that is so at their end."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._context = run.part(Context)
        self._started: dict[int, _Started] = {}
        """By ``id()`` of pip's requirement, which the context's resolver keeps alive."""
        self._requires: dict[int, tuple[str, ...]] = {}

    def begin(self, requirement: Any) -> None:
        """Note a build's source and tools, before anything of it has run."""
        team = team_of(self.run)
        source = source_of(requirement) if team is not None and team.remote.writes else None
        if source is None or team is None or not getattr(self._context.options, "build_isolation", True):
            return
        place = team.place(source, requirement.config_settings)
        self._started[id(requirement)] = _Started(source, place, time.time())

    def note_requires(self, requirement: Any, requires: Any) -> None:
        """Note what the backend requires."""
        if id(requirement) in self._started and isinstance(requires, list):
            self._requires[id(requirement)] = tuple(map(str, requires))

    def note_files(self, requirement: Any) -> None:
        """Note the environment's files, before the wheel is built."""
        started = self._started.get(id(requirement))
        folders = folders_of(requirement.build_env)
        if started is not None and folders is not None:
            started.files = files_in(folders)

    def declared(self, requirement: Any) -> tuple[str, ...]:
        """Return the build requirements of a build, by file and by hook."""
        return tuple(dict.fromkeys(
            (*(requirement.pyproject_requires or ()), *self._requires.get(id(requirement), ()))
        ))

    def end(self, requirement: Any, path: str, see: Callable[[float], Seen | None]) -> None:
        """Put a wheel into the team's store, if nothing that it was built with has changed meanwhile.

        :param path: the wheel's file.
        :param see: returns what the build saw, given the time of its beginning; None if that is not known.
        """
        started, team = self._started.pop(id(requirement), None), team_of(self.run)
        if started is None or team is None:
            return
        seen = see(started.when) if is_unchanged(started.files) else None
        if seen is None:
            logger.debug("pipfast: %s is not put into the team's store: its environment is not known, or changed",
                         requirement.name)
            return
        if source_of(requirement) != started.source or (
            team.place(started.source, requirement.config_settings, anew=True) != started.place
        ):
            logger.debug("pipfast: %s is not put into the team's store: its source, variables or tools changed",
                         requirement.name)
            return
        wheel = Path(path)
        name, version, record = facts_of(wheel)
        native = _asks_for_own_processor(requirement.unpacked_source_directory)
        made = TeamWheel(
            wheel.name, name, version, record, started.source, time.time(), seen.isolated, seen.visible,
            seen.wanted, seen.declared, seen.causes, team.processor if native else "", team.made(),
        )
        if self._keep(team, started.place, made, wheel):
            told = f"{wheel.name} is in the team's store now"
            if is_quiet():
                logger.debug("pipfast: %s", told)
            else:
                say(told)

    @staticmethod
    def _keep(team: Team, place: str, made: TeamWheel, wheel: Path) -> bool:
        return team.remote.keep(place, made, wheel)


def _asks_for_own_processor(folder: str) -> bool:
    """Tell whether a source's build files, or the user's variables, ask for the machine's own processor."""
    if any("native" in os.environ.get(name, "") for name in _FLAGS):
        return True
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            is_build_file = name.endswith(_BUILD_FILES) or name.startswith(("Makefile", "configure"))
            if is_build_file and os.path.isfile(path) and os.path.getsize(path) <= _MAX_FILE_BYTES:
                content = Path(path).read_bytes()
                if any(each in content for each in _NATIVE):
                    return True
    return False
