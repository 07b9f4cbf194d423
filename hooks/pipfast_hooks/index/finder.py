"""pip's finder with index pages evaluated once for each content.

What pip fetches, from where and in which order stays pip's, and so do its messages: under ``-v`` and
``--log``, where pip says something of every link, its own code runs.
"""

from __future__ import annotations

import copy
import hashlib
import logging
from typing import TYPE_CHECKING, Any

import pip
from pip._internal.index.package_finder import LinkType, PackageFinder

from pipfast.address import shown
from pipfast.index.pages import PageTable, find_table, keep_table
from pipfast.report import logger, timed
from pipfast.store.notes import note_key
from pipfast_hooks.guard import guarded
from pipfast_hooks.index.candidates import PageCandidates, Sizes, choose
from pipfast_hooks.index.evaluation import Judge, OddPage, PageEvaluation, Warned
from pipfast_hooks.network import fresh
from pipfast_hooks.network.ahead import Ahead
from pipfast_hooks.network.asked import caching_adapter, fetch
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    from pipfast.index.pages import FreshPage
    from pipfast.store.layout import Layout
    from pipfast_hooks.call import Call

_VERBOSE = 15
"""pip's own level between INFO and DEBUG."""

_KNOWN_OPTIONS = frozenset((
    "_allow_yanked", "_canonical_name", "_formats", "_ignore_requires_python", "_target_python",
    "_uploaded_prior_to", "project_name",
))
"""What pip's evaluation of a link is known to depend on, besides the link."""

_EVALUATOR_FIELDS = frozenset((
    "_project_name", "_specifier", "_hashes", "_prefer_binary", "_supported_tags", "_wheel_tag_preferences",
))
_EVALUATOR_RULES = frozenset(("_allow_all_prereleases", "_release_control"))
"""What pip's choice among candidates is known to depend on; only the first three differ within a run."""

_pip_logger = logging.getLogger(PackageFinder.__module__)


def says_nothing_of_links() -> bool:
    """Tell whether pip says nothing of each link: else its own code runs."""
    return not _pip_logger.isEnabledFor(_VERBOSE)


class EvaluatedPages:
    """The pages that one of pip's finders gets, and its choices among their candidates."""

    def __init__(self, run: Run, finder: Any) -> None:
        self._run = run
        self._finder = finder
        self._fresh = run.part(fresh.FreshPages)
        self._sizes = run.part(Sizes).by_address
        self.candidate_evaluator = finder.make_candidate_evaluator(project_name="x")
        """Without a specifier or hashes: its sorting key is a file's own."""
        tags = self.candidate_evaluator._supported_tags
        self.judge = Judge(tags)
        digest = hashlib.sha256("\n".join(map(str, tags)).encode("ascii")).hexdigest()
        python = finder.target_python
        self._interpreter = (python.py_version, python.py_version_info, digest)
        self.best: dict[Any, Any] = {}
        """pip's choices, or ours in their shape."""
        self._tables: dict[str, PageTable] = {}

    def evaluator_of(self, name: str, specifier: Any, hashes: Any) -> Any:
        """Return what pip's ``make_candidate_evaluator`` would, without numbering a thousand tags each time."""
        first = self.candidate_evaluator
        if specifier is None or not (
            _EVALUATOR_FIELDS <= vars(first).keys() <= _EVALUATOR_FIELDS | _EVALUATOR_RULES
        ):
            return self._finder.make_candidate_evaluator(project_name=name, specifier=specifier, hashes=hashes)
        evaluator = copy.copy(first)
        evaluator._project_name, evaluator._specifier, evaluator._hashes = name, specifier, hashes
        return evaluator

    def candidates(self, evaluator: Any, url: str, table: PageTable) -> PageCandidates:
        """Return the candidates of a page that was evaluated."""
        return PageCandidates(evaluator.project_name, url, table, self._sizes)

    def of_fresh_page(self, evaluator: Any, project_url: Any) -> tuple[str, PageTable] | None:
        """Return address and evaluation of a page that was evaluated before and need not be asked for."""
        with guarded("page %s is asked for as ever", shown(project_url.url)):
            layout = self._layout()
            if not layout.keeps:
                return None
            page = self._page(layout, self._finder._link_collector, project_url, evaluator.project_name)
            table = self._kept(layout, self._key(evaluator, page, page.digest)) if page is not None else None
            if page is not None and table is not None:
                self._run.part(Ahead).requests.passes(page.url)
                return page.url, table
        return None

    def _page(self, layout: Layout, collector: Any, link: Any, name: str) -> FreshPage | None:
        if self._run.settings.offline == "off":
            return fresh.find(self._run, layout, collector, link, name)
        from pipfast_hooks.network.offline import Offline

        self._run.note_request(link.url)
        asked = fresh.request(collector, link, name)
        return self._run.part(Offline).page(collector.session, *asked) if asked is not None else None

    def best_kept(self, name: str, specifier: Any, hashes: Any, candidates: list[Any]) -> Any:
        """Return pip's choice among the candidates that can be had without a network."""
        from pipfast_hooks.index.obtainable import Obtainable

        obtainable = self._run.part(Obtainable)
        kept = obtainable.among(self._finder._link_collector.session, name, candidates)
        evaluator = self.evaluator_of(name, specifier, hashes)
        found = None
        with guarded("the choice for %s is left to pip", name):
            found = choose(evaluator, kept)
        if found is None:
            found = evaluator.compute_best_candidate(kept)
        if found.best_candidate is not None:
            obtainable.note_choice(name, specifier, found.best_candidate, candidates)
        else:
            obtainable.note_none(name, evaluator.compute_best_candidate(candidates).best_candidate)
        return found

    def evaluate(self, evaluator: Any, page: Any) -> PageTable:
        """Return a page's evaluation, from the store if it is there. Raises OddPage: pip's own code must do it."""
        layout = self._layout()
        digest = fresh.digest_of(layout, page)
        if layout.keeps:
            self._fresh.keep(layout, page, digest)
        key = self._key(evaluator, page, digest)
        table = self._kept(layout, key)
        if table is None:
            with Warned() as warned:
                evaluation = PageEvaluation(self.judge, evaluator, self.candidate_evaluator)
                table = evaluation.table(fresh.inflated(page))
            if layout.keeps and not warned.any:
                keep_table(layout, key, table)
        self._tables[key] = table
        return table

    def _key(self, evaluator: Any, page: Any, digest: bytes) -> str:
        return note_key(digest, (
            pip.__version__, page.url, page.content_type, page.encoding, evaluator._canonical_name,
            sorted(evaluator._formats), evaluator._allow_yanked, evaluator._ignore_requires_python,
            self._interpreter,
        ))

    def _kept(self, layout: Layout, key: str) -> PageTable | None:
        if key not in self._tables and (table := find_table(layout, key)) is not None:
            self._tables[key] = table
        return self._tables.get(key)

    def _layout(self) -> Layout:
        store, session = self._run.store, self._finder._link_collector.session
        return store.nowhere if caching_adapter(session) is None else store.layout


