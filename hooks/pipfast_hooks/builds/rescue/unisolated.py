"""Builds without isolation by the user's wish: their wheels' provenance.

pip's own cache hands such a wheel out whatever is installed by then.
"""

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
from pipfast.rescue.wheels import Visible
from pipfast_hooks.builds.rescue.overlay import target_sites
from pipfast_hooks.builds.rescue.source import source_of
from pipfast_hooks.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.metadata import Distribution

    from pipfast_hooks.builds.context import Context
    from pipfast_hooks.builds.rescue.rescue import Rescue
    from pipfast_hooks.builds.rescue.watched import Hook


class OpenBuild:
    """The build of one requirement that sees the target by the user's wish."""

    def __init__(self, rescue: Rescue) -> None:
        self._rescue = rescue
        self.folder: str | None = None
        """Where pip's cache will have the wheel; None where it keeps none."""

    def call(self, hook: Hook) -> Any:
        """Call a hook, and note what the wheel that it makes was built against."""
        result = self._rescue.call(hook)
        if hook.name == "build_wheel" and self.folder is not None and not self._rescue.is_rescued:
            with guarded("the provenance of a wheel is not noted"):
                self._note(Path(hook.kwargs["wheel_directory"], str(result)), self.folder)
        return result

    def _note(self, wheel: Path, folder: str) -> None:
        layout = self._rescue.run.store.layout
        if not layout.keeps:
            return
        there = installed_at(target_sites(self._rescue.context))
        visible = [
            _seen(name, there[name])
            for name in built_against(self._rescue.imported, there, wheels.requires_of(wheel))
            if name != canonicalize_name(self._rescue.label)
        ]
        source = source_of(self._rescue.requirement) if self._rescue.requirement.link.is_vcs else None
        wheels.note_cached(
            layout, key_of(Path(folder, wheel.name)), wheel, self._rescue.label, source or "", visible
        )


def _seen(name: str, distribution: Distribution) -> Visible:
    return Visible(name, str(distribution.version), None, record_of(distribution))


def built_against(
    imported: Iterable[str], there: Mapping[str, Distribution], requires: Iterable[str]
) -> list[str]:
    """Return the names of the distributions that a build has imported, but for build tools.

    Dependencies of another one of them are left out, unless the wheel requires them itself.

    :param imported: modules that processes of the build had imported.
    :param there: normalised name to what the target has.
    :param requires: the wheel's ``Requires-Dist``.
    """
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
    return wheels.key_of_cached("/".join(cached.parts[-5:]))


def difference(context: Context, cached: Path) -> str | None:
    """Return a sentence about the version that a wheel in pip's cache does not fit, or None if it fits."""
    if getattr(context.options, "build_isolation", True) and context.run.settings.build_rescue == "off":
        # An isolated build would miss what this one had.
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
