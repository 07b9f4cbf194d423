"""Place of a rescued build; distributions that may vouch for it."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import logger
from pipfast.requirements import name_of
from pipfast.rescue import wheels
from pipfast.rescue.diagnosis.import_names import provides
from pipfast.rescue.installed import installed_at, modules_in, was_installed_since
from pipfast.rescue.messages import undeclared_of
from pipfast.rescue.trust.trusted import FailingPackage, InstalledDistribution, Known
from pipfast_hooks.builds.rescue.declared import failing_package
from pipfast_hooks.builds.rescue.overlay import Found, Wanted, make, resolve, target_sites
from pipfast_hooks.builds.rescue.source import visible_from
from pipfast_hooks.builds.source import address_of
from pipfast_hooks.guard import guarded
from pipfast_hooks.startup.configuration import read_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pipfast.remote.built import TeamWheel
    from pipfast.remote.signing import Head
    from pipfast.rescue.diagnosis.causes import Cause
    from pipfast.rescue.environment import Overlay
    from pipfast.rescue.trust.policy import Grant
    from pipfast.rescue.wheels import BuiltWheel, Visible
    from pipfast.store.archives import Archive
    from pipfast.store.layout import Layout
    from pipfast_hooks.builds.context import Context
    from pipfast_hooks.builds.rescue.watched import Hook
    from pipfast_hooks.builds.team.record import Facts, Seen


class Place:
    """Distributions that the build of one requirement sees, or an earlier wheel that was built beside them."""

    def __init__(self, context: Context, requirement: Any) -> None:
        self.context = context
        self.requirement = requirement
        self.source: str | None = None
        self.clear()
        self._overlays: list[Overlay] = []

    def clear(self) -> None:
        """Forget everything but the source."""
        self.grants: list[Grant] = []
        self.overlay: Overlay | None = None
        self.earlier: tuple[BuiltWheel, Archive] | None = None
        self.may_be_earlier = False
        """The grants are known from the start, so that an earlier wheel may have been built with them."""
        self._asked: tuple[str, ...] = ()
        self._found: list[Found] = []
        self._files: dict[str, Facts] = {}
        """The overlay's, before any hook has run beside it."""

    @property
    def declared(self) -> tuple[str, ...]:
        """Return the build requirements that the package declares, by file and by hook."""
        return tuple(dict.fromkeys((*(self.requirement.pyproject_requires or ()), *self._asked)))

    def ask(self, requirements: tuple[str, ...]) -> None:
        """Note requirements of the backend."""
        self._asked = tuple(dict.fromkeys((*self._asked, *requirements)))

    def known(self) -> Known:
        """Return everything that may vouch for a distribution in this build."""
        return known_for(self.context, self.requirement, self.declared)

    def settle(self) -> None:
        """Find a wheel of these grants, or make the overlay to build one; OverlayFailed: neither can be had."""
        self.earlier = self._look_up()
        if self.earlier is None:
            self.build_overlay()

    def build_overlay(self) -> None:
        """Make an overlay with everything declared and granted, unless there is one."""
        wanted = self._wanted(self.declared)
        found = resolve(self.context, wanted)
        if self.overlay is not None and found == self._found:
            return
        compiled = any(not each.wheels_only for each in self.grants)
        self.overlay = make(self.context, found, wanted, compiled=compiled)
        self._overlays.append(self.overlay)
        self._found = found
        if self.context.run.settings.remote_write:
            from pipfast_hooks.builds.team.record import files_in

            self._files = files_in(self.overlay.lib_dirs())

    def _wanted(self, declared: tuple[str, ...]) -> Wanted:
        name = str(self.requirement.name or "")
        return Wanted(
            declared=declared,
            granted=tuple(each.requirement for each in self.grants),
            wheels_only=frozenset(canonicalize_name(each.name) for each in self.grants if each.wheels_only),
            pins={each: version for each, version in self.context.resolved().items()
                  if canonicalize_name(each) != canonicalize_name(name)},
            excluded=name,
            hashes=self.context.hashes() if any(each.hashes for each in self.grants) else {},
        )

    def version_of(self, grant: Grant) -> str | None:
        """Return the version of a grant in the overlay, if it is there."""
        return next((each.version for each in self._found
                     if canonicalize_name(each.name) == canonicalize_name(grant.name)), None)

    def is_decided_otherwise(self) -> bool:
        """Tell whether the resolver has chosen another version of anything that the build sees."""
        decided = {canonicalize_name(name): version for name, version in self.context.resolved().items()}
        return any(decided.get(canonicalize_name(each.name), each.version) != each.version
                   for each in self._visible())

    def _visible(self) -> tuple[Visible, ...]:
        return self._visible_from([each.name for each in self.grants], self._found)

    def _visible_from(self, names: Iterable[str], found: Sequence[Found]) -> tuple[Visible, ...]:
        paths = [*(self.overlay.lib_dirs() if self.overlay else []), *target_sites(self.context)]
        return visible_from(names, found, installed_at(paths), self.context.run.store.layout)

    def _key(self) -> str:
        assert self.source is not None
        return wheels.key_of(self.source, self.requirement.config_settings, os.environ)

    def _look_up(self) -> tuple[BuiltWheel, Archive] | None:
        layout = self.context.run.store.layout
        if not self.may_be_earlier or self.source is None:
            return None
        if wheels.has(layout, self._key()):
            wanted = self._wanted(())
            self._found = [] if all(each.installed for each in self.grants) else resolve(self.context, wanted)
            if (found := wheels.find(layout, self._key(), self._visible())) is not None:
                return found
        with guarded("no wheel is taken from the team's store"):
            return self._look_up_team()
        return None

    def wheels_of_team(self) -> Iterator[tuple[str, Head, TeamWheel]]:
        """Yield the team's wheels of rescued builds of this source, for this interpreter and these variables."""
        run = self.context.run
        if run.settings.remote is None or self.source is None:
            return
        from pipfast_hooks.builds.team.part import team_of

        if (team := team_of(run)) is not None:
            yield from team.wheels(team.place(self.source, self.requirement.config_settings), isolated=False)

    def _look_up_team(self) -> tuple[BuiltWheel, Archive] | None:
        """Return a wheel that another machine has built beside what a build here would see, and keep it."""
        run = self.context.run
        for name, head, wheel in self.wheels_of_team():
            from pipfast_hooks.builds.team.part import Team, origin_of

            names = [each.name for each in wheel.visible]
            found = resolve(self.context, self._wanted(wheel.declared))
            visible = self._visible_from(names, found)
            if not wheel.is_beside(visible):
                continue
            archive = run.part(Team).fetch(name, head, wheel)
            if archive is None:
                return None
            self._found = found
            built = wheels.BuiltWheel(
                wheel.name, wheel.version, wheel.filename, head.sha256, wheel.source, wheel.built, wheel.record,
                self._visible(), origin_of(wheel),
            )
            wheels.note_built(run.store.layout, self._key(), built)
            return built, archive
        return None

    def seen(self, since: float, imported: Iterable[str], causes: tuple[Cause, ...]) -> Seen | None:
        """Return what a build here saw; None if none was made, or a package was installed since then."""
        # Not at the top: hardly anybody has a team's store.
        from pipfast_hooks.builds.team.record import Seen, is_unchanged

        if self.earlier is not None:
            return None
        there = installed_at(target_sites(self.context))
        if any(was_installed_since(each, since) for each in there.values()):
            return None
        folders = self.overlay.lib_dirs() if self.overlay else []
        if self.overlay is not None and not is_unchanged(self._files):
            return None
        all_there = installed_at([*folders, *target_sites(self.context)])
        names = [*(each.name for each in self.grants), *filter(None, map(name_of, self.declared)),
                 *(name for name, each in all_there.items()
                   if any(provides(modules_in(each), module) for module in set(imported)))]
        visible = self._visible_from(names, self._found)
        return Seen(False, visible, self.declared, {}, causes)

    def keep(self, layout: Layout, wheel: Path, label: str) -> None:
        """Keep a wheel that was built here, with the distributions that its build saw."""
        wheels.keep(layout, self._key(), wheel, label, str(self.source), self._visible())

    def undeclared(self) -> list[str]:
        """Return the distributions that the build needed and nobody installs."""
        requires = known_for(self.context, self.requirement, ()).package.requires
        there = {*installed_at(target_sites(self.context)), *self.context.resolved()}
        return undeclared_of(self.grants, requires, there)

    def close(self) -> None:
        """Remove the overlays."""
        for each in self._overlays:
            shutil.rmtree(each.root, ignore_errors=True)
        self._overlays.clear()


