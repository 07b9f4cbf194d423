"""Installed distributions by name, with their records and modules."""

from __future__ import annotations

import shlex
import site
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.requirements import canonicalize_name
from pipfast.rescue.diagnosis.import_names import modules_of
from pipfast.rescue.wheels import BuiltWheel, record_digest, stale
from pipfast.store.names import BUILT
from pipfast.store.notes import has_notes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast.store.layout import Layout


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


def was_installed_since(distribution: Distribution, when: float) -> bool:
    """Tell whether a distribution's RECORD, which is written when it is installed, is newer than a time."""
    try:
        return Path(str(getattr(distribution, "_path", "")), "RECORD").stat().st_mtime > when
    except OSError:
        return False


def modules_in(distribution: Distribution) -> frozenset[str]:
    """Return the modules that a distribution brings, by its own record."""
    paths = [row.partition(",")[0] for row in (distribution.read_text("RECORD") or "").splitlines()]
    return modules_of(paths, distribution.read_text("top_level.txt") or "")


def stale_here(layout: Layout, paths: Iterable[str] | None = None) -> dict[str, str]:
    """Return a line about each such package, and the arguments of the command that builds it again.

    ``needy 1.0 was built against torch 1.0, and 2.0 is here`` to ``install … needy==1.0``.

    :param paths: package folders, the ones that win first; by default the running interpreter's.
    """
    if not has_notes(layout, BUILT):
        return {}
    own = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    found = installed_at([*own, *site.getsitepackages()] if paths is None else paths)
    there = {name: (each.version, record_of(each)) for name, each in found.items()}
    lines: dict[str, str | None] = {}
    arguments: dict[str, str] = {}
    for built, differences in stale(layout, there):
        label = f"{built.name} {built.version}"
        # Builds against several torches may have made the same files, which then fit all of these.
        if not differences:
            lines[label] = None
        else:
            lines.setdefault(label, f"{label} was built against {'; '.join(differences)}")
            wanted = shlex.quote(_requirement(built))
            arguments.setdefault(label, f"install --force-reinstall --no-deps {wanted}")
    return {line: arguments[label] for label, line in sorted(lines.items()) if line is not None}


def _requirement(built: BuiltWheel) -> str:
    """Return the requirement for the same source; an index may have another project of a repository's name."""
    # Old pips take no "name @ git+file:///...".
    return built.source if "://" in built.source else f"{built.name}=={built.version}"
