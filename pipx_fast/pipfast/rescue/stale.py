"""Installed packages that were built against another version."""

from __future__ import annotations

import importlib.metadata
import shlex
import site
from typing import TYPE_CHECKING

from pipfast.requirements import canonicalize_name
from pipfast.rescue.wheels import record_digest, stale
from pipfast.store.names import BUILT
from pipfast.store.notes import has_notes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast.rescue.wheels import BuiltWheel
    from pipfast.store.layout import Layout


def stale_here(layout: Layout, paths: Iterable[str] | None = None) -> dict[str, str]:
    """Return one line for each such package, and what builds it again, as arguments of a command.

    ``needy 1.0 was built against torch 1.0, and 2.0 is here`` to ``install … needy==1.0``.

    :param paths: package folders, the ones that win first; the default are the running interpreter's.
    """
    if not has_notes(layout, BUILT):
        return {}
    there: dict[str, tuple[str, str]] = {}
    for each in importlib.metadata.distributions(path=list(paths if paths is not None else package_folders())):
        name = each.metadata["Name"]
        if name and canonicalize_name(name) not in there:
            there[canonicalize_name(name)] = (each.version, record_digest(each.read_text("RECORD") or ""))
    lines: dict[str, str | None] = {}
    arguments: dict[str, str] = {}
    for built, differences in stale(layout, there):
        label = f"{built.name} {built.version}"
        # The same files may have been built against several torches: then they fit all of these.
        if not differences:
            lines[label] = None
        else:
            lines.setdefault(label, f"{label} was built against {'; '.join(differences)}")
            wanted = shlex.quote(_requirement(built))
            arguments.setdefault(label, f"install --force-reinstall --no-deps {wanted}")
    return {line: arguments[label] for label, line in sorted(lines.items()) if line is not None}


def _requirement(built: BuiltWheel) -> str:
    """Return what asks for the same source again: an index may have another project by a repository's name."""
    # Old pips take no "name @ git+file:///...".
    return built.source if "://" in built.source else f"{built.name}=={built.version}"


def package_folders() -> list[str]:
    """Return the running interpreter's package folders, the ones that win first."""
    own = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [*own, *site.getsitepackages()]
