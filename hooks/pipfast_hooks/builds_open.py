"""Builds that the user wants without isolation: their wheels are kept with all that they could see.

pip's own cache would hand such a wheel out beside whatever is installed by then.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.build import wheels
from pipfast.build.trusted import read_requirement
from pipfast.build.wheels import Visible, record_digest
from pipfast.report import logger
from pipfast_hooks import lifetime
from pipfast_hooks.builds_overlay import target_sites
from pipfast_hooks.builds_source import installed_at, source_of

if TYPE_CHECKING:
    from pipfast.store.archives import Archive
    from pipfast.store.layout import Layout
    from pipfast_hooks.builds_rescue import Hook, Rescue


class OpenBuild:
    """The build of one requirement that sees the target because the user said so."""

    def __init__(self, rescue: Rescue, layout: Layout, source: str) -> None:
        self._rescue = rescue
        self._layout = layout
        self._source = source
        self._key = wheels.key_of(source, rescue.requirement.config_settings, os.environ)
        self._visible = tuple(
            Visible(name, str(each.version), None, record_digest(each.read_text("RECORD") or ""), needed=False)
            for name, each in sorted(installed_at(target_sites(rescue.context)).items())
        )
        self._kept: tuple[wheels.BuiltWheel, Archive] | None = wheels.find(layout, self._key, self._visible)

    def run(self, hook: Hook) -> Any:
        """Answer a hook with what was built beside the same, or call it and keep what it makes."""
        if self._kept is not None and not self._rescue.is_rescued:
            return self._rescue.from_cache(hook, *self._kept)
        result = self._rescue.run(hook)
        if hook.name == "build_wheel" and not self._rescue.is_rescued:
            try:
                self._keep(Path(hook.kwargs["wheel_directory"], str(result)))
            except Exception:
                logger.debug("pipfast: a wheel that was built without isolation is not kept", exc_info=True)
        return result

    def _keep(self, wheel: Path) -> None:
        label, version = self._rescue.label, wheel.name.split("-")[1]
        wheels.keep(self._layout, self._key, wheel, label, version, self._source, self._with_needed(wheel))

    def _with_needed(self, wheel: Path) -> tuple[Visible, ...]:
        """Return what was visible; what compiled code was built against is told from its own requirements."""
        if wheel.name.endswith("-any.whl"):
            return self._visible
        texts = wheels.requires_of(wheel)
        needed = {canonicalize_name(each.name) for each in map(read_requirement, texts) if each is not None}
        return tuple(
            Visible(each.name, each.version, each.archive, each.record, each.name in needed)
            for each in self._visible
        )


def open_build(rescue: Rescue) -> OpenBuild | None:
    """Return how a requirement is built without isolation; None where nothing is kept of it."""
    layout, source = lifetime.current().layout(), source_of(rescue.requirement)
    return OpenBuild(rescue, layout, source) if layout is not None and source is not None else None
