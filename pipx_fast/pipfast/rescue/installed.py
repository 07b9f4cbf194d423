"""Installed distributions by name, with their records and modules."""

from __future__ import annotations

import site
from importlib.metadata import Distribution, distributions
from typing import TYPE_CHECKING

from pipfast.requirements import canonicalize_name
from pipfast.rescue.diagnosis.import_names import modules_of
from pipfast.rescue.wheels import record_digest

if TYPE_CHECKING:
    from collections.abc import Iterable


def package_folders() -> list[str]:
    """Return the running interpreter's package folders, the ones that win first."""
    own = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [*own, *site.getsitepackages()]


def installed_at(folders: Iterable[str]) -> dict[str, Distribution]:
    """Return normalised name to distribution; the first of a name is the one that is imported."""
    there: dict[str, Distribution] = {}
    for each in distributions(path=list(folders)):
        if name := each.metadata["Name"]:
            there.setdefault(canonicalize_name(name), each)
    return there


def record_of(distribution: Distribution) -> str:
    """Return the ``record_digest`` of an installed distribution."""
    return record_digest(distribution.read_text("RECORD") or "")


def modules_in(distribution: Distribution) -> frozenset[str]:
    """Return the modules that a distribution brings, by its own record."""
    paths = [row.partition(",")[0] for row in (distribution.read_text("RECORD") or "").splitlines()]
    return modules_of(paths, distribution.read_text("top_level.txt") or "")
