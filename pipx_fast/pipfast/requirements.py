"""Names, requirements and specifiers, read by ``packaging``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipfast import dependencies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.markers import Marker
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import canonicalize_name
else:
    _packaging = dependencies.load("packaging", "requirements", "specifiers", "utils")
    InvalidRequirement = _packaging.requirements.InvalidRequirement
    Requirement = _packaging.requirements.Requirement
    InvalidSpecifier = _packaging.specifiers.InvalidSpecifier
    SpecifierSet = _packaging.specifiers.SpecifierSet
    canonicalize_name = _packaging.utils.canonicalize_name

__all__ = (
    "Requirement", "SpecifierSet", "allows", "applies", "canonicalize_name", "joined", "may_allow", "name_of",
    "read_requirement",
)


def read_requirement(text: str) -> Requirement | None:
    """Return a requirement, or None for a path, an option or an address without a name."""
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def name_of(text: str) -> str | None:
    """Return the name in a requirement that applies here, normalised; else None."""
    read = read_requirement(text)
    return canonicalize_name(read.name) if read is not None and applies(read.marker) else None


def applies(marker: Marker | None, extras: Iterable[str] = ()) -> bool:
    """Tell whether a marker holds here, without an extra or with one of these."""
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def allows(specifiers: str, version: str) -> bool:
    """Tell whether a version is within specifiers; specifiers that cannot be read refuse none."""
    try:
        return SpecifierSet(specifiers).contains(version, prereleases=True)
    except (InvalidSpecifier, ValueError):
        return True


def may_allow(specifiers: str) -> bool:
    """Tell whether there may be a version within specifiers: no, if they contradict each other.

    It is tried with the versions that stand in them, some just above these, and the lowest.
    """
    try:
        clauses = SpecifierSet(specifiers)
    except InvalidSpecifier:
        return True
    named = [each.version.removesuffix(".*") for each in clauses]
    tried = ["0", *named, *(f"{each}.0.1" for each in named)]
    return any(each.operator == "===" for each in clauses) or any(_contains(clauses, each) for each in tried)


def _contains(clauses: SpecifierSet, version: str) -> bool:
    try:
        return clauses.contains(version, prereleases=True)
    except ValueError:
        # E.g. `1.0rc1.0.1`.
        return False


def joined(specifiers: str) -> str:
    """Return specifiers without repetitions, in their order."""
    return ",".join(dict.fromkeys(each.strip() for each in specifiers.split(",") if each.strip()))
