"""One requirement's build: what it missed, what it was granted, and where it is built now."""

from __future__ import annotations

import os
import shutil
import zipfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pip._internal.exceptions import InstallationError, InstallationSubprocessError
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.pyproject_hooks import BackendUnavailable

from pipfast.report import logger, say
from pipfast.rescue import learnt, messages, wheels
from pipfast.rescue.diagnosis.causes import NoCause
from pipfast.rescue.diagnosis.diagnosis import examine
from pipfast.rescue.trust.policy import Grant, Refusal, decide, extra_grants
from pipfast_hooks.builds.hooks import _Held, watched
from pipfast_hooks.builds.rescue.declared import failing_package
from pipfast_hooks.builds.rescue.environment import RescueEnvironment
from pipfast_hooks.builds.rescue.known import known_for
from pipfast_hooks.builds.rescue.overlay import OverlayFailed, Wanted, make, resolve, target_sites
from pipfast_hooks.builds.rescue.source import installed_at, source_of, visible_from
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipfast.rescue.diagnosis.causes import Cause
    from pipfast.rescue.diagnosis.evidence import Evidence
    from pipfast.rescue.diagnosis.watch import Watch
    from pipfast.rescue.environment import Overlay
    from pipfast.rescue.wheels import BuiltWheel, Visible
    from pipfast.store.archives import Archive
    from pipfast_hooks.builds.context import Context
    from pipfast_hooks.builds.rescue.overlay import Found

MAX_ROUNDS = 12
"""Rounds of one package: each brings one module; scripts with more than a handful have yet to be seen."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One call of a build hook, which can be made again."""

    name: str
    kwargs: Mapping[str, Any]
    backend: Any
    """pip's hook caller."""
    call: Callable[[], Any]


class _Stop(Exception):
    """The build gets nothing further; why has been said or logged."""


class Unrescued(InstallationError):  # type: ignore[misc]
    """A rescue that cannot go on, where pip has had no error yet; it ends as pip's own errors do."""


