"""Distributions that a build sees, or a cached wheel was built against."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.requirements import applies, read_requirement
from pipfast.rescue import wheels
from pipfast.rescue.diagnosis.import_names import provides
from pipfast.rescue.installed import installed_at, modules_in, record_of
from pipfast.rescue.messages import BUILD_TOOLS
from pipfast.rescue.wheels import Visible, record_of_archive
from pipfast.store.notes import note_key
from pipfast_hooks.builds.rescue.overlay import Found, target_sites
from pipfast_hooks.builds.source import source_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from importlib.metadata import Distribution

    from pipfast.store.layout import Layout
    from pipfast_hooks.builds.context import Context


def visible_from(
    names: Iterable[str], found: Sequence[Found], there: Mapping[str, Distribution], layout: Layout
) -> tuple[Visible, ...]:
    """Return the distributions of these names and all their dependencies; ``found`` wins over what is there."""
    over = {canonicalize_name(each.name): each for each in found}
    needed = {canonicalize_name(name) for name in names}
    waiting, visible = list(needed), {}
    while waiting:
        name = waiting.pop()
        if name in visible:
            continue
        here, new = there.get(name), over.get(name)
        if new is not None:
            requires: Iterable[str] = new.requires
            record = record_of_archive(layout, new.sha256) if new.sha256 else None
            if record is None and here is not None and here.version == new.version:
                record = record_of(here)
            visible[name] = Visible(name, new.version, new.sha256, record, name in needed)
        elif here is not None:
            requires = here.requires or ()
            visible[name] = Visible(name, here.version, None, record_of(here), name in needed)
        else:
            continue
        for text in requires:
            each = read_requirement(text)
            if each is not None and applies(each.marker):
                waiting.append(canonicalize_name(each.name))
    return tuple(visible[name] for name in sorted(visible))


def note_provenance(
    context: Context, requirement: Any, label: str, imported: Iterable[str], wheel: Path, folder: str
) -> None:
    """Note the distributions that a wheel for pip's cache was built against."""
    there = installed_at(target_sites(context))
    visible = [
        _seen(name, there[name])
        for name in built_against(imported, there, wheels.requires_of(wheel)) if name != canonicalize_name(label)
    ]
    source = source_of(requirement) if requirement.link.is_vcs else None
    key = key_of(Path(folder, wheel.name))
    wheels.note_cached(context.run.store.layout, key, wheel, label, source or "", visible)


def _seen(name: str, distribution: Distribution) -> Visible:
    return Visible(name, str(distribution.version), None, record_of(distribution))


def built_against(
    imported: Iterable[str], there: Mapping[str, Distribution], requires: Iterable[str]
) -> list[str]:
    """Return the distributions that a build imported, but for build tools and mere dependencies of others."""
    modules = set(imported)
    used = {name: each for name, each in there.items()
            if name not in BUILD_TOOLS and any(map(partial(provides, modules_in(each)), modules))}
    own = _names(requires)
    below = {below for name, each in used.items() for below in _names(each.requires or ()) if below != name}
    return sorted(name for name in used if name in own or name not in below)


def _names(texts: Iterable[str]) -> set[str]:
    read = [each for each in map(read_requirement, texts) if each is not None and applies(each.marker)]
    return {canonicalize_name(each.name) for each in read}


def key_of(cached: Path) -> str:
    """Return the key of the note about a wheel in pip's cache; where the cache lies does not matter."""
    # pip makes the path in its cache from the source's address and the interpreter.
    return note_key(f"pip's cache: {'/'.join(cached.parts[-5:])}")


def difference(context: Context, cached: Path) -> str | None:
    """Return a sentence about the version that a wheel in pip's cache does not fit, or None if it fits."""
    if getattr(context.options, "build_isolation", True) and context.run.settings.build_rescue == "off":
        # An isolated build would miss the modules that this one had.
        return None
    built = wheels.find_cached(context.run.store.layout, key_of(cached), cached)
    if built is None:
        return None
    there = installed_at(target_sites(context))
    for each in built.visible:
        here = there.get(canonicalize_name(each.name))
        if here is None or each.is_as(now := _seen(each.name, here)):
            continue
        other = f"{now.version} is here" if now.version != each.version else "another build of that is here"
        return (f"{built.name} {built.version} in pip's cache was built against {each.name} {each.version}, "
                f"and {other}: building it again")
    return None
