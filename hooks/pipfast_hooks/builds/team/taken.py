"""Wheels of the team's store in the place of isolated builds."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal.utils.direct_url_helpers import direct_url_from_link
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import logger
from pipfast.store.archives import hand_out
from pipfast_hooks.builds.context import Context
from pipfast_hooks.builds.source import source_of_link
from pipfast_hooks.builds.team.choices import chosen, has_build_constraints
from pipfast_hooks.builds.team.part import origin_of, team_of
from pipfast_hooks.builds.team.record import show
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast.remote.built import TeamWheel
    from pipfast_hooks.builds.team.part import Team
    from pipfast_hooks.call import Call

_ORIGIN = "origin.json"
"""pip's file beside a wheel in its cache: what the wheel was built of."""


class TakenWheels(Part):
    """The wheels that a run takes from the team's store."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._context = run.part(Context)
        self._asked: set[str] = set()
        self._taken: set[str] = set()
        self._config_settings: Any = None
        self._is_candidate = False
        """pip makes a candidate, whose settings are known."""
        self._constrained: bool | None = None

    @contextmanager
    def candidate(self, config_settings: Any) -> Iterator[None]:
        """Note for the block that pip makes a candidate, and the settings for its build."""
        self._config_settings, self._is_candidate = config_settings, True
        try:
            yield
        finally:
            self._is_candidate = False

    def entry(self, call: Call) -> Any:
        """Return pip's entry for a wheel that was put into its temporary cache; None if there is none."""
        link, name = call["link"], call["package_name"]
        if not name or link.is_wheel or link.url in self._asked:
            return None
        if not self._is_candidate or threading.current_thread() is not threading.main_thread():
            # A guess at what pip will ask for; what speaks with the server starts meanwhile.
            if (team := team_of(self.run)) is not None:
                team.remote.begin()
            return None
        self._asked.add(link.url)
        source = self._source(call, link, canonicalize_name(name))
        team = team_of(self.run) if source is not None else None
        if source is None or team is None:
            return None
        if not self._take(team, source, link, call.instance.get_ephem_path_for_link(link)):
            return None
        # pip judges tags and name.
        entry = call.original()
        if entry is not None:
            self._taken.add(entry.link.file_path)
        return self.as_cached(entry)

    def as_cached(self, entry: Any) -> Any:
        """Let pip treat one of these wheels as one of its lasting cache: ``Using cached``, and not the source."""
        if entry is not None and entry.link.file_path in self._taken:
            entry.persistent = True
        return entry

    def _source(self, call: Call, link: Any, name: str) -> str | None:
        """Return the source if a wheel of it may be taken."""
        context = self._context
        options = context.options
        if options is None or not getattr(options, "build_isolation", True):
            return None
        # pip before 23.1: who wants no wheel of a project gets none that was built before, either.
        control = getattr(call.instance, "format_control", None)
        if control is not None and "binary" not in control.get_allowed_formats(name):
            return None
        source = source_of_link(link)
        hashes = context.hashes()
        if source is None or not (hashes or getattr(options, "require_hashes", False)):
            return source
        # Not the index, the user vouches for the source; a commit has no such hash.
        return source if source.partition("#")[0] in hashes.get(name, ()) else None

    def _take(self, team: Team, source: str, link: Any, folder: str) -> bool:
        place = team.place(source, self._config_settings)
        for name, head, wheel in team.wheels(place, isolated=True):
            if not self._is_as_pip_would_build(wheel):
                logger.debug("pipfast: %s was built with others than pip would choose now", name)
                continue
            archive = team.fetch(name, head, wheel)
            if archive is None:
                return False
            os.makedirs(folder, exist_ok=True)
            hand_out(archive, Path(folder, wheel.filename), self.run.umask)
            with open(os.path.join(folder, _ORIGIN), "w", encoding="utf-8") as file:
                file.write(_origin(link, source))
            show(self.run.store.layout, place, wheel, head.sha256, origin_of(wheel))
            return True
        return False

    def _is_as_pip_would_build(self, wheel: TeamWheel) -> bool:
        """Tell whether a build environment made now would have exactly what that wheel's had."""
        if self._constrained is None:
            self._constrained = has_build_constraints(self._context)
        if self._constrained:
            return False
        for each in wheel.visible:
            name = canonicalize_name(each.name)
            found = chosen(self._context, name, wheel.wanted.get(name, ""))
            if found is None or found[1] != each.archive:
                return False
        return True


def _origin(link: Any, source: str) -> str:
    """Return what pip keeps of a source, once it has built it, for ``direct_url.json`` and for hashes."""
    document = json.loads(direct_url_from_link(link, link_is_in_wheel_cache=True).to_json())
    kind, _, digest = source.partition("#")[0].partition(":")
    if "archive_info" in document and kind == "sha256":
        document["archive_info"] = {"hash": f"sha256={digest}", "hashes": {"sha256": digest}}
    return json.dumps(document)