class Finders(Part):
    """Knows the evaluated pages of each of pip's finders."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._pages: dict[Any, EvaluatedPages] = {}

    def pages_of(self, finder: Any) -> EvaluatedPages:
        """Return what is known for a finder."""
        if finder not in self._pages:
            self._pages[finder] = EvaluatedPages(self.run, finder)
        return self._pages[finder]


def _around_process_project_url(call: Call) -> Any:
    """Return a page's candidates: evaluated before, or now, with pip's answers."""
    finder, project_url, evaluator = call.instance, call["project_url"], call["link_evaluator"]
    run = current_run()
    # Pages given with --find-links name many projects: pip parses those once for all of them.
    if (
        project_url.cache_link_parsing
        or not vars(evaluator).keys() <= _KNOWN_OPTIONS
        or getattr(evaluator, "_uploaded_prior_to", None) is not None
        or not says_nothing_of_links()
    ):
        run.note_request(project_url.url)
        return call.original()
    pages = None
    with guarded("pages are left to pip"):
        pages = run.part(Finders).pages_of(finder)
    if pages is None:
        run.note_request(project_url.url)
        return call.original()
    with timed("page", name=evaluator.project_name, key=project_url.url) as facts:
        return _candidates(call, pages, facts)


def _candidates(call: Call, pages: EvaluatedPages, facts: dict[str, Any]) -> Any:
    finder, project_url, evaluator = call.instance, call["project_url"], call["link_evaluator"]
    known = pages.of_fresh_page(evaluator, project_url)
    if known is not None:
        facts["cache"] = "page"
    else:
        with fresh.accepted():
            page = fetch(finder._link_collector, project_url, evaluator.project_name)
        if page is None:
            return []
        try:
            known = page.url, pages.evaluate(evaluator, page)
        except Exception as error:
            odd = isinstance(error, OddPage)
            logger.debug("pipfast: page %s left to pip: %r", shown(page.url), error, exc_info=not odd)
    # Not while an error of ours is handled: a traceback of pip's would begin with that.
    if known is None:
        return call.original()
    url, table = known
    for detail in table.rejected:
        finder._log_skipped_link(url, LinkType.requires_python_mismatch, detail)
    return pages.candidates(evaluator, url, table).in_page_order


def _around_find_best_candidate(call: Call) -> Any:
    """Choose among the candidates of one page without making them all."""
    run = current_run()
    found = _best_candidate(call, run)
    if run.settings.offline != "off" and found.best_candidate is None:
        from pipfast_hooks.network.offline import Offline

        run.part(Offline).note_lacking(call["project_name"], str(call.get("specifier") or ""))
    return found


def _best_candidate(call: Call, run: Run) -> Any:
    only = run.settings.offline == "only"
    if not says_nothing_of_links() and not only:
        return call.original()
    name, specifier, hashes = call["project_name"], call.get("specifier"), call.get("hashes")
    pages = run.part(Finders).pages_of(call.instance)
    key = (name, specifier, hashes)
    if key in pages.best:
        return pages.best[key]
    candidates = call.instance.find_all_candidates(name)
    if only:
        pages.best[key] = pages.best_kept(name, specifier, hashes, candidates)
        return pages.best[key]
    with guarded("the choice for %s is left to pip", name):
        if (found := choose(pages.evaluator_of(name, specifier, hashes), candidates)) is not None:
            pages.best[key] = found
            return found
    return call.original()
