"""One requirement's build: what it missed, what it was granted, and where it is built now."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pip._internal.exceptions import InstallationSubprocessError
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.pyproject_hooks import BackendUnavailable

from pipfast.build.causes import NoCause
from pipfast.build.diagnosis import examine
from pipfast.build.policy import Grant, Refusal, decide
from pipfast.report import logger, say
from pipfast_hooks import lifetime
from pipfast_hooks.builds import watched
from pipfast_hooks.builds_environment import RescueEnvironment
from pipfast_hooks.builds_known import known_for
from pipfast_hooks.builds_overlay import OverlayFailed, Wanted, make, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipfast.build.environment import Overlay
    from pipfast.build.watch import Watch
    from pipfast_hooks.builds_context import Context
    from pipfast_hooks.builds_overlay import Found

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


class Rescue:
    """The build of one requirement; nothing is special about it until a hook fails."""

    def __init__(self, context: Context, requirement: Any) -> None:
        self.context = context
        self.requirement = requirement
        self.overlay: Overlay | None = None
        self.found: list[Found] = []
        self.granted: list[Grant] = []
        self.declared: tuple[str, ...] = ()
        """What the backend asked for, besides what pyproject.toml has."""
        self.subjects: list[str] = []
        self._overlays: list[Overlay] = []
        self._environment: RescueEnvironment | None = None

    def run(self, hook: Hook) -> Any:
        """Call the hook, and again as long as each round brings something new.

        :raises Exception: pip's own, of the first call that could not be mended.
        """
        if self.granted and hook.name.startswith("build_"):
            self._meet_resolution()
        first: tuple[BaseException, Any] | None = None
        while True:
            with watched(hook.backend, hook.name) as (watch, held):
                try:
                    result = self._call(hook)
                except (InstallationSubprocessError, BackendUnavailable) as error:
                    if first is None:
                        first = (error, held)
                    failed = error
                else:
                    self._note(hook, result)
                    return result
            if not self._mend(hook, watch, failed):
                first[1].release()
                if failed is not first[0]:
                    held.release()
                    self._say_end(first[0], failed)
                raise failed

    def _call(self, hook: Hook) -> Any:
        if self._environment is None:
            return hook.call()
        hook.backend.python_executable = self._environment.python_executable
        with self._environment:
            return hook.call()

    def _note(self, hook: Hook, result: Any) -> None:
        if hook.name.startswith("get_requires_for_build_") and isinstance(result, list):
            self.declared = tuple(str(each) for each in result)

    def _mend(self, hook: Hook, watch: Watch, failed: Any) -> bool:
        """Put beside the build what it missed; False if that is not to be had."""
        grant = None
        try:
            grant = self._grant(hook, watch, failed)
            if grant is None:
                return False
            self.granted.append(grant)
            self._rebuild_overlay()
            if self._environment is None:
                self._environment = RescueEnvironment(self)
                self.requirement.build_env = self._environment
            return True
        except OverlayFailed as error:
            wanted = grant.requirement if grant else "anything"
            say(f"cannot put {wanted} beside the build of {self.label}:\n{error}")
        except Exception:
            logger.debug("pipfast: a build is not rescued", exc_info=True)
        return False

    def _grant(self, hook: Hook, watch: Watch, failed: Any) -> Grant | None:
        unavailable = None
        if isinstance(failed, BackendUnavailable):
            unavailable = (str(hook.backend.build_backend), str(failed.traceback or ""))
        elif not watch.output:
            # Without -v the lines are in the error alone, between "[3 lines of output]" and "[end of output]".
            watch.output.append(str(getattr(failed, "context", None) or ""))
        evidence = watch.evidence(self.all_declared(), unavailable)
        cause = examine(evidence) if evidence is not None else NoCause("its record is damaged")
        if isinstance(cause, NoCause):
            logger.debug("pipfast: %s is not rescued: %s", self.label, cause.reason)
            return None
        if cause.subject in self.subjects or len(self.subjects) >= MAX_ROUNDS:
            logger.debug("pipfast: %s: %s is missing again", self.label, cause.subject)
            return None
        self.subjects.append(cause.subject)
        known = known_for(self.context, self.requirement, self.all_declared())
        decision = decide(cause, known, lifetime.current().settings.build_rescue)
        if isinstance(decision, Refusal):
            lifetime.current().say_at_end(
                f"the build of {self.label} needs {decision.module}: {decision.reason}", decision.hint
            )
            return None
        if decision.wheels_only and not self._may_be_wheel(decision.name):
            return None
        say(f"the build of {self.label} needs {decision.module}: building again with {decision.requirement} "
            f"beside it ({decision.why})")
        return decision

    def _may_be_wheel(self, name: str) -> bool:
        formats = self.context.finder.format_control.get_allowed_formats(canonicalize_name(name))
        return "binary" in formats

    @property
    def label(self) -> str:
        """Return what the package is called in messages."""
        return str(self.requirement.name or self.requirement.link)

    def all_declared(self) -> tuple[str, ...]:
        """Return what the package declares for its build, by file and by hook."""
        return tuple(dict.fromkeys((*(self.requirement.pyproject_requires or ()), *self.declared)))

    def add_declared(self, requirements: tuple[str, ...]) -> None:
        """Put what the backend asked for beside the build, too."""
        self.declared = tuple(dict.fromkeys((*self.declared, *requirements)))
        if requirements:
            self._rebuild_overlay()

    def _wanted(self) -> Wanted:
        name = str(self.requirement.name or "")
        return Wanted(
            declared=self.all_declared(),
            granted=tuple(each.requirement for each in self.granted),
            wheels_only=frozenset(canonicalize_name(each.name) for each in self.granted if each.wheels_only),
            pins={each: version for each, version in self.context.resolved().items()
                  if canonicalize_name(each) != canonicalize_name(name)},
            excluded=name,
        )

    def _rebuild_overlay(self) -> None:
        wanted = self._wanted()
        found = resolve(self.context, wanted)
        if self.overlay is not None and found == self.found:
            return
        compiled = any(each.tier == 1 for each in self.granted)
        self.overlay = make(self.context, found, wanted, compiled=compiled)
        self._overlays.append(self.overlay)
        self.found = found

    def _meet_resolution(self) -> None:
        """Build against what will be installed, where the resolver has decided otherwise than was thought."""
        decided = {canonicalize_name(name): version for name, version in self.context.resolved().items()}
        if any(decided.get(canonicalize_name(each.name), each.version) != each.version for each in self.found):
            logger.debug("pipfast: the resolver decided otherwise: %s is built in another environment", self.label)
            self._rebuild_overlay()

    def _say_end(self, first: BaseException, last: BaseException) -> None:
        rounds = len(self.granted)
        say(f"the build of {self.label} failed after {rounds} round{'s' if rounds != 1 else ''} "
            f"({', '.join(each.requirement for each in self.granted)} beside it); nothing of that is installed")

    def close(self) -> None:
        """Throw the environments away."""
        for each in self._overlays:
            shutil.rmtree(each.root, ignore_errors=True)
        self._overlays.clear()
