"""Answers to pip's calls of hooks, from builds beside it."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import tempfile
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pip._internal.cli.spinners import open_spinner
from pip._internal.utils.subprocess import call_subprocess, subprocess_logger

from pipfast.builds.hook_names import METADATA, REQUIRES, RESULT_FOLDERS, WHEEL
from pipfast.report import logger
from pipfast_hooks.builds.beside.build import Build, Failed, Result
from pipfast_hooks.builds.beside.resolution import resolution_of
from pipfast_hooks.builds.beside.wheels import Wheels
from pipfast_hooks.builds.environments.shared import Environments
from pipfast_hooks.builds.jobs import of_thread
from pipfast_hooks.guard import guarded
from pipfast_hooks.output import records
from pipfast_hooks.output.progress import lively
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pipfast_hooks.call import Call


class Answers(Part):
    """Answers pip's calls of hooks with results that are there, or on their way."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.environments = run.part(Environments)
        self._taken: _Taken | None = None
        """Stands in the place of pip's next process."""

    @contextmanager
    def given(self, caller: Any, hook: str, arguments: Mapping[str, Any]) -> Iterator[None]:
        """Put the result of a build beside pip, if there is one, in the place of pip's next process in the block.

        :param caller: pip's hook caller.
        """
        requirement = getattr(caller, "config_holder", None)
        build = self._build_of(requirement, hook, arguments)
        if build is None:
            self.environments.fill(requirement)
            yield
            return
        self._taken = _Taken(self, build, hook, arguments, caller)
        try:
            yield
        finally:
            self._taken = None

    def _build_of(self, requirement: Any, hook: str, arguments: Mapping[str, Any]) -> Build | None:
        wheels, resolution = self.run.find(Wheels), resolution_of(self.run)
        build = wheels.begun(requirement) if wheels is not None and hook == WHEEL else None
        # A source is built beside pip without the user's settings for its build.
        if build is not None or resolution is None or arguments.get("config_settings"):
            return build
        build = resolution.begun(requirement, anew=hook == REQUIRES)
        gives = build is not None and (build.gives(hook) or (hook == WHEEL and build.given))
        return build if gives else None

    def runner(self, original: Callable[..., None], message: str) -> Callable[..., None]:
        """Return a runner of hooks for pip that answers the hook of ``given``; ``original`` runs all others."""

        def run(cmd: Any, cwd: Any = None, extra_environ: Any = None) -> None:
            taken, self._taken = self._taken, None
            if taken is not None and cmd[-2] == taken.hook:
                taken.run(message, cmd, cwd, extra_environ)
                return
            with self.alone():
                original(cmd, cwd=cwd, extra_environ=extra_environ)

        return run

    def alone(self) -> AbstractContextManager[None]:
        """Return a context in which no wheel is built beside pip's own process."""
        wheels = self.run.find(Wheels)
        return nullcontext() if wheels is None else wheels.alone()


@dataclass(frozen=True, slots=True)
class _Taken:
    answers: Answers
    build: Build
    hook: str
    arguments: Mapping[str, Any]
    caller: Any
    """pip's hook caller."""

    def run(self, message: str, cmd: Any, cwd: Any, extra: Any) -> None:
        """Stand in the place of pip's runner."""
        with lively(open_spinner(message)) as spinner:
            result = self.build.wait(self.hook, spinner)
            if result is not None and self._gives(result, cmd, cwd):
                # As pip logs a process of its own.
                subprocess_logger.verbose("Running command %s", message)
                for line in result.output.splitlines():
                    subprocess_logger.verbose(line.rstrip())
                spinner.finish("done")
                return
            self.answers.environments.fill(self.caller.config_holder)
            with self.answers.alone():
                if self.hook == WHEEL and self.build.has_own_tree:
                    self._catch_up()
                call_subprocess(cmd, command_desc=message, cwd=cwd, extra_environ=extra, spinner=spinner)

    def _gives(self, result: Result, cmd: Any, source: str) -> bool:
        if self.hook == WHEEL and self.arguments.get("metadata_directory") != self.build.given:
            return False
        made = ""
        try:
            if result.made:
                made = os.path.join(str(self.arguments[RESULT_FOLDERS[self.hook]]), os.path.basename(result.made))
                if self.hook == WHEEL:
                    shutil.move(result.made, made)
                else:
                    shutil.copytree(result.made, made)
                    if not self.build.with_wheel:
                        self.build.hand_over(source)
            with open(os.path.join(cmd[-1], "output.json"), "wb") as file:
                file.write(result.answer)
        except OSError:
            logger.debug("pipfast: %s of %s is left to pip", self.hook, self.build.name, exc_info=True)
            shutil.rmtree(made, ignore_errors=True)
            return False
        if self.hook == METADATA and self.build.with_wheel:
            self.build.given = made
        return True

    def _catch_up(self) -> None:
        """Run the earlier hooks again, in pip's tree: the build of a wheel may need files that they make there."""

        def runner(command: Any, cwd: Any = None, extra_environ: Any = None) -> None:
            subprocess.run(
                command, cwd=cwd, env={**os.environ, **(extra_environ or {})}, check=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )

        caller = copy.copy(self.caller)
        with tempfile.TemporaryDirectory(prefix="pipfast-metadata-") as folder, caller.subprocess_runner(runner):
            # They have succeeded before. If they fail now, so does the build, and pip shows that error.
            with suppress(Exception):
                caller.get_requires_for_build_wheel()
                caller.prepare_metadata_for_build_wheel(folder)


def _around_runner_with_spinner_message(call: Call) -> Any:
    """Hand pip a runner that answers hooks which have run beside it."""
    original = call.original()
    return original if records.are_held_back() else current_run().part(Answers).runner(original, call["message"])


def _around_install(call: Call) -> Any:
    """Fill a build environment with copies from an equal one; without one as pip does, and note its files."""
    run = current_run()
    environments, is_ours = run.part(Environments), of_thread() is not None
    asked = build = None
    with guarded("a build environment is not taken from another one"):
        found, resolution = environments.asked(call), resolution_of(run)
        if found is not None and resolution is not None and not is_ours:
            build = resolution.begun(call["for_req"], anew=True)
        asked = found
    if asked is None:
        result = call.original()
        if is_ours:
            # It is not copied, but a build beside pip asks whether it is unchanged.
            environments.note_files(call["prefix"].path)
        return result
    if build is None:
        return environments.install(asked)
    with lively(open_spinner(asked.message)) as spinner, environments.shown(spinner):
        if build.wait_filled(asked.key, spinner) and environments.install_later(call["for_req"], asked):
            return spinner.finish("done")
        return environments.install(asked)


def _around_call_subprocess(call: Call) -> Any:
    """Start the process that fills an environment so that it ends with the run, in a thread of ours."""
    ours = of_thread()
    if ours is None:
        return call.original()
    environ = {**ours.environ, **(call.get("extra_environ") or {})}
    with ours.jobs.turn(urgent=True):
        status, output = ours.jobs.run(call["cmd"], call.get("cwd"), environ)
    if status:
        raise Failed(output)
    return output


def _around_open_spinner(call: Call) -> Any:
    """Show no spinner for work beside pip, and none twice."""
    run = current_run()
    if of_thread() is not None:
        return nullcontext()
    return run.part(Environments).opened_or(lambda _: lively(call.original()), call["message"])
