"""Projects, choices and dependencies that pip's resolver is about to come to.

Nothing is fetched that pip could not ask for: names come from requirements that the resolver has or is about to
read, addresses and headers from pip's own code, which is run up to the request.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pip._internal.network.utils import HEADERS
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.wheel.metadata import read_metadata
from pipfast_hooks.attach import is_attached
from pipfast_hooks.builds.context import Context
from pipfast_hooks.guard import guarded
from pipfast_hooks.index.candidates import PageCandidates, Sizes, choose
from pipfast_hooks.metadata.installed import parse_requires
from pipfast_hooks.metadata.side_files import kept
from pipfast_hooks.network.ahead import Ahead
from pipfast_hooks.network.asked import fetch_with, request_for
from pipfast_hooks.output import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pipfast_hooks.index.finder import EvaluatedPages
    from pipfast_hooks.metadata.ranged import Found
    from pipfast_hooks.run import Run


SMALL_BYTES = 4 << 20
"""Size below which the wheel that pip would pick is fetched before the resolver comes to it: a wrong guess costs
some tenths of a second."""


@dataclass(slots=True)
class _Project:
    specifier: Any
    extras: set[str]
    hashes: Any = None
    """pip's ``Hashes`` that the user allows, under --require-hashes."""
    pages_to_come: int = 0
    choices: list[Any] = field(default_factory=list)


