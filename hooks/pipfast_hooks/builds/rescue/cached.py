"""Cached wheels that no longer fit, and the team's in their place."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.report import say
from pipfast.store.names import BUILT
from pipfast.store.notes import has_notes
from pipfast_hooks.builds.context import Context
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    from pipfast_hooks.builds.team.taken import TakenWheels
    from pipfast_hooks.call import Call


class PassedOver(Part):
    """The cached wheels that a run does not take, and builds again without isolation."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._differences: dict[str, str | None] = {}
        """By the path of a wheel: a sentence about the version that it does not fit; None if it fits."""
        self._paths: dict[str, str] = {}

    def passes_over(self, path: str, address: str) -> bool:
        """Tell whether a wheel is not to be taken for a source; said each time."""
        context = self.run.find(Context)
        if context is None or not has_notes(self.run.store.layout, BUILT):
            return False
        if path not in self._differences:
            from pipfast_hooks.builds.rescue.source import difference

            self._differences[path] = difference(context, Path(path))
        sentence = self._differences[path]
        if sentence is None:
            return False
        say(sentence)
        self._paths[address] = path
        return True

    def taken_instead(self, link: Any) -> str | None:
        """Take a wheel that was passed over, because no other can be had, and return its path."""
        path = self._paths.pop(link.url, None) if link is not None else None
        if path is None or not os.path.isfile(path):
            return None
        self._differences[path] = None
        say(f"{os.path.basename(path)} of pip's cache is taken, which pip alone would have taken: "
            "it cannot be built again here")
        return path


def _taken(run: Run) -> TakenWheels | None:
    """Return the wheels that come from the team's store; None where there is none, or nothing can be built."""
    if run.settings.remote is None or run.find(Context) is None:
        return None
    with guarded("no wheel is taken from the team's store"):
        from pipfast_hooks.builds.team.taken import TakenWheels

        return run.part(TakenWheels)
    return None


def _around_get_cache_entry(call: Call) -> Any:
    """Pass over a cached wheel that was built, without isolation, against another version; ask the team."""
    entry = call.original()
    if entry is None or not entry.persistent:
        taken = _taken(current_run())
        if taken is None:
            return entry
        with guarded("no wheel is taken from the team's store"):
            return taken.entry(call) if entry is None else taken.as_cached(entry)
        return entry
    with guarded("pip's cached wheel is taken as it is"):
        if current_run().part(PassedOver).passes_over(entry.link.file_path, call["link"].url):
            return None
    return entry


def _around_link_candidate(call: Call) -> Any:
    """Take pip's cached wheel after all if its source cannot be prepared for a build."""
    taken = _taken(current_run())
    settings = getattr(call.get("template"), "config_settings", None)
    try:
        with taken.candidate(settings) if taken is not None else nullcontext():
            return call.original()
    except Exception:
        passed_over = current_run().find(PassedOver)
        if passed_over is None or passed_over.taken_instead(call["link"]) is None:
            raise
    return call.original()
