"""Distributions that pip knows of while it builds, for the policy."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.rescue.installed import installed_at, modules_in
from pipfast.rescue.trust.known import InstalledDistribution, Known
from pipfast_hooks.builds.rescue.declared import failing_package
from pipfast_hooks.builds.rescue.overlay import target_sites
from pipfast_hooks.builds.rescue.source import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipfast.rescue.trust.known import FailingPackage
    from pipfast_hooks.builds.context import Context


def known_for(context: Context, requirement: Any, declared: Sequence[str]) -> Known:
    """Return everything that may vouch for a distribution in the build of ``requirement``.

    :param declared: requirements that the package declares for its build.
    """
    named = [each for each in context.requirements if each.name]
    package = _asked_for(context, requirement, failing_package(requirement, declared))
    hashes = context.hashes()
    settings = context.run.settings.extra_build_dependencies
    return Known(
        package=package,
        installed=tuple(_installed(context)),
        requirements=tuple(_line(each) for each in named if not each.constraint),
        constraints=tuple(_line(each) for each in named if each.constraint),
        resolved={name: version for name, version in context.resolved().items()
                  if canonicalize_name(name) != canonicalize_name(package.name)},
        hashes=hashes,
        extra=settings.get(canonicalize_name(package.name)) or settings.get(package.address, ()),
        settings=settings,
        require_hashes=bool(hashes) or bool(getattr(context.options, "require_hashes", False)),
    )


def _asked_for(context: Context, requirement: Any, package: FailingPackage) -> FailingPackage:
    """Return the package with its extras, address and options in this run."""
    name = canonicalize_name(package.name)
    extras = {str(extra) for each in (requirement, *context.requirements)
              if each is requirement or (each.name and canonicalize_name(each.name) == name)
              for extra in (each.extras or ())}
    return replace(
        package, extras=frozenset(extras), alone=bool(getattr(context.options, "ignore_dependencies", False)),
        address=address_of(requirement.link) if requirement.link is not None else "",
    )


def _line(requirement: Any) -> str:
    if requirement.req is not None and not requirement.req.url and requirement.link is not None:
        return f"{requirement.name} @ {requirement.link.url}"
    return str(requirement.req)


def _installed(context: Context) -> Iterator[InstalledDistribution]:
    """Yield the target's distributions but for those with unreadable metadata."""
    for each in installed_at(target_sites(context)).values():
        with suppress(Exception):
            requires = tuple(map(str, each.metadata.get_all("Requires-Dist") or ()))
            yield InstalledDistribution(each.metadata["Name"], each.version, modules_in(each), requires)
