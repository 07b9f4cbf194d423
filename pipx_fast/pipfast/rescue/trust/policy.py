"""Policy: a trusted distribution for a missing module, or a refusal.

No distribution is guessed from a module's name. In this order:

1. distributions of the target, of this run's requirements and constraints, of the failing package's metadata; that
   one brings the module is known from its own record, from the reviewed table, or from the same name;
2. distributions of the reviewed table of import names, as wheels only;
3. none: a refusal, with the setting that would allow one.

Pure: nothing is read or run here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipfast.extra_builds import to_be_set
from pipfast.requirements import SpecifierSet, allows, canonicalize_name, joined, read_requirement
from pipfast.rescue.diagnosis.causes import Cause, MissingDistribution, MissingModule, NeedsOlderSetuptools
from pipfast.rescue.diagnosis.import_names import namespaces, provides, reviewed, reviewed_distribution
from pipfast.rescue.trust.trusted import Known, Trusted

if TYPE_CHECKING:
    from pipfast.settings import BuildRescue

_SETUPTOOLS = tuple(
    "81.0.0 80.10.2 80.9.0 79.0.1 78.1.1 75.8.2 72.2.0 70.3.0 69.5.1 68.2.2 67.8.0 65.7.0 63.4.3 60.10.0 59.8.0 "
    "57.5.0 54.2.0 51.3.3 50.3.2 49.6.0 46.4.0 45.3.0 44.1.1 41.6.0 40.9.0 40.8.0 39.2.0 38.7.0 36.8.0".split()
)
"""Releases from all times, to tell whether specifiers leave any at all."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One distribution that may be put beside a build."""

    requirement: str
    """For pip: ``torch==2.13.0+cpu``, ``torch @ https://…``; the user's constraints hold as well."""
    name: str
    """The distribution's name in the namer's spelling."""
    module: str
    """The module that the build missed."""
    why: str
    """The reason for the trust: a sentence without its full stop."""
    installed: bool = False
    """The target has it: nothing is fetched."""
    wheels_only: bool = False
    """It comes from the reviewed table, and nobody else has named it: no source distribution of it is taken."""
    chosen: bool = False
    hashes: tuple[str, ...] = ()
    """Under ``--require-hashes``: its archive has one of them; empty if nothing is fetched."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nobody trusted has named a distribution that brings the module."""

    module: str
    reason: str
    """The end of the sentence "the build needs it, and …"."""
    hint: str | None = None
    """The exact setting that would allow it, if there is one."""


def decide(cause: Cause, known: Known, mode: BuildRescue) -> Grant | Refusal:
    """Return the distribution that brings the missing module, at the version this run has or installs."""
    if mode == "off":
        return Refusal(cause.subject, "PIPFAST_BUILD_RESCUE is off")
    trusted = Trusted(known)
    if isinstance(cause, MissingModule):
        found = _for_module(cause.module, trusted, known, mode)
    elif isinstance(cause, MissingDistribution):
        found = _for_distribution(cause, trusted, known, mode)
    else:
        found = _for_setuptools(cause, trusted, known, mode)
    return _with_hashes(found, trusted, known)


def extra_grants(known: Known) -> tuple[Grant | Refusal, ...]:
    """Return the grants of ``extra-build-dependencies`` for this package's build, from its start."""
    trusted = Trusted(known)
    named = [trusted.named(requirement.name) for requirement in map(read_requirement, known.extra) if requirement]
    return tuple(
        _with_hashes(_grant(each.name, each.name, each.who, trusted), trusted, known) for each in named if each
    )


def _grant(name: str, module: str, why: str, trusted: Trusted, *further: str, wheels_only: bool = False) -> Grant:
    pin, named = trusted.pin(name, *further), trusted.named(name)
    return Grant(
        pin.requirement, named.name if named else name, module, why, pin.installed, wheels_only,
        pin.version is not None and not pin.installed,
    )


def _for_module(module: str, trusted: Trusted, known: Known, mode: BuildRescue) -> Grant | Refusal:
    row = reviewed(module)
    candidates = [*([row] if row else []), *_with_the_same_name(module)]
    if any(map(trusted.is_own, candidates)):
        return Refusal(module, f"{trusted.package} would have to be built to build it")
    found = [named for named in map(trusted.named, candidates) if named is not None]
    # The user's setting for this very package comes before all records.
    for named in found:
        if named.by_setting:
            return _grant(named.name, module, named.who, trusted)
    for installed in sorted(known.installed, key=lambda each: (trusted.named(each.name) is None, each.name)):
        if provides(installed.modules, module) and not trusted.is_own(installed.name):
            why = f"the environment has it, and its own record lists {module}"
            return _grant(installed.name, module, why, trusted)
    if found:
        same = canonicalize_name(found[0].name) == canonicalize_name(module)
        why = found[0].who if same else f"{found[0].who}, and the reviewed table gives {module} to it"
        return _grant(found[0].name, module, why, trusted)
    if row is None:
        return _refused(module, known, None, f"pipfast does not know which distribution brings {module}")
    if mode != "on":
        return _refused(module, known, row, f"pipfast may not add {row} (build-rescue = named)")
    why = f"the reviewed table of import names gives {module} to {row}"
    return _grant(row, module, why, trusted, wheels_only=True)