class LookAhead:
    """The projects of one resolution, and what is fetched for them ahead of it."""

    def __init__(self, run: Run, resolver: Any) -> None:
        """:param resolver: pip's."""
        factory = resolver.factory
        self._run = run
        self._finder = factory._finder
        self._collector = self._finder._link_collector
        self._sizes = run.part(Sizes)
        self._factory = factory
        self._downloader = factory.preparer._download
        # A seam that is not attached leaves pip's method as it is, and pip's downloads would find nothing.
        self._fetches = is_attached(type(self._downloader).__call__)
        self._builds = run.find(Context) is not None
        self._requests = run.part(Ahead).begin(self._collector.session, self._comes)
        self._require_hashes = factory.preparer.require_hashes
        self._follows = not resolver.ignore_dependencies
        """Projects that candidates depend on are fetched as well."""
        self._installed = factory._installed_dists
        """By names of projects that may stay as they are, so that nothing is fetched for them."""
        self._projects: dict[str, _Project] = {}
        self._lock = threading.RLock()

    @functools.cached_property
    def _pages(self) -> EvaluatedPages:
        # Not at the top: where everything is satisfied no page is read.
        from pipfast_hooks.index.finder import Finders

        return self._run.part(Finders).pages_of(self._finder)

    def wants(self, name: str, specifier: Any, extras: Iterable[str], hashes: Any = None) -> None:
        """Fetch the pages of a project that the resolver will ask for, at once or when requests are sent ahead."""
        with self._lock:
            project = self._projects.get(name)
            if project is not None:
                project.specifier &= specifier
                project.extras.update(extras)
                return
            self._projects[name] = _Project(specifier, set(extras), hashes)
        self._requests.when_active(functools.partial(self._begin_pages, name))

    def _begin_pages(self, name: str) -> None:
        with guarded("nothing is fetched ahead for %s", name):
            asked = list(self._requests_for(name))
            self._projects[name].pages_to_come = len(asked)
            for link, url, headers in asked:
                self._requests.begin(url, headers, functools.partial(self._page, name, link))

    def _requests_for(self, name: str) -> Iterator[tuple[Any, str, dict[str, str]]]:
        """Run pip's code up to the requests for a project's pages."""
        links: list[Any] = []

        def note(link: Any) -> Iterable[Any]:
            links.append(link)
            return ()

        with records.held_back([]):
            sources = self._collector.collect_sources(project_name=name, candidates_from_page=note)
            for source in sources.index_urls:
                if source is not None:
                    list(source.page_candidates())
            for link in links:
                asked = request_for(self._collector, link, name) if link.scheme in ("http", "https") else None
                if asked is not None:
                    yield link, *asked

    def _page(self, name: str, link: Any, response: Any) -> Callable[[], None] | None:
        """Evaluate a page before pip does; afterwards choose as pip would and fetch that file's metadata."""
        if response.status_code != 200:
            return lambda: self._chosen(name, None)
        evaluator = self._finder.make_link_evaluator(name)
        if getattr(evaluator, "_uploaded_prior_to", None) is not None:
            return None
        # pip logs this when it gets the answer itself.
        with records.held_back([]):
            page = fetch_with(response, self._collector, link, name)
        if page is None:
            return None
        candidates = self._pages.candidates(evaluator, page.url, self._pages.evaluate(evaluator, page))
        return lambda: self._choose(name, candidates)

    def _choose(self, name: str, candidates: PageCandidates) -> None:
        project = self._projects[name]
        evaluator = self._finder.make_candidate_evaluator(
            project_name=name, specifier=project.specifier, hashes=project.hashes
        )
        best = choose(evaluator, candidates.in_page_order)
        self._chosen(name, best.applicable_candidates[-1] if best and best.applicable_candidates else None)

    def _chosen(self, name: str, candidate: Any) -> None:
        with self._lock:
            project = self._projects[name]
            project.pages_to_come -= 1
            if candidate is not None and not candidate.link.is_yanked:
                project.choices.append(candidate)
            if project.pages_to_come or not project.choices:
                return
            link = max(project.choices, key=lambda choice: choice.version).link
        # Where hashes are required pip reads metadata from archives that it has checked.
        metadata = None if self._require_hashes else link.metadata_link()
        is_small = bool(link.is_wheel) and self._sizes.of(link, SMALL_BYTES) < SMALL_BYTES
        # If only one version fits, the resolver cannot choose another.
        is_pinned = any(
            each.operator == "===" or (each.operator == "==" and not each.version.endswith(".*"))
            for each in project.specifier
        )
        likely = name not in self._installed and (is_pinned or is_small)
        if metadata is None or likely:
            self._begin_archive(name, link, needed=metadata is None)
        if metadata is None or not self._follows:
            return
        here = kept(self._run, self._collector.session, metadata)
        if here is not None:
            self._depends(name, here.content)
            return

        def described(response: Any) -> None:
            if response.status_code == 200:
                self._depends(name, response.content)

        url = metadata.url.split("#", 1)[0]
        self._requests.begin(url, HEADERS, lambda response: functools.partial(described, response))

    def _begin_archive(self, name: str, link: Any, *, needed: bool) -> None:
        """Fetch an archive that alone tells the metadata, or that is certain to be installed.

        Only its METADATA where pip needs nothing else. What fetches, reads or builds is imported in the methods:
        where everything is satisfied nothing of it happens.
        """
        if not self._fetches:
            return
        run = self._run
        if not link.is_wheel:
            if self._factory.get_wheel_cache_entry(link, name) is not None:
                # Built before: pip takes the wheel.
                return
            context = run.find(Context)
            if context is not None and context.resolver is not None:
                from pipfast_hooks.builds.environments.runner import runner_of

                # The process that fills its environment takes a while to start.
                runner_of(run)
        from pipfast_hooks.downloads.connections import Sessions

        known_by_it = needed and (self._follows if link.is_wheel else self._builds)
        then = functools.partial(self._unpacked, name, link) if known_by_it else None

        def whole() -> None:
            run.part(Sessions).of(self._downloader).begin_ahead(name, link, needed=needed, then=then)

        if not (needed and link.is_wheel and run.intent.metadata_only and self._read_ranged(name, link, whole)):
            whole()
        if then is not None and link.is_wheel:
            self._look_inside(name, link)

    def _read_ranged(self, name: str, link: Any, whole: Callable[[], None]) -> bool:
        """Read METADATA alone, and call ``whole`` if that fails; False if pip wants the archive."""
        from pipfast_hooks.metadata.ranged import RangedMetadata

        def read(found: Found | None) -> None:
            self._read_by_ranges(name, found.content) if found is not None else whole()

        ranged = self._run.part(RangedMetadata)
        if is_wanted := ranged.is_wanted(link):
            ranged.begin(self._downloader._session, link, read)
        return is_wanted

    def _comes(self, link: Any) -> None:
        with guarded("what a wheel on its way says is not known ahead"):
            name = canonicalize_name(link.filename.partition("-")[0])
            is_known = self._requests.is_active and self._follows and name in self._projects
            if is_known and link.metadata_link() is None:
                self._look_inside(name, link)

    def _look_inside(self, name: str, link: Any) -> None:
        if self._require_hashes:
            return
        from pipfast_hooks.metadata.ranged import RangedMetadata

        def read(found: Found | None) -> None:
            if found is not None:
                self._read_by_ranges(name, found.content)

        ranged = self._run.part(RangedMetadata)
        if ranged.is_sooner(link):
            ranged.begin(self._collector.session, link, read)

    def _unpacked(self, name: str, link: Any, archive: Path) -> None:
        with guarded("what an archive says is not known ahead"):
            if not link.is_wheel:
                if self._builds:
                    from pipfast_hooks.builds.beside.resolution import Resolution

                    self._run.part(Resolution).begin(name, link, archive)
                return
            metadata = read_metadata(archive)
            if metadata is not None and not self._requests.is_over:
                self._depends(name, metadata)

    def _read_by_ranges(self, name: str, metadata: bytes) -> None:
        with guarded("what a part of an archive says is not known ahead"):
            if self._follows and not self._requests.is_over:
                self._depends(name, metadata)

    def _depends(self, name: str, metadata: bytes) -> None:
        project = self._projects[name]
        for text in parse_requires(metadata.decode("utf-8")) or ():
            requirement = Requirement(text)
            marker = requirement.marker
            applies = marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *project.extras))
            if requirement.url is None and applies:
                self.wants(canonicalize_name(requirement.name), requirement.specifier, requirement.extras)
