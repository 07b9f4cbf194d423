"""pip's finder, with index pages that are evaluated once for each content.

What pip fetches, from where and in which order stays pip's, and so do its messages: under ``-v`` and
``--log``, where pip says something of every link, its own code runs.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pip
from pip._internal.index.package_finder import LinkType, PackageFinder
from pip._internal.network.session import CacheControlAdapter
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.address import shown
from pipfast.index.pages import find_table, keep_table, page_key
from pipfast.report import logger
from pipfast_hooks.builds.context import Context
from pipfast_hooks.index.candidates import BestCandidate, PageCandidates, choose
from pipfast_hooks.index.evaluation import Judge, OddPage, PageEvaluation, Warned
from pipfast_hooks.network import compressed, fresh
from pipfast_hooks.network.asked import takes_name
from pipfast_hooks.resolver.lookahead import Ahead
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pipfast.index.pages import PageTable
    from pipfast.store.layout import Layout
    from pipfast_hooks.call import Call
    from pipfast_hooks.run import Run

_VERBOSE = 15
"""pip's own level between INFO and DEBUG."""

_KNOWN_OPTIONS = {
    "_allow_yanked", "_canonical_name", "_formats", "_ignore_requires_python", "_target_python",
    "_uploaded_prior_to", "project_name",
}
"""What pip's evaluation of a link is known to depend on, besides the link."""

_EVALUATOR_FIELDS = {
    "_project_name", "_specifier", "_hashes", "_prefer_binary", "_supported_tags", "_wheel_tag_preferences",
}
_EVALUATOR_RULES = {"_allow_all_prereleases", "_release_control"}
"""What pip's choice among candidates is known to depend on; only the first three differ within a run."""

_pip_logger = logging.getLogger(PackageFinder.__module__)


@dataclass(slots=True)
class _Finder:
    """What is known for one of pip's finders."""

    candidate_evaluator: Any
    """Without a specifier or hashes: its sorting key is a file's own."""
    judge: Judge
    interpreter: tuple[Any, ...]
    best: dict[Any, BestCandidate] = field(default_factory=dict)
    tables: dict[str, PageTable] = field(default_factory=dict)
    """Evaluations of this run, by key."""


_finders: weakref.WeakKeyDictionary[Any, _Finder] = weakref.WeakKeyDictionary()


def _known(finder: Any) -> _Finder:
    known = _finders.get(finder)
    if known is None:
        evaluator = finder.make_candidate_evaluator(project_name="x")
        tags = evaluator._supported_tags
        digest = hashlib.sha256("\n".join(map(str, tags)).encode("ascii")).hexdigest()
        python = finder.target_python
        known = _finders[finder] = _Finder(
            evaluator, Judge(tags), (python.py_version, python.py_version_info, digest)
        )
    return known


def _evaluator_of(finder: Any, name: str, specifier: Any, hashes: Any) -> Any:
    """Return what pip's ``make_candidate_evaluator`` would, without numbering a thousand tags for each project."""
    first = _known(finder).candidate_evaluator
    if specifier is None or not _EVALUATOR_FIELDS <= vars(first).keys() <= _EVALUATOR_FIELDS | _EVALUATOR_RULES:
        return finder.make_candidate_evaluator(project_name=name, specifier=specifier, hashes=hashes)
    evaluator = copy.copy(first)
    evaluator._project_name, evaluator._specifier, evaluator._hashes = name, specifier, hashes
    return evaluator


def _says_nothing_of_links() -> bool:
    return not _pip_logger.isEnabledFor(_VERBOSE)


def _around_process_project_url(call: Call) -> Any:
    """Return a page's candidates: evaluated before, or now, with pip's answers."""
    project_url, evaluator = call["project_url"], call["link_evaluator"]
    # Pages given with --find-links name many projects: pip parses those once for all of them.
    if (
        project_url.cache_link_parsing
        or not vars(evaluator).keys() <= _KNOWN_OPTIONS
        or getattr(evaluator, "_uploaded_prior_to", None) is not None
        or not _says_nothing_of_links()
    ):
        return call.original()
    collector = call.instance._link_collector
    known = _of_fresh_page(call.instance, evaluator, project_url)
    if known is not None:
        return _candidates(call.instance, evaluator, *known)
    further = {"package_name": evaluator.project_name} if takes_name(cast("Any", type(collector))) else {}
    with compressed.accepted():
        page = collector.fetch_response(project_url, **further)
    if page is None:
        return []
    table: PageTable | None
    try:
        table = evaluate(call.instance, evaluator, page)
    except Exception as error:
        odd = isinstance(error, OddPage)
        logger.debug("pipfast: page %s left to pip: %r", shown(page.url), error, exc_info=not odd)
        table = None
    # Not while an error of ours is handled: a traceback of pip's would begin with that.
    return _candidates(call.instance, evaluator, page.url, table) if table is not None else call.original()


