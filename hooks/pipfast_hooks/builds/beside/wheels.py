"""Wheels that are built at once, beside pip's one after another.

Each build runs the hook that pip would run, in pip's own tree and environment for it. pip builds again what fails,
and prints its output and error.
"""

from __future__ import annotations

import copy
import logging
import os
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from pip._internal.build_env import NoOpBuildEnvironment
from pip._internal.operations.build import wheel
from pip._internal.utils.logging import VERBOSE
from pip._vendor.pyproject_hooks import BuildBackendHookCaller

from pipfast.builds.hook_names import WHEEL
from pipfast.builds.native import is_hungry
from pipfast_hooks.attach import has_seams
from pipfast_hooks.builds.beside.build import Build, Failed, call_hook
from pipfast_hooks.builds.beside.builder import Builder, prepare_all
from pipfast_hooks.builds.beside.host import Hooks
from pipfast_hooks.builds.beside.resolution import Resolution
from pipfast_hooks.builds.context import Context
from pipfast_hooks.builds.guard import Guard
from pipfast_hooks.builds.jobs import Jobs
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipfast_hooks.call import Call


class Wheels(Part):
    """The wheels of one call of pip's ``build``, by ``id()`` of their requirements."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._guard = run.part(Guard)
        self._builder: Builder | None = None

    def begin(self, requirements: Any) -> None:
        """Begin to build the wheels that can be built at once, if there are several."""
        if self._can_begin(requirements):
            chosen = [each for each in requirements if self._is_independent(each)]
            chosen = [each for each in chosen if not _is_nested(each, requirements)]
            if len(chosen) > 1:
                builds = [(each, _environ_of(each)) for each in chosen]
                self._builder = builder = Builder(Jobs(self._guard, self.run.settings.builds))
                for each, environ in builds:
                    make = partial(_make, jobs=builder.jobs, requirement=each, environ=environ)
                    builder.begin(id(each), Build(
                        str(each.name), make, has_own_tree=False, with_wheel=True, given=each.metadata_directory,
                    ))

    def _can_begin(self, requirements: Any) -> bool:
        return (
            self.run.settings.builds > 1
            and isinstance(requirements, list)
            # A build must be ended with all that it has started.
            and hasattr(os, "killpg")
            and self.run.find(Context) is not None
            # A function without its seam is pip's own: nobody would take the wheels.
            and has_seams(wheel, "runner_with_spinner_message")
            and has_seams(BuildBackendHookCaller, "_call_hook")
            # pip shows the output of hooks.
            and logging.getLogger().getEffectiveLevel() > VERBOSE
        )

    def _is_independent(self, requirement: Any) -> bool:
        """Tell whether pip will build a wheel of a requirement in isolation, which can be done now."""
        resolution = self.run.find(Resolution)
        return bool(
            requirement.pep517_backend is not None
            and requirement.metadata_directory
            and not requirement.editable
            # Without isolation: the user's wish, or a rescue.
            and not isinstance(requirement.build_env, NoOpBuildEnvironment)
            and not is_hungry(requirement.unpacked_source_directory)
            and not (resolution is not None and resolution.gives_wheel(requirement.link))
        )

    def begun(self, requirement: Any) -> Build | None:
        """Return the build of a requirement's wheel, begun now if it was not; None if pip is to build it."""
        return None if self._builder is None else self._builder.begun(id(requirement))

    def alone(self) -> AbstractContextManager[None]:
        """Return a context in which none of these runs."""
        return nullcontext() if self._builder is None else self._builder.jobs.turns.alone()

    def give_way(self) -> None:
        """End all builds and remove their folders."""
        builder, self._builder = self._builder, None
        if builder is not None:
            builder.close()


def _make(build: Build, jobs: Jobs, requirement: Any, environ: Mapping[str, str]) -> None:
    build.hooks = hooks = Hooks(jobs, build.folder, are_several=False)

    def run(command: Any, cwd: str, extra: Mapping[str, str]) -> str:
        status, output = hooks.run(command, cwd, {**environ, **extra}, urgent=False)
        if status:
            raise Failed(f"it ended with {status}")
        return output

    # A copy: pip uses its own with another runner meanwhile.
    caller = copy.copy(requirement.pep517_backend)
    with build.timed(WHEEL):
        _, result = call_hook(
            caller, WHEEL, run, wheel_directory=build.folder_for(WHEEL), metadata_directory=build.given
        )
    build.give(WHEEL, result)


def _is_nested(requirement: Any, others: Sequence[Any]) -> bool:
    """Tell whether a source is inside another one or around it: a build may use all that is in its folder."""
    here = os.path.abspath(requirement.unpacked_source_directory)
    for each in others:
        if each is not requirement and each.source_dir:
            there = os.path.abspath(each.unpacked_source_directory)
            if os.path.commonpath([here, there]) in (here, there):
                return True
    return False


def _environ_of(requirement: Any) -> dict[str, str]:
    """Return the variables that pip's hooks of a requirement run with."""
    with requirement.build_env:
        return dict(os.environ)


def _around_build(call: Call) -> Any:
    """Build wheels at once, while pip goes through the requirements."""
    run = current_run()
    if run.find(Wheels) is not None:
        return call.original()
    with guarded("builds come one after another"):
        run.part(Wheels).begin(call["requirements"])
    try:
        built = call.original()
        with guarded("wheels are prepared one after another"):
            successes, failures = built
            # If one failed, pip installs none.
            if successes and not failures and run.intent.installs:
                prepare_all(run, successes)
        return built
    finally:
        run.end_part(Wheels)
        if (resolution := run.find(Resolution)) is not None:
            resolution.give_way()
