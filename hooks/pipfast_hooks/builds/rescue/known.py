"""Distributions that pip knows of while it builds, for the policy."""

from __future__ import annotations

import importlib.metadata
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.rescue.diagnosis.import_names import modules_of
from pipfast.rescue.trust.known import InstalledDistribution, Known
from pipfast_hooks.builds.rescue.declared import failing_package
from pipfast_hooks.builds.rescue.overlay import target_sites
from pipfast_hooks.builds.rescue.source import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipfast.rescue.trust.known import FailingPackage
    from pipfast.settings import Settings
    from pipfast_hooks.builds.context import Context


def known_for(settings: Settings, context: Context, requirement: Any, declared: Sequence[str]) -> Known:
    """Return everything that may vouch for a distribution in the build of ``requirement``."""
    named = [each for each in context.requirements if each.name]
    package = _asked_for(context, requirement, failing_package(requirement, declared))
    hashes = context.hashes()
    return Known(
        package=package,
        installed=tuple(installed(context)),
        requirements=tuple(_line(each) for each in named if not each.constraint),
        constraints=tuple(_line(each) for each in named if each.constraint),
        resolved={name: version for name, version in context.resolved().items()
                  if canonicalize_name(name) != canonicalize_name(package.name)},
        hashes=hashes,
        extra=tuple(settings.extra_build_dependencies.get(canonicalize_name(package.name), ())
                    or settings.extra_build_dependencies.get(package.address, ())),
        settings=settings.extra_build_dependencies,
        require_hashes=bool(hashes) or bool(getattr(context.options, "require_hashes", False)),
    )


def _asked_for(context: Context, requirement: Any, package: FailingPackage) -> FailingPackage:
    """Return the package with what this run wants of it."""
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


def installed(context: Context) -> Iterator[InstalledDistribution]:
    """Yield the target's distributions; the first of a name is the one that is imported."""
    seen = set()
    for each in importlib.metadata.distributions(path=target_sites(context)):
        name = each.metadata["Name"]
        if not name or canonicalize_name(name) in seen:
            continue
        seen.add(canonicalize_name(name))
        record = [file.partition(",")[0] for file in (each.read_text("RECORD") or "").splitlines()]
        with suppress(Exception):
            yield InstalledDistribution(
                name, each.version, modules_of(record, each.read_text("top_level.txt") or ""),
                tuple(map(str, each.metadata.get_all("Requires-Dist") or ())),
            )