def _candidates(finder: Any, evaluator: Any, url: str, table: PageTable) -> Any:
    for detail in table.rejected:
        finder._log_skipped_link(url, LinkType.requires_python_mismatch, detail)
    return PageCandidates(evaluator.project_name, url, table).in_page_order


def _of_fresh_page(finder: Any, evaluator: Any, project_url: Any) -> tuple[str, PageTable] | None:
    """Return address and evaluation of a page that pip would find in its cache, and that was evaluated before."""
    try:
        layout = _layout(finder)
        if not layout.keeps:
            return None
        page = fresh.find(layout, finder._link_collector, project_url, evaluator.project_name)
        if page is None:
            return None
        table = _kept(finder, layout, _table_key(finder, evaluator, page, page.digest))
        if table is None:
            return None
    except Exception:
        logger.debug("pipfast: page %s is asked for as ever", shown(project_url.url), exc_info=True)
        return None
    ahead = current_run().ahead
    if ahead is not None:
        ahead.passes(page.url)
    return page.url, table


def _table_key(finder: Any, evaluator: Any, page: Any, digest: bytes) -> str:
    return page_key(digest, (
        pip.__version__, page.url, page.content_type, page.encoding, evaluator._canonical_name,
        sorted(evaluator._formats), evaluator._allow_yanked, evaluator._ignore_requires_python,
        _known(finder).interpreter,
    ))


def _kept(finder: Any, layout: Layout, key: str) -> PageTable | None:
    known = _known(finder)
    if key not in known.tables:
        table = find_table(layout, key)
        if table is None:
            return None
        known.tables[key] = table
    return known.tables[key]


def evaluate(finder: Any, evaluator: Any, page: Any) -> PageTable:
    """Return a page's evaluation, from the store if it is there."""
    known = _known(finder)
    layout = _layout(finder)
    digest = compressed.digest_of(layout, page)
    if layout.keeps:
        fresh.keep(layout, page, digest)
    key = _table_key(finder, evaluator, page, digest)
    table = _kept(finder, layout, key)
    if table is None:
        with Warned() as warned:
            evaluation = PageEvaluation(known.judge, evaluator, known.candidate_evaluator)
            table = evaluation.table(compressed.inflated(page))
        if layout.keeps and not warned.any:
            keep_table(layout, key, table)
    known.tables[key] = table
    return table


def _layout(finder: Any) -> Layout:
    adapter = finder._link_collector.session.get_adapter("https://")
    # pip's session has no caching adapter under --no-cache-dir.
    store = current_run().store
    return store.layout if isinstance(adapter, CacheControlAdapter) else store.nowhere


def _around_find_best_candidate(call: Call) -> Any:
    """Choose among the candidates of one page without making them all."""
    if not _says_nothing_of_links():
        return call.original()
    name, specifier, hashes = call["project_name"], call.get("specifier"), call.get("hashes")
    best = _known(call.instance).best
    key = (name, specifier, hashes)
    if key in best:
        return best[key]
    candidates = call.instance.find_all_candidates(name)
    try:
        found = choose(_evaluator_of(call.instance, name, specifier, hashes), candidates)
    except Exception:
        logger.debug("pipfast: the choice for %s is left to pip", name, exc_info=True)
        found = None
    if found is None:
        return call.original()
    best[key] = found
    return found


def _around_resolve(call: Call) -> Any:
    """Fetch ahead of the resolver while it runs."""
    run = current_run()
    try:
        roots = call["root_reqs"]
        run.ahead = _begin_ahead(run, call.instance, roots)
        # Neither where pip says of everything what it does.
        if run.ahead is not None and (context := run.find(Context)) is not None:
            context.begin_resolution(call.instance, roots)
    except Exception:
        logger.debug("pipfast: nothing is fetched ahead", exc_info=True)
        run.ahead = None
    resolved = False
    try:
        result = call.original()
        resolved = True
        return result
    finally:
        if run.ahead is not None:
            run.ahead.stop()
            run.ahead = None
        if (context := run.find(Context)) is not None:
            context.end_resolution(has_succeeded=resolved)


