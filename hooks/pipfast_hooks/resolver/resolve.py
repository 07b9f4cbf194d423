"""pip's resolver, with pages, metadata and archives fetched ahead of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pip._internal.index.package_finder import PackageFinder
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import timed
from pipfast_hooks.builds.context import Context
from pipfast_hooks.guard import guarded
from pipfast_hooks.network.ahead import Ahead
from pipfast_hooks.network.asked import caching_adapter
from pipfast_hooks.resolver.lookahead import LookAhead
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast_hooks.call import Call


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
        with timed("resolve"):
            result = call.original()
        resolved = True
        return result
    finally:
        look_aheads.current = None
        if (ahead := run.find(Ahead)) is not None:
            ahead.close(0.0)
        if (context := run.find(Context)) is not None:
            context.end_resolution(has_succeeded=resolved)


def _begin(run: Run, resolver: Any, roots: list[Any]) -> LookAhead | None:
    finder, installed = resolver.factory._finder, resolver.factory._installed_dists
    says_all = logging.getLogger(PackageFinder.__module__).isEnabledFor(logging.DEBUG)
    if says_all or caching_adapter(finder._link_collector.session) is None:
        return None
    look_ahead = LookAhead(run, resolver)
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
        for requirement in _requirements(base.dist, extras):
            name = canonicalize_name(requirement.name)
            # pip keeps what is installed and fits, and asks no index for it.
            if requirement.url is None and name not in installed:
                look_ahead.wants(name, requirement.specifier, requirement.extras)


def _requirements(distribution: Any, extras: Iterable[str]) -> list[Any]:
    """Return what a distribution requires, or raise as pip's own reading will."""
    attributes: dict[str, Any] = getattr(getattr(distribution, "_dist", None), "__dict__", {})
    before = dict(attributes)
    try:
        return list(distribution.iter_dependencies(extras))
    except Exception:
        # pkg_resources keeps what it has until then, and finds nothing wrong when it is asked again.
        attributes.clear()
        attributes.update(before)
        raise