def _with_the_same_name(module: str) -> list[str]:
    """Return a module's name and those of its packages, as names of distributions; never a namespace's."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    if parts[0] not in namespaces():
        return names[-1:]
    return [name for name in names if name not in namespaces()]


def _for_distribution(
    cause: MissingDistribution, trusted: Trusted, known: Known, mode: BuildRescue
) -> Grant | Refusal:
    requirement = read_requirement(cause.requirement)
    if requirement is None or requirement.url:
        return Refusal(cause.requirement, "that is no requirement that an index could answer")
    name, specifier = requirement.name, str(requirement.specifier)
    if trusted.is_own(name):
        return Refusal(name, f"{trusted.package} would have to be built to build it")
    named, here, row = trusted.named(name), trusted.installed(name), reviewed_distribution(name)
    wheels_only = False
    if named is not None:
        why = named.who
    elif here is not None:
        why = "the environment has it"
    elif requirer := trusted.requirer(requirement, cause.by):
        why = f"{requirer}, which the environment has, requires it"
    elif row is not None and mode == "on":
        wheels_only, why = True, "the build asks for it by its name, and the reviewed table has it"
    else:
        may_not = f"pipfast may not add {name} (build-rescue = named)"
        reason = may_not if row is not None else "pipfast adds nothing that only a message of a build names"
        return _refused(name, known, name, reason)
    version = trusted.resolved(name) or (here.version if here is not None and named is None else None)
    if version is not None and not allows(specifier, version):
        return Refusal(name, f"it wants {cause.requirement} where this run has {name} {version}")
    return _grant(name, name, why, trusted, *([specifier] if specifier else []), wheels_only=wheels_only)


def _for_setuptools(
    cause: NeedsOlderSetuptools, trusted: Trusted, known: Known, mode: BuildRescue
) -> Grant | Refusal:
    """Return a setuptools that still has the module, for this build alone: the target may have another."""
    name, below = "setuptools", f"<{cause.below}"
    named, here = trusted.named(name), trusted.installed(name)
    if named is None and here is None and mode != "on":
        reason = f"pipfast may not add {name}{below} (build-rescue = named)"
        return _refused(cause.module, known, f"{name}{below}", reason)
    who = named.who if named else "the environment has it" if here else "the reviewed table of import names has it"
    why, wheels_only = f"{who}, and below {cause.below} it has {cause.module}", not (named or here)
    specifiers = ",".join(named.specifiers) if named else ""
    for version in (trusted.resolved(name), here.version if here else None):
        if version is not None and allows(f"{specifiers},{below}".strip(","), version):
            installed = here is not None and here.version == version
            return Grant(f"{name}=={version}", name, cause.module, why, installed, wheels_only)
    wanted = joined(f"{specifiers},{below}")
    own = [each.version for each in SpecifierSet(wanted) if each.operator in ("==", "===")]
    if not any(allows(wanted, version) for version in (*_SETUPTOOLS, *own)):
        return Refusal(cause.module, f"that needs {name}{below} where this run asks for {name}{wanted}")
    return Grant(f"{name}{wanted}", name, cause.module, why, wheels_only=wheels_only)


def _with_hashes(found: Grant | Refusal, trusted: Trusted, known: Known) -> Grant | Refusal:
    if isinstance(found, Refusal) or not known.require_hashes or found.installed:
        return found
    hashes = trusted.hashes(found.name)
    if found.wheels_only or not hashes:
        reason = f"{found.name}, which would bring it, needs a hash under --require-hashes"
        return Refusal(found.module, reason, f"add {found.name} with its hashes to the requirements")
    return replace(found, hashes=hashes)


def _refused(module: str, known: Known, distribution: str | None, reason: str) -> Refusal:
    # No index can have dots as a name: a setting with them fetches nothing.
    command = to_be_set(Trusted(known).setting_key, distribution or "...", known.settings)
    if distribution is None:
        hint = "if you know which one, put its name in the place of the dots, and try again"
        return Refusal(module, reason, f"{hint}:\n  {command}")
    return Refusal(module, reason, f"if you trust {distribution}, run this and try again:\n  {command}")
