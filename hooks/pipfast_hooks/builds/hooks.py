"""Build hooks that pip calls, answered or rescued."""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from pipfast.builds.hook_names import REQUIRES, STAGES, WHEEL
from pipfast.dependencies import Unusable
from pipfast.report import logger, say, timed
from pipfast_hooks.builds.beside.answers import Answers
from pipfast_hooks.builds.beside.build import hook_key
from pipfast_hooks.builds.context import Context
from pipfast_hooks.builds.environments.shared import Environments
from pipfast_hooks.builds.rescue.cached import PassedOver
from pipfast_hooks.builds.rescue.watched import Hook
from pipfast_hooks.guard import guarded
from pipfast_hooks.output import records
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    from pipfast_hooks.builds.rescue.rescue import Rescue
    from pipfast_hooks.builds.team.builds import TeamBuilds
    from pipfast_hooks.builds.team.record import Seen
    from pipfast_hooks.call import Call


class Rescues(Part):
    """The rescues of a run's builds."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._rescues: dict[int, Rescue] = {}
        """By ``id()`` of pip's requirement, which the rescue keeps alive."""

    def made(self, requirement: Any) -> Rescue | None:
        """Return the rescue of a requirement's build if there is one."""
        return self._rescues.get(id(requirement))

    def of(self, requirement: Any) -> Rescue | None:
        """Return the rescue of a requirement's build; None where builds are not rescued."""
        context = self.run.find(Context)
        if requirement is None or context is None or self.run.settings.build_rescue == "off":
            return None
        rescue = self.made(requirement)
        if rescue is None:
            try:
                # Not at the top: it needs packaging, without which builds are pip's alone.
                from pipfast_hooks.builds.rescue.rescue import Rescue
            except Unusable as error:
                say(f"builds are not rescued: {error}", error.hint)
                return None
            except Exception:
                logger.debug("pipfast: builds are not rescued", exc_info=True)
                return None
            rescue = self._rescues[id(requirement)] = Rescue(context, requirement)
        return rescue

    def close(self, wait_s: float) -> None:
        """Remove the environments of all rescues."""
        for rescue in self._rescues.values():
            rescue.place.close()


def _around_call_hook(call: Call) -> Any:
    """Run a build hook under watch; rescue it if it fails because a module is missing."""
    run = current_run()
    result = _called(run, call)
    if call["hook_name"] == REQUIRES and (builds := _team_builds(run)) is not None:
        builds.note_requires(getattr(call.instance, "config_holder", None), result)
    return result


def _called(run: Run, call: Call) -> Any:
    caller, name = call.instance, call["hook_name"]
    requirement = getattr(caller, "config_holder", None)

    def measured() -> timed:
        package = str(getattr(requirement, "name", None) or getattr(requirement, "link", None) or "a source")
        return timed("hook", name=f"{package}: {name}", key=hook_key(package, name))

    def alone() -> Any:
        run.part(Environments).fill(requirement)
        # A build beside pip measures its own hooks.
        with nullcontext() if records.are_held_back() else measured():
            return call.original()

    # In a thread, pip has not called the hook yet: it will, if the hook fails.
    if name not in STAGES or records.are_held_back():
        return alone()
    rescue = run.part(Rescues).of(requirement)

    def answered() -> Any:
        if rescue is not None and rescue.is_rescued:
            return alone()
        with run.part(Answers).given(caller, name, call["kwargs"]), measured():
            return call.original()

    if rescue is None:
        return answered()
    hook = Hook(name, call["kwargs"], caller, answered)
    try:
        return rescue.call(hook)
    except Exception:
        passed_over = run.find(PassedOver) if hook.name == WHEEL else None
        path = passed_over.taken_instead(rescue.requirement.link) if passed_over is not None else None
        if path is None:
            raise
    rescue.instead_of_cache = None
    return os.path.basename(shutil.copy(path, hook.kwargs["wheel_directory"]))


def _team_builds(run: Run) -> TeamBuilds | None:
    """Return what puts wheels into the team's store; None where nothing is put there."""
    if run.settings.remote is None or not run.settings.remote_write or run.find(Context) is None:
        return None
    with guarded("nothing is put into the team's store"):
        from pipfast_hooks.builds.team.builds import TeamBuilds

        return run.part(TeamBuilds)
    return None


def _around_prepare_build_backend(call: Call) -> Any:
    """Begin a build without isolation if an earlier one needed that."""
    with guarded("what is built is not put into the team's store"):
        if (builds := _team_builds(current_run())) is not None:
            builds.begin(call.instance.req)
    with guarded("a build begins as ever"):
        rescue = current_run().part(Rescues).of(call.instance.req)
        if rescue is not None and rescue.begin():
            return None
    return call.original()


def _around_prepare_distribution_metadata(call: Call) -> Any:
    """Have pip start over where a build that began as a rescue cannot go on."""
    try:
        return call.original()
    except Exception as error:
        rescue = current_run().part(Rescues).made(call.instance.req)
        if rescue is None or not rescue.leave_to_pip(error):
            raise
    return call.original()


def _around_get_cache_dir(call: Call) -> Any:
    """Keep the wheel of a rescued build out of pip's cache: pip could not have built it."""
    requirement, cache = call["req"], call["wheel_cache"]
    rescue = current_run().part(Rescues).of(requirement)
    if rescue is not None and rescue.is_rescued:
        return cache.get_ephem_path_for_link(requirement.link)
    folder = call.original()
    if rescue is not None and cache.cache_dir and folder == cache.get_path_for_link(requirement.link):
        rescue.instead_of_cache = partial(cache.get_ephem_path_for_link, requirement.link)
        rescue.cache_folder = folder if rescue.is_open else None
    return folder


def _seen(builds: TeamBuilds, requirement: Any, rescue: Rescue | None, since: float) -> Seen | None:
    """Return what the build of a requirement saw that began at a time, in seconds since the epoch."""
    if rescue is not None and rescue.is_rescued:
        return rescue.seen(since)
    from pipfast_hooks.builds.team.record import seen_in

    return seen_in(builds.run.part(Context), requirement.build_env, builds.declared(requirement))


def _around_build_one(call: Call) -> Any:
    """Take a wheel out of pip's cache again if only its last hook was rescued; put one into the team's store."""
    run, requirement = current_run(), call["req"]
    builds = None if call.get("editable") else _team_builds(run)
    if builds is not None:
        with guarded("what is built with may change"):
            builds.note_files(requirement)
    path = call.original()
    rescue = run.part(Rescues).made(requirement)
    if path and builds is not None:
        with guarded("%s is not put into the team's store", requirement):
            builds.end(requirement, path, partial(_seen, builds, requirement, rescue))
    if path and rescue is not None and rescue.is_rescued and rescue.instead_of_cache is not None:
        with guarded("a rescued wheel is left in pip's cache"):
            folder = rescue.instead_of_cache()
            os.makedirs(folder, exist_ok=True)
            return shutil.move(path, os.path.join(folder, os.path.basename(path)))
    return path
