"""Distributions that a run knows of, and who named them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class InstalledDistribution:
    """One distribution of the target, by its own metadata."""

    name: str
    version: str
    modules: frozenset[str] = frozenset()
    """Modules that it brings (``import_names.modules_of``): ``yaml``; in a namespace, ``google.protobuf``."""
    requires: tuple[str, ...] = ()
    """Its ``Requires-Dist``."""


@dataclass(frozen=True, slots=True)
class FailingPackage:
    """The package whose build failed, by its own files."""

    name: str
    """Its name for the user or the index; empty if not known yet (a folder, a URL)."""
    version: str = ""
    requires: tuple[str, ...] = ()
    """``Requires-Dist`` of its metadata or PKG-INFO, ``project.dependencies``; markers and all."""
    build_requires: tuple[str, ...] = ()
    """``build-system.requires``, ``setup_requires``, and the answer of ``get_requires_for_build_*``."""
    extras: frozenset[str] = frozenset()
    """Its extras that this run asks for."""
    alone: bool = False
    """Its dependencies are not installed (``--no-deps``)."""
    address: str = ""
    """Its address without credentials: its name in the user's setting while it has no other."""


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that ``policy.decide`` asks. Names may be spelt in any way."""

    package: FailingPackage
    installed: tuple[InstalledDistribution, ...] = ()
    requirements: tuple[str, ...] = ()
    """The user's requirements, as in a requirements file: ``torch>=2``, ``torch @ https://…``."""
    constraints: Mapping[str, str] = field(default_factory=dict)
    """The user's constraints, and where each stands: ``constraints.txt, line 1``, or nothing."""
    resolved: Mapping[str, str] = field(default_factory=dict)
    """Name to the version that pip's resolver has chosen in this run; empty before."""
    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name to the user's hashes, as ``sha256:…``."""
    extra: tuple[str, ...] = ()
    """The user's ``extra-build-dependencies`` for this package."""
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All of ``extra-build-dependencies``: a hint repeats the present setting."""
    require_hashes: bool = False
