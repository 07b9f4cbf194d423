"""Distributions that somebody trusted has named, and their versions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from pipfast.requirements import Requirement, allows, applies, canonicalize_name, joined, read_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class InstalledDistribution:
    """One distribution of the target, by its own metadata."""

    name: str
    version: str
    modules: frozenset[str] = frozenset()
    """Modules that it brings (``import_names.modules_of``): ``yaml``; in a namespace, ``google.protobuf``."""
    requires: tuple[str, ...] = ()


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


_Source: TypeAlias = Literal["setting", "user", "run", "package"]
"""Who names a distribution."""


@dataclass(frozen=True, slots=True)
class Named:
    """One distribution that somebody trusted has named."""

    name: str
    who: str
    """The end of "it is trusted because …"."""
    specifiers: tuple[str, ...] = ()
    url: str | None = None
    """The user's address for it, if it is not from an index."""
    by_setting: bool = False
    """The user's setting names it for this very package."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The requirement for one distribution."""

    requirement: str
    version: str | None = None
    installed: bool = False


class Trusted:
    """All distributions that one run names, by normalised name."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.package = known.package.name or "the package"
        self.setting_key = known.package.name or known.package.address or "PACKAGE"
        self._named: dict[str, Named] = {}
        self._resolved = {canonicalize_name(name): version for name, version in known.resolved.items()}
        self._hashes = {canonicalize_name(name): hashes for name, hashes in known.hashes.items()}
        self._installed = {canonicalize_name(each.name): each for each in known.installed}
        for requirement, who, source in self._namings():
            self._add(requirement, who, source)

    def _namings(self) -> Iterator[tuple[Requirement, str, _Source]]:
        """Yield requirement, reason and source; the user comes first."""
        known = self._known
        package = known.package
        namings: tuple[tuple[Iterable[str], str, _Source], ...] = (
            (known.extra, f"the setting extra-build-dependencies names it for {self.package}", "setting"),
            (known.requirements, "this command asks for it", "user"),
            *(((text,), f"a constraint names it: {where}" if where else "a constraint names it", "user")
              for text, where in known.constraints.items()),
            (known.resolved, "this command installs it", "run"),
            (() if package.alone else package.requires, f"{self.package} itself requires it", "package"),
            (package.build_requires, f"{self.package} declares it as a build requirement", "package"),
        )
        for texts, who, source in namings:
            for text in texts:
                requirement = read_requirement(text)
                if requirement is not None and applies(requirement.marker, package.extras):
                    yield requirement, who, source

    def _add(self, requirement: Requirement, who: str, source: _Source) -> None:
        if requirement.url and source not in ("setting", "user"):
            # An address that only a package names is not fetched from.
            return
        key = canonicalize_name(requirement.name)
        named = self._named.get(key) or Named(requirement.name, who, by_setting=source == "setting")
        self._named[key] = replace(
            named,
            specifiers=(*named.specifiers, *([str(requirement.specifier)] if requirement.specifier else [])),
            url=named.url or requirement.url,
        )

    def is_own(self, name: str) -> bool:
        """Tell whether this is the failing package, which its own build cannot require."""
        own = self._known.package.name
        return bool(own) and canonicalize_name(name) == canonicalize_name(own)

    def named(self, name: str) -> Named | None:
        """Return a distribution as somebody has named it, in any spelling."""
        return self._named.get(canonicalize_name(name))

    def requirer(self, requirement: Requirement, by: str) -> str | None:
        """Return which of the target's distributions in ``by``, with commas, requires exactly this itself."""
        wanted = (canonicalize_name(requirement.name), requirement.specifier)
        for here in filter(None, (self.installed(each.strip()) for each in by.split(","))):
            for said in filter(None, map(read_requirement, here.requires)):
                same = (canonicalize_name(said.name), said.specifier) == wanted and not said.url
                if same and applies(said.marker):
                    return here.name
        return None

    def installed(self, name: str) -> InstalledDistribution | None:
        """Return the target's distribution of this name."""
        return self._installed.get(canonicalize_name(name))

    def resolved(self, name: str) -> str | None:
        """Return the version that this run has chosen."""
        return self._resolved.get(canonicalize_name(name))

    def hashes(self, name: str) -> tuple[str, ...]:
        """Return the hashes the user gave."""
        return self._hashes.get(canonicalize_name(name), ())

    def pin(self, name: str, *further: str) -> Pin:
        """Return the requirement for a distribution: the version that this run installs or the target has.

        The target's version counts only if nothing asks for another one: then the run replaces it.

        :param further: specifiers that hold besides the namers' own.
        """
        named, here, chosen = self.named(name), self.installed(name), self.resolved(name)
        shown = named.name if named else here.name if here else name
        if named and named.url and not (here and chosen == here.version):
            return Pin(f"{shown} @ {named.url}", chosen)
        wanted = ",".join((*(named.specifiers if named else ()), *further))
        if chosen is not None:
            return Pin(f"{shown}=={chosen}", chosen, installed=here is not None and here.version == chosen)
        if here is not None and allows(wanted, here.version):
            return Pin(f"{shown}=={here.version}", here.version, installed=True)
        return Pin(f"{shown}{joined(wanted)}")
