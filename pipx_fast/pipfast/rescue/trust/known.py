"""Distributions that a run knows of, and who named them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class InstalledDistribution:
    """One distribution of the target, by its own record."""

    name: str
    version: str
    modules: frozenset[str] = frozenset()
    """What it brings to import: ``yaml``; inside a namespace dotted, ``google.protobuf``.
    ``import_names.modules_of`` reads them from its RECORD."""
    requires: tuple[str, ...] = ()
    """Its ``Requires-Dist``."""


@dataclass(frozen=True, slots=True)
class FailingPackage:
    """The package whose build failed, and what it says of itself."""

    name: str
    """As the user or the index calls it; empty where nobody knows it yet (a folder, an URL)."""
    version: str = ""
    requires: tuple[str, ...] = ()
    """``Requires-Dist`` of its metadata or PKG-INFO, ``project.dependencies``; markers and all."""
    build_requires: tuple[str, ...] = ()
    """``build-system.requires``, ``setup_requires``, and what ``get_requires_for_build_*`` said."""
    extras: frozenset[str] = frozenset()
    """The extras of it that this run asks for."""
    alone: bool = False
    """Nothing that it requires is installed with it (``--no-deps``)."""
    address: str = ""
    """Where it comes from, without credentials: what the user's setting calls it where it has no name."""


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that ``policy.decide`` leans on. Names may be spelt in any way."""

    package: FailingPackage
    installed: tuple[InstalledDistribution, ...] = ()
    requirements: tuple[str, ...] = ()
    """What the user asked for, as in a requirements file: ``torch>=2``, ``torch @ https://…``."""
    constraints: tuple[str, ...] = ()
    resolved: Mapping[str, str] = field(default_factory=dict)
    """Name to the version that pip's resolver has chosen in this run, so far as it has."""
    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name to the hashes the user gave, as ``sha256:…``."""
    extra: tuple[str, ...] = ()
    """The user's ``extra-build-dependencies`` for this package."""
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All of ``extra-build-dependencies``: a hint must not take away what is set."""
    require_hashes: bool = False
