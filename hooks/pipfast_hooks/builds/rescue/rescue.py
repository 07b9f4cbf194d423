"""Rescue of one requirement's build, round by round."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pip._internal.exceptions import InstallationError, InstallationSubprocessError
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.pyproject_hooks import BackendUnavailable

from pipfast.builds.hook_names import WHEEL
from pipfast.report import logger, say
from pipfast.rescue import learnt, messages
from pipfast.rescue.diagnosis.causes import Cause, NoCause
from pipfast.rescue.diagnosis.diagnosis import examine
from pipfast.rescue.trust.policy import Grant, Refusal, decide, extra_grants
from pipfast_hooks.builds.rescue.declared import failing_package
from pipfast_hooks.builds.rescue.environment import RescueEnvironment
from pipfast_hooks.builds.rescue.overlay import OverlayFailed
from pipfast_hooks.builds.rescue.place import Place, answer_from
from pipfast_hooks.builds.rescue.source import note_provenance
from pipfast_hooks.builds.rescue.watched import HeldError, Hook, error_of, evidence_of, watched
from pipfast_hooks.builds.source import source_of
from pipfast_hooks.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipfast.rescue.diagnosis.evidence import Evidence, Watch
    from pipfast.rescue.environment import Overlay
    from pipfast_hooks.builds.context import Context
    from pipfast_hooks.builds.team.record import Seen

MAX_ROUNDS = 12
"""Rounds of one package: each brings one module, and known scripts need a handful at most."""


class _Stop(Exception):
    """The rescue ends; the reason has been said or is logged."""


class Unrescued(InstallationError):  # type: ignore[misc]
    """The rescue failed before pip had an error; it ends as pip's own errors do."""


