"""Candidates that can be had without a network."""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING, Any

from pipfast.store.archives import stored_digests
from pipfast.store.urls import find_digest
from pipfast_hooks.index.candidates import PageCandidate, PageCandidates
from pipfast_hooks.network.asked import caching_adapter
from pipfast_hooks.network.kept import layout_of
from pipfast_hooks.network.offline import Offline
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

# In a page's entry of a file: of JSON, and of an anchor.
_DIGEST = re.compile(rb'"hashes":\{[^{}]*?"sha256":"([0-9a-f]{64})"|"href":"[^"]*#sha256=([0-9a-f]{64})')


class Obtainable(Part):
    """Leaves out what is not kept, so that pip's resolver takes what is."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._offline = run.part(Offline)
        self._of_project: dict[str, list[Any]] = {}

    @functools.cached_property
    def _digests(self) -> set[str]:
        return stored_digests(self.run.store.layout)

    def among(self, session: Any, name: str, candidates: list[Any]) -> list[Any]:
        """Return the candidates of a project whose files are here, in the store or in pip's cache."""
        found = self._of_project.get(name)
        if found is None:
            found = list(self._stored(session, candidates))
            if not found:
                # Only then: to look for one of them takes longer than all the rest.
                found = [each for each in candidates if self._is_here(session, each.link)]
            self._of_project[name] = found
        return found

    def note_none(self, name: str, wanted: Any) -> None:
        """Note that no candidate is kept which pip could choose; with a network it would choose ``wanted``."""
        if wanted is not None:
            self._offline.note_wanted(name, str(wanted.version))

    def note_choice(self, name: str, specifier: Any, chosen: Any, candidates: list[Any]) -> None:
        """Note the newest version that pip would have chosen in the place of ``chosen``."""
        best = chosen.version
        for version in sorted({each.version for each in candidates if each.version > best}, reverse=True):
            fits = specifier is None or specifier.contains(version, prereleases=True)
            if fits and (best.is_prerelease or not version.is_prerelease):
                self._offline.note_passed(name, str(version))
                return

    def _stored(self, session: Any, candidates: list[Any]) -> Iterator[Any]:
        keeps = layout_of(self.run, session).keeps
        pages: dict[int, PageCandidates] = {}
        for each in candidates:
            if not isinstance(each, PageCandidate):
                if self._is_local(each.link) or (keeps and self._is_stored(session, each.link)):
                    yield each
            elif id(each.page) not in pages:
                rows = [row for row, entry in enumerate(each.page.entries) if self._has(entry)] if keeps else []
                page = pages[id(each.page)] = each.page.restricted(rows)
                yield from page.in_page_order

    def _has(self, entry: bytes) -> bool:
        found = _DIGEST.search(entry)
        return found is not None and (found[1] or found[2]).decode("ascii") in self._digests

    def _is_here(self, session: Any, link: Any) -> bool:
        if self._is_local(link) or self._is_stored(session, link):
            return True
        adapter = caching_adapter(session, link.url_without_fragment)
        if adapter is None:
            return False
        path = adapter.cache._get_cache_path(adapter.controller.cache_url(link.url_without_fragment))
        # Until pip 23.2 a cached answer was one file.
        return os.path.exists(f"{path}.body" if hasattr(adapter.cache, "get_body") else path)

    def _is_stored(self, session: Any, link: Any) -> bool:
        layout = layout_of(self.run, session)
        if not layout.keeps:
            return False
        digest = link.hash if link.hash_name == "sha256" else find_digest(layout, link.url_without_fragment)
        return digest in self._digests

    @staticmethod
    def _is_local(link: Any) -> bool:
        return link.scheme not in ("http", "https")