class Rescue:
    """The build of one requirement; nothing is special about it until a hook fails."""

    def __init__(self, context: Context, requirement: Any) -> None:
        self.context = context
        self.requirement = requirement
        self.overlay: Overlay | None = None
        self._found: list[Found] = []
        self._causes: list[Cause] = []
        self._grants: list[Grant] = []
        self._declared: tuple[str, ...] = ()
        """What the backend asked for, besides what pyproject.toml has."""
        self._first_error: str | None = None
        self._environment: RescueEnvironment | None = None
        self._overlays: list[Overlay] = []
        self._cached: tuple[BuiltWheel, Archive] | None = None
        self._source: str | None = None
        self._learnt = False
        self._first: tuple[Exception, _Held] | None = None
        """The first failure of a hook, and what pip says of it: the error that pip itself would end with."""
        self._label = ""
        self.imported: set[str] = set()
        """Modules that hooks which succeeded had imported."""
        self._before: Any = None
        """pip's environment for this build."""
        self._over = False

    @property
    def is_rescued(self) -> bool:
        """Tell whether the build is no longer pip's isolated one."""
        return self._environment is not None

    @property
    def label(self) -> str:
        """Return what the package is called in messages: by its name, which its own files may tell."""
        if not self._label:
            name = self.requirement.name
            with suppress(Exception):
                name = name or failing_package(self.requirement, ()).name
            self._label = str(name or self.requirement.link)
        return self._label

    def begin(self) -> bool:
        """Begin with what an earlier build of the same source missed, or the user names; False: with nothing."""
        if self.is_rescued:
            return True
        if self._over:
            return False
        layout = current_run().layout()
        settings = current_run().settings
        self._source = source_of(self.requirement)
        causes = learnt.recall(layout, self._source) if layout and self._source else ()
        if not causes and not settings.extra_build_dependencies:
            return False
        known = known_for(self.context, self.requirement, self.all_declared())
        grants: list[Grant] = []
        missed: list[Cause | None] = []
        for cause, decision in (
            *((None, each) for each in extra_grants(known)),
            *((cause, decide(cause, known, settings.build_rescue)) for cause in causes),
        ):
            if isinstance(decision, Refusal):
                return False
            grants.append(decision)
            missed.append(cause)
        if not grants:
            return False
        self._causes, self._grants, self._learnt = list(causes), grants, True
        try:
            self._settle()
        except Exception as error:
            logger.debug("pipfast: %s begins as ever: %r", self.label, error)
            self._reset()
            return False
        if self._cached is None:
            for cause, grant in zip(missed, grants, strict=True):
                say(*messages.granted(self.label, cause, grant, self._version_of(grant), again=False))
        return True

    def _version_of(self, grant: Grant) -> str | None:
        """Return the version that a grant came to, where it is not the target's."""
        return next((each.version for each in self._found
                     if canonicalize_name(each.name) == canonicalize_name(grant.name)), None)

    def _reset(self) -> None:
        """Leave the build to pip, as it would have begun it."""
        if self._environment is not None:
            self.requirement.build_env = self._before
        self._causes, self._grants, self._found, self._declared = [], [], [], ()
        self._environment, self.overlay, self._cached, self._learnt = None, None, None, False

    def leave_to_pip(self) -> None:
        """Let pip do all of it anew; nothing of this build is rescued any more."""
        self._reset()
        self._over = True

    def run(self, hook: Hook) -> Any:
        """Call the hook, and again as long as each round brings something new.

        :raises Exception: pip's own, of the last call.
        """
        if self.is_rescued:
            answer = self._prepared(hook)
            if answer is not None:
                return answer
        while True:
            with ExitStack() as stack:
                try:
                    watch, held = stack.enter_context(watched(hook.backend, hook.name))
                except OSError:
                    logger.debug("pipfast: %s is built unwatched", self.label, exc_info=True)
                    return self._call(hook)
                try:
                    result = self._call(hook)
                except (InstallationSubprocessError, BackendUnavailable) as error:
                    failed = error
                except Exception:
                    # No end of a hook's, and pip's to tell: a process that could not be started, say.
                    held.release()
                    raise
                else:
                    failed = None
            if failed is None:
                self._note(hook, result, watch)
                return result
            self._first = self._first or (failed, held)
            evidence = self._evidence(hook, watch, failed)
            if not self._over and self._mend(evidence):
                continue
            self._first[1].release()
            if failed is not self._first[0]:
                held.release()
            self._end(evidence)
            raise failed

    def _prepared(self, hook: Hook) -> Any:
        """Return what a wheel of an earlier build answers, or None with everything ready to call the hook.

        :raises Exception: nothing can be made ready; pip's own error.
        """
        try:
            if hook.name.startswith("build_"):
                self._meet_resolution()
            if self._cached is None:
                return None
            try:
                return self.from_cache(hook, *self._cached)
            except Exception:
                logger.debug("pipfast: the wheel of %s cannot be read any more", self.label, exc_info=True)
                self._cached = None
                self._build_overlay()
                return None
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> NoReturn:
        """Say why the build cannot be made again, and end it as pip would have.

        :raises Exception: the first failure, if there was any.
        """
        logger.debug("pipfast: the rescue of %s ends", self.label, exc_info=True)
        said = messages.not_to_be_had(self.label, str(error) or repr(error))
        current_run().say_at_end(*said)
        if self._first is None:
            raise Unrescued(said[0]) from error
        failed, held = self._first
        held.release()
        self._over = True
        raise failed from None

    def _call(self, hook: Hook) -> Any:
        if self._environment is None:
            return hook.call()
        hook.backend.python_executable = self._environment.python_executable
        with self._environment:
            return hook.call()

    def _evidence(self, hook: Hook, watch: Watch, failed: Any) -> Evidence | None:
        unavailable = None
        if isinstance(failed, BackendUnavailable):
            unavailable = (str(hook.backend.build_backend), str(failed.traceback or ""))
        elif not watch.output:
            # Without -v the lines are in the error alone, between "[3 lines of output]" and "[end of output]".
            watch.output.append(str(getattr(failed, "context", None) or "").replace("[end of output]", ""))
        try:
            evidence = watch.evidence(self.all_declared(), unavailable)
        except Exception:
            # A build can write there what it likes.
            logger.debug("pipfast: the record of a build cannot be read", exc_info=True)
            evidence = None
        if self._first_error is None:
            self._first_error = _error_of(evidence)
        return evidence

    def _mend(self, evidence: Evidence | None) -> bool:
        """Put beside the build what it missed; False if that is not to be had."""
        before = list(self._grants)
        try:
            grant = self._granted(evidence)
            self._grants.append(grant)
            self._settle()
            say(*messages.granted(self.label, self._causes[-1], grant, self._version_of(grant)))
            return True
        except OverlayFailed as error:
            current_run().say_at_end(*messages.not_to_be_had(self.label, str(error)))
        except _Stop as stop:
            logger.debug("pipfast: %s is not rescued: %s", self.label, stop)
        except Exception:
            logger.debug("pipfast: a build is not rescued", exc_info=True)
        self._grants = before
        return False

    def _granted(self, evidence: Evidence | None) -> Grant:
        """Return the distribution that brings what was missing.

        :raises _Stop: there is none, or it was missing before.
        """
        cause = examine(evidence) if evidence is not None else NoCause("its record is damaged")
        if isinstance(cause, NoCause):
            raise _Stop(cause.reason)
        if cause.subject in [each.subject for each in self._causes] or len(self._causes) >= MAX_ROUNDS:
            raise _Stop(f"{cause.subject} is missing again")
        self._causes.append(cause)
        known = known_for(self.context, self.requirement, self.all_declared())
        decision = decide(cause, known, current_run().settings.build_rescue)
        if isinstance(decision, Refusal):
            current_run().say_at_end(*messages.refused(self.label, cause, decision))
            raise _Stop(decision.reason)
        formats = self.context.finder.format_control.get_allowed_formats(canonicalize_name(decision.name))
        if decision.wheels_only and "binary" not in formats:
            raise _Stop(f"{decision.name} is taken as a wheel only, which --no-binary forbids")
        return decision

    def _end(self, evidence: Evidence | None) -> None:
        """Say what was tried, below pip's own error."""
        layout = current_run().layout()
        if self._learnt and layout is not None and self._source is not None:
            learnt.forget(layout, self._source)
        if self._grants:
            current_run().say_at_end(*messages.failed(
                self.label, self._first_error or "", _error_of(evidence), self._grants
            ))

    def all_declared(self) -> tuple[str, ...]:
        """Return what the package declares for its build, by file and by hook."""
        return tuple(dict.fromkeys((*(self.requirement.pyproject_requires or ()), *self._declared)))

    def add_declared(self, requirements: tuple[str, ...]) -> None:
        """Put what the backend asked for beside the build, too."""
        self._declared = tuple(dict.fromkeys((*self._declared, *requirements)))
        if requirements and self._cached is None:
            try:
                self._build_overlay()
            except Exception as error:
                self._give_up(error)

    def _wanted(self, declared: tuple[str, ...]) -> Wanted:
        name = str(self.requirement.name or "")
        return Wanted(
            declared=declared,
            granted=tuple(each.requirement for each in self._grants),
            wheels_only=frozenset(canonicalize_name(each.name) for each in self._grants if each.wheels_only),
            pins={each: version for each, version in self.context.resolved().items()
                  if canonicalize_name(each) != canonicalize_name(name)},
            excluded=name,
            hashes=self.context.hashes() if any(each.hashes for each in self._grants) else {},
        )

    def _settle(self) -> None:
        """Find a wheel that was built against what is granted now, or make the place to build one."""
        self._cached = self._look_up()
        if self._cached is None:
            self._build_overlay()
        if self._environment is None:
            self._before = self.requirement.build_env
            self._environment = RescueEnvironment(self)
        self.requirement.build_env = self._environment

    def _build_overlay(self) -> None:
        wanted = self._wanted(self.all_declared())
        found = resolve(self.context, wanted)
        if self.overlay is not None and found == self._found:
            return
        compiled = any(each.tier == 1 for each in self._grants)
        self.overlay = make(self.context, found, wanted, compiled=compiled)
        self._overlays.append(self.overlay)
        self._found = found

    def _visible(self) -> tuple[Visible, ...]:
        paths = [*(self.overlay.lib_dirs() if self.overlay else []), *target_sites(self.context)]
        return visible_from(
            [each.name for each in self._grants], self._found, installed_at(paths), current_run().layout()
        )

    def _key(self) -> str:
        assert self._source is not None
        return wheels.key_of(self._source, self.requirement.config_settings, os.environ)

    def _look_up(self) -> tuple[BuiltWheel, Archive] | None:
        layout = current_run().layout()
        if layout is None or not self._learnt or self._source is None:
            return None
        if not wheels.has(layout, self._key()):
            return None
        wanted = self._wanted(())
        self._found = [] if all(each.installed for each in self._grants) else resolve(self.context, wanted)
        return wheels.find(layout, self._key(), self._visible())

    def _meet_resolution(self) -> None:
        """Build against what will be installed, where the resolver has decided otherwise than was thought."""
        decided = {canonicalize_name(name): version for name, version in self.context.resolved().items()}
        visible = {canonicalize_name(each.name): each.version for each in self._visible()}
        if all(decided.get(name, version) == version for name, version in visible.items()):
            return
        logger.debug("pipfast: the resolver decided otherwise: %s is built beside that", self.label)
        known = known_for(self.context, self.requirement, self.all_declared())
        mode = current_run().settings.build_rescue
        decisions = [*extra_grants(known), *(decide(cause, known, mode) for cause in self._causes)]
        grants = [each for each in decisions if isinstance(each, Grant)]
        if len(grants) != len(decisions):
            return
        self._grants, self._learnt = grants, True
        self._settle()

    def from_cache(self, hook: Hook, built: BuiltWheel, archive: Archive) -> Any:
        """Answer a hook with what was built before."""
        if hook.name.startswith("get_requires_for_build_"):
            return []
        if hook.name.startswith("prepare_metadata_for_build_"):
            folder = hook.kwargs["metadata_directory"]
            with zipfile.ZipFile(archive.path) as wheel:
                members = [name for name in wheel.namelist() if name.partition("/")[0].endswith(".dist-info")]
                wheel.extractall(folder, members)
            return members[0].partition("/")[0]
        shutil.copyfile(archive.path, os.path.join(hook.kwargs["wheel_directory"], built.filename))
        beside = ", ".join(f"{each.name} {each.version}" for each in built.visible if each.needed)
        logger.info("  pipfast: using the wheel of %s that was built against %s", self.label, beside or "the same")
        self._hint_undeclared()
        return built.filename

    def _note(self, hook: Hook, result: Any, watch: Watch) -> None:
        """Learn from a hook that succeeded; whatever goes wrong here, it has."""
        try:
            self.imported |= watch.imported()
            self._learn(hook, result)
        except Exception:
            logger.debug("pipfast: nothing is learnt of %s", self.label, exc_info=True)

    def _learn(self, hook: Hook, result: Any) -> None:
        if hook.name.startswith("get_requires_for_build_") and isinstance(result, list):
            self._declared = tuple(dict.fromkeys((*self._declared, *map(str, result))))
        if not self.is_rescued:
            return
        layout = current_run().layout()
        if self._source is None:
            self._source = source_of(self.requirement)
        if layout is not None and self._source is not None:
            # At once, not at the end: a dry run never gets to the wheel.
            learnt.remember(layout, self._source, self._causes)
            if hook.name == "build_wheel":
                self._keep(layout, Path(hook.kwargs["wheel_directory"], str(result)))
        if hook.name in ("build_wheel", "build_editable"):
            self._hint_undeclared()

    def _keep(self, layout: Any, wheel: Path) -> None:
        version = wheel.name.split("-")[1]
        wheels.keep(layout, self._key(), wheel, self.label, version, str(self._source), self._visible())

    def _hint_undeclared(self) -> None:
        requires = known_for(self.context, self.requirement, ()).package.requires
        there = {*installed_at(target_sites(self.context)), *self.context.resolved()}
        names = messages.undeclared_of(self._grants, requires, there)
        if names:
            current_run().say_at_end(*messages.undeclared(self.label, names))

    def close(self) -> None:
        """Throw the environments away."""
        for each in self._overlays:
            shutil.rmtree(each.root, ignore_errors=True)
        self._overlays.clear()


def _error_of(evidence: Evidence | None) -> str:
    """Return the error of a failed hook, as its last line."""
    if evidence is None:
        return ""
    if evidence.errors:
        return f"{evidence.errors[0].kind}: {evidence.errors[0].message}"
    return evidence.output
