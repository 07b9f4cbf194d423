"""Build environments as builds saw them; notes about the team's wheels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import logger
from pipfast.rescue.installed import installed_at, record_of
from pipfast.rescue.wheels import BuiltWheel, Visible, note_built, record_of_archive
from pipfast.store.notes import note_key
from pipfast_hooks.builds.team.choices import chosen, has_build_constraints, wanted_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipfast.remote.built import TeamWheel
    from pipfast.rescue.diagnosis.causes import Cause
    from pipfast.store.layout import Layout
    from pipfast_hooks.builds.context import Context

Facts = tuple[int, int, int]
"""Size, mtime and ctime in ns of a file: the last cannot be set back."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a build saw."""

    isolated: bool
    visible: tuple[Visible, ...]
    declared: tuple[str, ...]
    wanted: Mapping[str, str]
    causes: tuple[Cause, ...] = ()


def folders_of(environment: Any) -> list[str] | None:
    """Return the package folders of pip's isolated environment; None if it has none."""
    found = getattr(environment, "lib_dirs", None) or getattr(environment, "_lib_dirs", None)
    return list(found) if found else None


def files_in(folders: Iterable[str]) -> dict[str, Facts]:
    """Return the facts of all files below some folders."""
    found = {}
    for root in dict.fromkeys(folders):
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                status = os.lstat(path)
                found[path] = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return found


def is_unchanged(before: Mapping[str, Facts]) -> bool:
    """Tell whether files are as they were; further ones, as bytecode, may have come."""
    try:
        for path, facts in before.items():
            status = os.lstat(path)
            if (status.st_size, status.st_mtime_ns, status.st_ctime_ns) != facts:
                return False
    except OSError:
        return False
    return True


def seen_in(context: Context, environment: Any, declared: tuple[str, ...]) -> Seen | None:
    """Return what a build in an isolated environment saw; None where another machine could not tell the same.

    Each distribution has to be the file that pip would choose, with its digest, by the requirements alone.
    """
    there = installed_at(folders_of(environment) or ())
    wanted = wanted_of(declared, there)
    if wanted is None or has_build_constraints(context):
        return None
    layout, visible = context.run.store.layout, []
    for name, each in sorted(there.items()):
        found = chosen(context, canonicalize_name(name), wanted.get(name, ""))
        record = record_of(each)
        if found is None or record_of_archive(layout, found[1]) != record:
            logger.debug("pipfast: nobody knows which file %s %s of a build came from", name, each.version)
            return None
        visible.append(Visible(name, str(each.version), found[1], record, needed=False))
    return Seen(True, tuple(visible), declared, wanted)


def show(layout: Layout, place: str, wheel: TeamWheel, digest: str, origin: str) -> None:
    """Note a wheel of the team's for ``store list --built``."""
    note_built(layout, note_key(f"team's store: {place}"), BuiltWheel(
        wheel.name, wheel.version, wheel.filename, digest, wheel.source, wheel.built, wheel.record, wheel.visible,
        origin,
    ))