def answer_from(hook: Hook, built: BuiltWheel, archive: Archive, label: str) -> Any:
    """Return a hook's answer for an earlier wheel, and put its metadata or the wheel where the hook would."""
    if hook.stage == "requires":
        return []
    if hook.stage == "metadata":
        folder = hook.kwargs["metadata_directory"]
        with zipfile.ZipFile(archive.path) as wheel:
            members = [name for name in wheel.namelist() if name.partition("/")[0].endswith(".dist-info")]
            wheel.extractall(folder, members)
        return members[0].partition("/")[0]
    shutil.copyfile(archive.path, os.path.join(hook.kwargs["wheel_directory"], built.filename))
    beside = ", ".join(f"{each.name} {each.version}" for each in built.visible if each.needed)
    logger.info("  pipfast: using the wheel of %s that was built against %s", label, beside or "the same")
    return built.filename


def known_for(context: Context, requirement: Any, declared: Sequence[str]) -> Known:
    """Return everything that may vouch for a distribution in the build of ``requirement``."""
    named = [each for each in context.requirements if each.name]
    package = _asked_for(context, requirement, failing_package(requirement, declared))
    hashes = context.hashes()
    settings = context.run.settings.extra_build_dependencies
    return Known(
        package=package,
        installed=tuple(_installed(context)),
        requirements=tuple(_line(each) for each in named if not each.constraint),
        constraints={_line(each): _standing(each, context) for each in named if each.constraint},
        resolved={name: version for name, version in context.resolved().items()
                  if canonicalize_name(name) != canonicalize_name(package.name)},
        hashes=hashes,
        extra=settings.get(canonicalize_name(package.name)) or settings.get(package.address, ()),
        settings=settings,
        require_hashes=bool(hashes) or bool(getattr(context.options, "require_hashes", False)),
    )


