"""Builds without isolation by the user's wish: their wheels' provenance.

pip's cache alone would hand such a wheel out beside whatever is installed by then.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import logger
from pipfast.requirements import applies, read_requirement
from pipfast.rescue import wheels
from pipfast.rescue.diagnosis.import_names import modules_of, provides
from pipfast.rescue.messages import BUILD_TOOLS
from pipfast.rescue.wheels import Visible, record_digest
from pipfast_hooks.builds.rescue.overlay import target_sites
from pipfast_hooks.builds.rescue.source import installed_at, source_of

if TYPE_CHECKING:
    import importlib.metadata
    from collections.abc import Iterable, Mapping

    from pipfast_hooks.builds.context import Context
    from pipfast_hooks.builds.rescue.rescue import Rescue
    from pipfast_hooks.builds.rescue.watched import Hook
    from pipfast_hooks.run import Run


class OpenBuild:
    """The build of one requirement that sees the target because the user said so."""

    def __init__(self, rescue: Rescue) -> None:
        self._rescue = rescue
        self.folder: str | None = None
        """Where pip's cache will have the wheel; None where it keeps none."""

    def call(self, hook: Hook) -> Any:
        """Call a hook, and note what the wheel that it makes was built against."""
        result = self._rescue.call(hook)
        if hook.name == "build_wheel" and self.folder is not None and not self._rescue.is_rescued:
            try:
                self._note(Path(hook.kwargs["wheel_directory"], str(result)), self.folder)
            except Exception:
                logger.debug("pipfast: what a wheel was built against is not noted", exc_info=True)
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


def _seen(name: str, distribution: importlib.metadata.Distribution) -> Visible:
    return Visible(name, str(distribution.version), None, record_digest(distribution.read_text("RECORD") or ""))


def built_against(
    imported: Iterable[str], there: Mapping[str, importlib.metadata.Distribution], requires: Iterable[str]
) -> list[str]:
    """Return the names of the distributions that a build has imported, tools of builds aside.

    What another one of them depends on is that one's own business, unless the wheel requires it itself.

    :param imported: modules that processes of the build had imported.
    :param there: normalised name to what the target has.
    :param requires: the wheel's ``Requires-Dist``.
    """
    modules = set(imported)
    used = {name: each for name, each in there.items() if name not in BUILD_TOOLS and any(
        provides(modules_of(_paths(each), each.read_text("top_level.txt") or ""), module) for module in modules
    )}
    own = _names(requires)
    below = {below for name, each in used.items() for below in _names(each.requires or ()) if below != name}
    return sorted(name for name in used if name in own or name not in below)


def _paths(distribution: importlib.metadata.Distribution) -> list[str]:
    return [row.partition(",")[0] for row in (distribution.read_text("RECORD") or "").splitlines()]


def _names(texts: Iterable[str]) -> set[str]:
    read = [each for each in map(read_requirement, texts) if each is not None and applies(each.marker)]
    return {canonicalize_name(each.name) for each in read}


def key_of(cached: Path) -> str:
    """Return the key of the note about a wheel in pip's cache, wherever that cache lies."""
    return wheels.key_of_cached("/".join(cached.parts[-5:]))


def difference(run: Run, context: Context, cached: Path) -> str | None:
    """Return what a wheel in pip's cache was built against that is there in another version, as a sentence."""
    layout = run.store.layout
    if not layout.keeps:
        return None
    if getattr(context.options, "build_isolation", True) and run.settings.build_rescue == "off":
        # An isolated build would miss what this one had.
        return None
    built = wheels.find_cached(layout, key_of(cached), cached)
    there = installed_at(target_sites(context)) if built is not None else {}
    for each in built.visible if built is not None else ():
        here = there.get(canonicalize_name(each.name))
        if built is None or here is None or each.is_as(now := _seen(each.name, here)):
            continue
        other = f"{now.version} is here" if now.version != each.version else "another build of that is here"
        return (f"{built.name} {built.version} in pip's cache was built against {each.name} {each.version}, "
                f"and {other}: building it again")
    return None
