"""Installed packages that were built against another version than is there."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pipfast.rescue.installed import installed_at, package_folders, record_of
from pipfast.rescue.wheels import BuiltWheel, stale
from pipfast.store.names import BUILT
from pipfast.store.notes import has_notes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast.store.layout import Layout


def stale_here(layout: Layout, paths: Iterable[str] | None = None) -> dict[str, str]:
    """Return a line about each such package, and the arguments of the command that builds it again.

    ``needy 1.0 was built against torch 1.0, and 2.0 is here`` to ``install … needy==1.0``.

    :param paths: package folders, the ones that win first; by default the running interpreter's.
    """
    if not has_notes(layout, BUILT):
        return {}
    found = installed_at(paths if paths is not None else package_folders())
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
