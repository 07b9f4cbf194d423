"""Build environment of a rescued requirement, as pip sees it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

from pip._internal.build_env import NoOpBuildEnvironment
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.rescue.environment import VARIABLES, Overlay
from pipfast.rescue.installed import installed_at
from pipfast_hooks.builds.rescue.overlay import target_sites

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipfast_hooks.builds.context import Context

_PLACES = (
    ("target_dir", "PIP_TARGET"), ("prefix_path", "PIP_PREFIX"), ("root_path", "PIP_ROOT"),
    ("use_user_site", "PIP_USER"),
)
"""pip's options for a place, and their variables: a configuration file may set them for every pip."""


class Rescued(Protocol):
    """A build that is rescued."""

    context: Context

    @property
    def overlay(self) -> Overlay | None:
        """Return the packages over the target's, if there are any."""

    def add_declared(self, requirements: tuple[str, ...]) -> None:
        """Add the requirements of the backend."""


class RescueEnvironment(NoOpBuildEnvironment):  # type: ignore[misc]
    """Build environment of one requirement in the place of pip's isolated one."""

    def __init__(self, rescue: Rescued) -> None:
        # pip's own sets only `python_executable`, since 26.2.
        self._rescue = rescue
        self._saved: list[dict[str, str | None]] = []

    @property
    def python_executable(self) -> str:
        """Return the interpreter of the hooks: the overlay's, so that installers which they start write there."""
        overlay = self._rescue.overlay
        return overlay.python if overlay is not None else sys.executable

    @property
    def lib_dirs(self) -> list[str]:
        """Return the folders of packages, the ones that win first (pip's ``check_requirements``)."""
        overlay = self._rescue.overlay
        return [*(overlay.lib_dirs() if overlay else []), *target_sites(self._rescue.context)]

    _lib_dirs = lib_dirs
    """Its name up to 25.x."""

    def check_requirements(self, reqs: Any) -> Any:
        """Return conflicts and missing requirements; the target's other versions are no conflict, but missing."""
        conflicting, missing = super().check_requirements(reqs)
        overlay = self._rescue.overlay
        own = installed_at(overlay.lib_dirs()) if overlay is not None else {}
        targets = {pair for pair in conflicting if canonicalize_name(Requirement(pair[1]).name) not in own}
        return conflicting - targets, missing | {wanted for _, wanted in targets}

    def __enter__(self) -> None:
        self._saved.append({name: os.environ.get(name) for name in VARIABLES})
        overlay = self._rescue.overlay
        if overlay is not None:
            options = self._rescue.context.options
            places = [name for option, name in _PLACES if getattr(options, option, None)]
            _set(overlay.environ(self._rescue.context.environ, places))

    def __exit__(self, *_: object) -> None:
        _set(self._saved.pop())

    def install_requirements(self, *args: Any, **kwargs: Any) -> None:
        """Add the requirements that the backend returns; pips differ in the parameters before the last two."""
        requirements = args[-2] if len(args) >= 2 else kwargs["requirements"]
        self._rescue.add_declared(tuple(requirements))


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