class Rescue:
    """The build of one requirement; nothing is special about it until a hook fails."""

    def __init__(self, context: Context, requirement: Any) -> None:
        self.run = context.run
        self.context = context
        self.requirement = requirement
        self.cache_folder: str | None = None
        """pip's cache folder for the wheel of a build without isolation; None if it is not kept there."""
        self.instead_of_cache: Callable[[], str] | None = None
        """Gives the temporary folder for a wheel that pip puts into its cache, once its build is rescued."""
        self._imported: set[str] = set()
        self.place = Place(context, requirement)
        self._causes: list[Cause] = []
        self._first: tuple[Exception, HeldError] | None = None
        """The first failure of a hook, and pip's message about it: pip itself would end with that."""
        self._first_error: str | None = None
        self._environment: RescueEnvironment | None = None
        self._before: Any = None
        self._label = ""
        self._over = False

    @property
    def is_rescued(self) -> bool:
        """Tell whether the build is no longer pip's isolated one."""
        return self._environment is not None

    @property
    def is_open(self) -> bool:
        """Tell whether the user wants no isolation, and the provenance of the wheel can be noted."""
        return not getattr(self.context.options, "build_isolation", True) and self.run.store.layout.keeps

    @property
    def overlay(self) -> Overlay | None:
        """Return the packages over the target's, if there are any."""
        return self.place.overlay

    @property
    def label(self) -> str:
        """Return the package's name in messages: pip's, or the one in its own files."""
        if not self._label:
            name = self.requirement.name
            with suppress(Exception):
                name = name or failing_package(self.requirement, ()).name
            self._label = str(name or self.requirement.link)
        return self._label

    def begin(self) -> bool:
        """Begin with the grants that an earlier build needed or the user names; tell whether there are any."""
        if self.is_rescued:
            return True
        if self._over:
            return False
        layout, settings, place = self.run.store.layout, self.run.settings, self.place
        place.source = source_of(self.requirement)
        causes = learnt.recall(layout, place.source) if place.source else ()
        causes = causes or self._causes_of_team()
        if not causes and not settings.extra_build_dependencies:
            return False
        grants = self._all_granted(causes)
        if not grants:
            return False
        self._causes, place.may_be_earlier = list(causes), True
        place.grants = [each for _, each in grants]
        try:
            self._settle()
        except Exception as error:
            logger.debug("pipfast: %s begins as ever: %r", self.label, error)
            self._reset()
            return False
        if place.earlier is None:
            for cause, grant in grants:
                say(*messages.granted(self.label, cause, grant, place.version_of(grant), again=False))
        return True

    def _causes_of_team(self) -> tuple[Cause, ...]:
        """Return what the source's builds missed on other machines; who may add it is decided here."""
        with guarded("the team's store does not tell what %s misses", self.label):
            return next((wheel.causes for _, _, wheel in self.place.wheels_of_team() if wheel.causes), ())
        return ()

    def seen(self, since: float) -> Seen | None:
        """Return what the rescued build saw; None if it was no build, or if that has changed since a time."""
        return self.place.seen(since, self._imported, tuple(self._causes))

    def _all_granted(self, causes: Iterable[Cause]) -> list[tuple[Cause | None, Grant]] | None:
        """Return the grants for causes and for the user's setting, each with its cause; None if one is refused."""
        known, mode = self.place.known(), self.run.settings.build_rescue
        granted: list[tuple[Cause | None, Grant]] = []
        for cause, decision in (
            *((None, each) for each in extra_grants(known)),
            *((cause, decide(cause, known, mode)) for cause in causes),
        ):
            if isinstance(decision, Refusal):
                return None
            granted.append((cause, decision))
        return granted

    def _settle(self) -> None:
        self.place.settle()
        if self._environment is None:
            self._before = self.requirement.build_env
            self._environment = RescueEnvironment(self)
        self.requirement.build_env = self._environment

    def _reset(self) -> None:
        if self._environment is not None:
            self.requirement.build_env = self._before
        self._causes, self._environment = [], None
        self.place.clear()

    def leave_to_pip(self, error: Exception) -> bool:
        """Leave the build to pip if this error is of a rescue that could not begin; tell whether it is."""
        if not isinstance(error, Unrescued):
            return False
        self._reset()
        self._over = True
        return True

    def call(self, hook: Hook) -> Any:
        """Call the hook, and again while each round brings something new; raises pip's error of the last call."""
        if self.is_rescued:
            answer = self._prepared(hook)
            if answer is not None:
                return answer
        while True:
            with ExitStack() as stack:
                try:
                    watch, held = stack.enter_context(watched(hook))
                except OSError:
                    logger.debug("pipfast: %s is built unwatched", self.label, exc_info=True)
                    return self._call(hook)
                try:
                    result = self._call(hook)
                except (InstallationSubprocessError, BackendUnavailable) as error:
                    failed = error
                except Exception:
                    # The hook did not end by itself; say, its process could not be started. pip tells that.
                    held.release()
                    raise
                else:
                    failed = None
            if failed is None:
                self._note(hook, result, watch)
                return result
            self._first = self._first or (failed, held)
            evidence = evidence_of(hook, watch, failed)
            if self._first_error is None:
                self._first_error = error_of(evidence)
            if not self._over and self._mend(evidence):
                continue
            self._first[1].release()
            if failed is not self._first[0]:
                held.release()
            self._end(evidence)
            raise failed

    def _prepared(self, hook: Hook) -> Any:
        """Return the answer of an earlier wheel, or None with everything ready to call the hook."""
        place = self.place
        try:
            if hook.stage == "wheel":
                self._meet_resolution()
            if place.earlier is None:
                return None
            try:
                answer = answer_from(hook, *place.earlier, self.label)
                if hook.stage == "wheel":
                    self._hint_undeclared()
                return answer
            except Exception:
                logger.debug("pipfast: the wheel of %s cannot be read any more", self.label, exc_info=True)
                place.earlier = None
                place.build_overlay()
                return None
        except Exception as error:
            self._give_up(error)

    def _meet_resolution(self) -> None:
        """Prepare the build anew if the resolver has chosen other versions than it began with."""
        if not self.place.is_decided_otherwise():
            return
        logger.debug("pipfast: the resolver decided otherwise: %s is built beside that", self.label)
        grants = self._all_granted(self._causes)
        if grants is not None:
            self.place.grants, self.place.may_be_earlier = [each for _, each in grants], True
            self._settle()

    def _give_up(self, error: Exception) -> NoReturn:
        """Say why the build cannot be made again, and end it with pip's error.

        :raises Exception: the first failure, if there was any.
        """
        logger.debug("pipfast: the rescue of %s ends", self.label, exc_info=True)
        said = messages.not_to_be_had(self.label, str(error) or repr(error))
        self.run.say_at_end(*said)
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

    def _mend(self, evidence: Evidence | None) -> bool:
        before = list(self.place.grants)
        try:
            grant = self._granted(evidence)
            self.place.grants.append(grant)
            self._settle()
            say(*messages.granted(self.label, self._causes[-1], grant, self.place.version_of(grant)))
            return True
        except OverlayFailed as error:
            self.run.say_at_end(*messages.not_to_be_had(self.label, str(error)))
        except _Stop as stop:
            logger.debug("pipfast: %s is not rescued: %s", self.label, stop)
        except Exception:
            logger.debug("pipfast: a build is not rescued", exc_info=True)
        self.place.grants = before
        return False

    def _granted(self, evidence: Evidence | None) -> Grant:
        cause = examine(evidence) if evidence is not None else NoCause("its record is damaged")
        if isinstance(cause, NoCause):
            raise _Stop(cause.reason)
        if cause.subject in [each.subject for each in self._causes] or len(self._causes) >= MAX_ROUNDS:
            raise _Stop(f"{cause.subject} is missing again")
        self._causes.append(cause)
        decision = decide(cause, self.place.known(), self.run.settings.build_rescue)
        if isinstance(decision, Refusal):
            self.run.say_at_end(*messages.refused(self.label, cause, decision))
            raise _Stop(decision.reason)
        formats = self.context.finder.format_control.get_allowed_formats(canonicalize_name(decision.name))
        if decision.wheels_only and "binary" not in formats:
            raise _Stop(f"{decision.name} is taken as a wheel only, which --no-binary forbids")
        return decision

    def _end(self, evidence: Evidence | None) -> None:
        layout, place = self.run.store.layout, self.place
        if place.may_be_earlier and place.source is not None:
            learnt.forget(layout, place.source)
        if place.grants:
            self.run.say_at_end(*messages.failed(
                self.label, self._first_error or "", error_of(evidence), place.grants
            ))

    def add_declared(self, requirements: tuple[str, ...]) -> None:
        """Add the requirements of the backend. Raises Exception: they cannot be installed; pip's own error."""
        self.place.ask(requirements)
        if requirements and self.place.earlier is None:
            try:
                self.place.build_overlay()
            except Exception as error:
                self._give_up(error)

    def _note(self, hook: Hook, result: Any, watch: Watch) -> None:
        with guarded("nothing is learnt of %s", self.label):
            self._imported |= watch.imported()
            self._learn(hook, result)

    def _learn(self, hook: Hook, result: Any) -> None:
        place = self.place
        wheel = Path(hook.kwargs["wheel_directory"], str(result)) if hook.name == WHEEL else None
        if hook.stage == "requires" and isinstance(result, list):
            place.ask(tuple(map(str, result)))
        if not self.is_rescued:
            if wheel is not None and (folder := self.cache_folder) is not None:
                note_provenance(self.context, self.requirement, self.label, self._imported, wheel, folder)
            return
        layout = self.run.store.layout
        if place.source is None:
            place.source = source_of(self.requirement)
        if layout.keeps and place.source is not None:
            # At once, not at the end: a dry run never gets to the wheel.
            learnt.remember(layout, place.source, self._causes)
            if wheel is not None:
                place.keep(layout, wheel, self.label)
        if hook.stage == "wheel":
            self._hint_undeclared()

    def _hint_undeclared(self) -> None:
        if names := self.place.undeclared():
            self.run.say_at_end(*messages.undeclared(self.label, names))
