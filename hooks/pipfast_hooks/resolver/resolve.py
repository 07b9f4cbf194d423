"""pip's resolver, with pages, metadata and archives fetched ahead of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pip._internal.index.package_finder import PackageFinder
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

from pipfast_hooks.attach import is_attached
from pipfast_hooks.builds.context import Context
from pipfast_hooks.guard import guarded
from pipfast_hooks.network.ahead import Ahead
from pipfast_hooks.network.fresh import caching_adapter
from pipfast_hooks.resolver.lookahead import LookAhead
from pipfast_hooks.run import Part, current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pipfast_hooks.call import Call
    from pipfast_hooks.run import Run


class LookAheads(Part):
    """The look-ahead of the resolution under way."""

    current: LookAhead | None = None


def _around_resolve(call: Call) -> Any:
    """Fetch ahead of the resolver while it runs."""
    run = current_run()
    look_aheads = run.part(LookAheads)
    look_aheads.current = None
    with guarded("nothing is fetched ahead"):
        roots = call["root_reqs"]
        look_aheads.current = _begin(run, call.instance, roots)
        # Nothing is built ahead either where pip logs all that it does.
        if look_aheads.current is not None and (context := run.find(Context)) is not None:
            context.begin_resolution(call.instance, roots)
    resolved = False
    try:
        result = call.original()
        resolved = True
        return result
    finally:
        look_aheads.current = None
        if (ahead := run.find(Ahead)) is not None:
            ahead.end()
        if (context := run.find(Context)) is not None:
            context.end_resolution(has_succeeded=resolved)


def _begin(run: Run, resolver: Any, roots: list[Any]) -> LookAhead | None:
    """Begin to look ahead; None where pip logs all that it does, or has no cache."""
    factory = resolver.factory
    finder, installed = factory._finder, factory._installed_dists
    says_all = logging.getLogger(PackageFinder.__module__).isEnabledFor(logging.DEBUG)
    if says_all or caching_adapter(finder._link_collector.session) is None:
        return None
    look_ahead = LookAhead(
        run, finder,
        require_hashes=factory.preparer.require_hashes, dependencies=not resolver.ignore_dependencies,
        archives=_archives(run, factory), ranges=_ranges(run, factory), sources=_sources(run), installed=installed,
    )
    constraints: dict[str, Any] = {}
    for each in roots:
        if each.constraint and each.req is not None:
            name = canonicalize_name(each.req.name)
            constraints[name] = constraints.get(name, SpecifierSet()) & each.req.specifier
    for each in roots:
        if each.constraint or each.req is None or each.link is not None or not each.match_markers():
            continue
        name = canonicalize_name(each.req.name)
        if name not in installed or resolver.upgrade_strategy != "to-satisfy-only":
            hashes = each.hashes(trust_internet=False) if each.has_hash_options else None
            specifier = each.req.specifier & constraints.get(name, SpecifierSet())
            look_ahead.wants(name, specifier, each.extras, hashes)
    return look_ahead


def _sources(run: Run) -> Callable[[str, Any, Path], None] | None:
    """Return a function that builds sources that have arrived."""
    if run.find(Context) is None:
        return None

    def build(name: str, link: Any, archive: Path) -> None:
        # Not at the top: hardly any run builds anything.
        from pipfast_hooks.builds.beside.resolution import Resolution

        run.part(Resolution).begin(name, link, archive)

    return build


def _archives(run: Run, factory: Any) -> Callable[..., None] | None:
    """Return a function that fetches archives ahead, if pip's own downloads will find them there."""
    downloader = factory.preparer._download
    # A seam that is not attached leaves pip's method as it is.
    if not is_attached(type(downloader).__call__):
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

                # The process that fills its environment takes a while to start.
                runner_of(run)
        # Not at the top: where everything is satisfied nothing is downloaded.
        from pipfast_hooks.downloads.connections import Sessions

        def whole() -> None:
            run.part(Sessions).of(downloader).begin_ahead(name, link, needed=needed, then=then)

        if not (needed and run.intent.metadata_only and link.is_wheel):
            return whole()
        from pipfast_hooks.metadata.ranged import RangedMetadata

        ranged = run.part(RangedMetadata)
        if not ranged.is_wanted(link):
            return whole()
        ranged.begin(
            downloader._session, link,
            lambda found: described(found.content) if found is not None else whole(),
        )

    return begin


def _ranges(run: Run, factory: Any) -> Callable[[Any, Callable[[bytes], None]], None]:
    """Return a function that reads the metadata of a large wheel while that is on its way."""
    session = factory._finder._link_collector.session

    def begin(link: Any, described: Callable[[bytes], None]) -> None:
        # Not at the top: few indexes have no metadata files.
        from pipfast_hooks.metadata.ranged import RangedMetadata

        ranged = run.part(RangedMetadata)
        if ranged.is_sooner(link):
            ranged.begin(session, link, lambda found: described(found.content) if found is not None else None)

    return begin


def _around_candidate_dependencies(call: Call) -> Any:
    """Begin to fetch the pages of a candidate's requirements."""
    _want_dependencies(current_run(), call.instance, (), call)
    return call.original()


def _around_extras_dependencies(call: Call) -> Any:
    """Begin to fetch the pages of an extra's requirements."""
    _want_dependencies(current_run(), call.instance.base, call.instance.extras, call)
    return call.original()


def _want_dependencies(run: Run, base: Any, extras: Iterable[str], call: Call) -> None:
    look_ahead = run.part(LookAheads).current
    if look_ahead is None or not call["with_requires"]:
        return
    with guarded("requirements are not known ahead"):
        installed = base._factory._installed_dists
        for requirement in base.dist.iter_dependencies(extras):
            name = canonicalize_name(requirement.name)
            # pip keeps what is installed and fits, and asks no index for it.
            if requirement.url is None and name not in installed:
                look_ahead.wants(name, requirement.specifier, requirement.extras)