def _asked_for(context: Context, requirement: Any, package: FailingPackage) -> FailingPackage:
    name = canonicalize_name(package.name)
    extras = {str(extra) for each in (requirement, *context.requirements)
              if each is requirement or (each.name and canonicalize_name(each.name) == name)
              for extra in (each.extras or ())}
    return replace(
        package, extras=frozenset(extras), alone=bool(getattr(context.options, "ignore_dependencies", False)),
        address=address_of(requirement.link) if requirement.link is not None else "",
    )


def _line(requirement: Any) -> str:
    if requirement.req is not None and not requirement.req.url and requirement.link is not None:
        return f"{requirement.name} @ {requirement.link.url}"
    return str(requirement.req)


def _standing(constraint: Any, context: Context) -> str:
    # e.g. `-c constraints.txt (line 1)`
    found = re.fullmatch(r"-[cr] (.*) \(line (\d+)\)", str(constraint.comes_from))
    if found is None:
        return ""
    file, where = found[1], f"{found[1]}, line {found[2]}"
    if file in os.environ.get("PIP_CONSTRAINT", "").split():
        return f"{where}, of PIP_CONSTRAINT"
    with suppress(Exception):
        values = read_values(isolated=bool(getattr(context.options, "isolated_mode", False)))
        for key, value in values.items():
            if key.endswith(".constraint") and file in value.split():
                return f"{where}, of {key} in pip's configuration"
    return where


def _installed(context: Context) -> Iterator[InstalledDistribution]:
    for each in installed_at(target_sites(context)).values():
        with suppress(Exception):
            requires = tuple(map(str, each.metadata.get_all("Requires-Dist") or ()))
            yield InstalledDistribution(each.metadata["Name"], each.version, modules_in(each), requires)