def _begin_ahead(run: Run, resolver: Any, roots: list[Any]) -> Ahead | None:
    finder = resolver.factory._finder
    adapter = finder._link_collector.session.get_adapter("https://")
    if _pip_logger.isEnabledFor(logging.DEBUG) or not isinstance(adapter, CacheControlAdapter):
        return None
    ahead = Ahead(
        finder, connections=run.settings.connections, evaluate=evaluate,
        require_hashes=resolver.factory.preparer.require_hashes, dependencies=not resolver.ignore_dependencies,
        archives=_archives(run, resolver.factory),
        ranges=_ranges(resolver.factory),
        sources=_sources(run),
        installed=resolver.factory._installed_dists,
    )
    constraints: dict[str, Any] = {}
    for each in roots:
        if each.constraint and each.req is not None:
            name = canonicalize_name(each.req.name)
            constraints[name] = constraints.get(name, SpecifierSet()) & each.req.specifier
    installed = resolver.factory._installed_dists
    for each in roots:
        if each.constraint or each.req is None or each.link is not None or not each.match_markers():
            continue
        name = canonicalize_name(each.req.name)
        if name not in installed or resolver.upgrade_strategy != "to-satisfy-only":
            hashes = each.hashes(trust_internet=False) if each.has_hash_options else None
            ahead.wants(name, each.req.specifier & constraints.get(name, SpecifierSet()), each.extras, hashes)
    return ahead


def _sources(run: Run) -> Callable[[str, Any, Path], None] | None:
    """Return what builds sources that have arrived."""
    if run.find(Context) is None:
        return None

    def build(name: str, link: Any, archive: Path) -> None:
        # Not at the top: hardly any run builds anything.
        from pipfast_hooks.builds.beside.resolution import Resolution

        run.part(Resolution).begin(name, link, archive)

    return build


def _archives(run: Run, factory: Any) -> Callable[..., None] | None:
    """Return what fetches archives ahead, if pip's own downloads will find them there."""
    downloader = factory.preparer._download
    # A seam that is not attached leaves pip's method as it is.
    if not hasattr(type(downloader).__call__, "__wrapped__"):
        return None

    def begin(
        name: str, link: Any, *, needed: bool, then: Callable[[Path], None] | None,
        described: Callable[[bytes], None],
    ) -> None:
        if not link.is_wheel:
            if factory.get_wheel_cache_entry(link, name) is not None:
                # Built before: pip takes the wheel.
                return
            context = run.find(Context)
            if context is not None and context.resolver is not None:
                from pipfast_hooks.builds.environments.runner import runner_of

                # What fills its environment takes a while to start.
                runner_of(run)
        # Not at the top: where everything is satisfied nothing is downloaded.
        from pipfast_hooks.downloads.downloader import connections_of

        def whole() -> None:
            connections_of(downloader).begin_ahead(name, link, needed=needed, then=then)

        if not (needed and run.intent.metadata_only and link.is_wheel):
            return whole()
        from pipfast_hooks.metadata import ranged

        if not ranged.is_wanted(link):
            return whole()
        ranged.of_session(downloader._session).begin(
            link, lambda found: described(found.content) if found is not None else whole()
        )

    return begin


def _ranges(factory: Any) -> Callable[[Any, Callable[[bytes], None]], None]:
    """Return what reads the metadata of a large wheel while that is on its way."""
    session = factory._finder._link_collector.session

    def begin(link: Any, described: Callable[[bytes], None]) -> None:
        # Not at the top: hardly any index has no metadata files.
        from pipfast_hooks.metadata import ranged

        if ranged.is_sooner(link):
            ranged.of_session(session).begin(
                link, lambda found: described(found.content) if found is not None else None
            )

    return begin


def _around_candidate_dependencies(call: Call) -> Any:
    """Once a candidate's requirements are known, their pages are on their way."""
    _want_dependencies(call, call.instance, ())
    return call.original()


def _around_extras_dependencies(call: Call) -> Any:
    """Likewise for what its extras require."""
    _want_dependencies(call, call.instance.base, call.instance.extras)
    return call.original()


def _want_dependencies(call: Call, base: Any, extras: Iterable[str]) -> None:
    ahead = current_run().ahead
    if ahead is None or not call["with_requires"]:
        return
    try:
        _want_all(ahead, base, extras)
    except Exception:
        logger.debug("pipfast: requirements are not known ahead", exc_info=True)


def _want_all(ahead: Ahead, base: Any, extras: Iterable[str]) -> None:
    installed = base._factory._installed_dists
    for requirement in base.dist.iter_dependencies(extras):
        name = canonicalize_name(requirement.name)
        # pip keeps what is installed and fits, and asks no index for it.
        if requirement.url is None and name not in installed:
            ahead.wants(name, requirement.specifier, requirement.extras)
