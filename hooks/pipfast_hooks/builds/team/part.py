"""The team's store of a run."""

from __future__ import annotations

import os
import platform
import socket
import time
from typing import TYPE_CHECKING, Any

import pip

from pipfast import __version__
from pipfast.remote.built import place_of, processor
from pipfast.remote.remote import Remote
from pipfast.remote.tools import tool_versions
from pipfast.report import logger, say
from pipfast.system.daily import is_quiet
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipfast.remote.built import TeamWheel
    from pipfast.remote.signing import Head
    from pipfast.store.archives import Archive


class Team(Part):
    """What a run asks of the team's store, and what it puts there."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.remote = _kind(run)(run.settings, run.store.layout)
        self._tools: Mapping[str, str] | None = None
        self._processor = ""

    def place(self, source: str, config_settings: object, *, anew: bool = False) -> str:
        """Return the place of a source's wheels, as this process's variables have it built.

        :param anew: ask the tools again, which may have been replaced.
        """
        if self._tools is None or anew:
            self._tools = tool_versions(os.environ)
        return place_of(source, config_settings, os.environ, self._tools)

    def wheels(self, place: str, *, isolated: bool) -> Iterator[tuple[str, Head, TeamWheel]]:
        """Yield the wheels of a place that were built in this way, and are for this processor."""
        for name, head, wheel in self.remote.wheels(place):
            if wheel.isolated == isolated and wheel.processor in ("", self.processor):
                yield name, head, wheel

    @property
    def processor(self) -> str:
        """Return what names this machine's kind of processor."""
        self._processor = self._processor or processor()
        return self._processor

    def fetch(self, name: str, head: Head, wheel: TeamWheel) -> Archive | None:
        """Return the file of a wheel, and say whose it is."""
        archive = self.remote.fetch(name, head, wheel.filename)
        if archive is not None:
            told = f"{wheel.name} {wheel.version} comes from the team's store ({origin_of(wheel)})"
            if is_quiet():
                logger.debug("pipfast: %s", told)
            else:
                say(told)
        return archive

    def made(self) -> dict[str, str]:
        """Return how wheels are built here, to be shown."""
        return {
            "host": socket.gethostname(), "python": platform.python_version(), "pip": str(pip.__version__),
            "pipfast": __version__,
            **{f"tool {name}": text.partition("\n")[0] for name, text in (self._tools or {}).items()},
        }

    def give_way(self) -> None:
        """End the process that speaks with the server."""
        self.remote.close()


def _kind(run: Run) -> type[Remote]:
    if not run.settings.remote_prepared:
        return Remote
    # Not at the top: whoever does not ask for prepared wheels does not load what writes them.
    from pipfast.remote.prepared import PreparedRemote

    return PreparedRemote


def team_of(run: Any) -> Team | None:
    """Return the run's team's store; None where there is none, or it is left out."""
    if run.settings.remote is None or not run.store.layout.keeps:
        return None
    team: Team = run.part(Team)
    return None if team.remote.is_over else team


def origin_of(wheel: TeamWheel) -> str:
    """Return where and when a wheel was built: ``built on ci-7, 2026-05-04``."""
    when = time.strftime("%Y-%m-%d", time.localtime(wheel.built))
    return f"built on {wheel.made.get('host') or 'another machine'}, {when}"
