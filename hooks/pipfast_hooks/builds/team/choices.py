"""Files that pip would choose for an isolated build environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.requirements import applies, read_requirement
from pipfast_hooks.builds.source import digest_of
from pipfast_hooks.output import records
from pipfast_hooks.startup.configuration import read_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.metadata import Distribution

    from pipfast_hooks.builds.context import Context


def chosen(context: Context, name: str, specifiers: str) -> tuple[str, str] | None:
    """Return version and SHA-256 of the file that pip would take from the indexes; None if that is not known.

    Constraints of the command bear on build environments under some pips, and if they come from some places: the
    file is known if it is the same with them and without.
    """
    limits = [each for each in context.requirements
              if each.constraint and each.name and canonicalize_name(each.name) == name]
    if any(each.link is not None for each in limits):
        return None
    limited = ",".join(filter(None, (specifiers, *(str(each.specifier) for each in limits))))
    with records.held_back([]):
        found, other = (context.finder.find_best_candidate(name, SpecifierSet(each)).best_candidate
                        for each in (specifiers, limited))
        if found is None or other is None or found.link != other.link:
            return None
        digest = digest_of(found.link)
    return (str(found.version), digest) if digest else None


def has_build_constraints(context: Context) -> bool:
    """Tell whether there are constraints for build environments alone, which nothing here reads."""
    options: Any = context.options
    if getattr(options, "build_constraints", None) or os.environ.get("PIP_BUILD_CONSTRAINT"):
        return True
    values = read_values(isolated=bool(getattr(options, "isolated_mode", False)))
    return any(key.endswith(".build-constraint") for key in values)


def wanted_of(declared: Iterable[str], there: Mapping[str, Distribution]) -> dict[str, str] | None:
    """Return by name the specifiers that a build environment had to meet; None where a file was named directly.

    :param there: the environment's distributions by normalised name.
    """
    lines = [(name, text) for name, each in there.items() for text in each.requires or ()]
    extras: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    for _ in range(len(there) + 1):
        before = sum(map(len, extras.values()))
        found = {name: set() for name in there}
        for owner, text in [*(("", each) for each in declared), *lines]:
            read = read_requirement(text)
            if read is None or not applies(read.marker, extras.get(owner, ())):
                continue
            if read.url:
                return None
            name = canonicalize_name(read.name)
            extras.setdefault(name, set()).update(read.extras)
            found.setdefault(name, set()).update(map(str, read.specifier))
        # An extra brings requirements that may name further extras.
        if sum(map(len, extras.values())) == before:
            break
    return {name: ",".join(sorted(each)) for name, each in sorted(found.items())}
