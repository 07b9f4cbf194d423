"""pip's calls of hooks, answered with what ran ahead of them."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pip._internal.cli.spinners import open_spinner
from pip._internal.utils.subprocess import call_subprocess, subprocess_logger

from pipfast.report import logger
from pipfast_hooks.builds.beside.begun import begun
from pipfast_hooks.builds.beside.sources import MAKES, METADATA, REQUIRES, WHEEL
from pipfast_hooks.builds.environments import shared
from pipfast_hooks.output.progress import lively
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pipfast_hooks.builds.beside.sources import Build, Result
    from pipfast_hooks.call import Call


@contextmanager
def instead_of(instance: Any, hook: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Within the block, let pip's next process be what was done ahead of it."""
    build = None
    # What the user has said about how to build it, a build beside pip does not know.
    if not arguments.get("config_settings"):
        build = begun(instance.config_holder, anew=hook == REQUIRES)
        if build is not None and not (build.gives(hook) or (hook == WHEEL and build.given)):
            build = None
    if build is None:
        shared.fill(instance.config_holder)
        yield
        return
    with here.having(taken=_Taken(build, hook, arguments, instance)):
        yield


@dataclass(frozen=True, slots=True)
class _Taken:
    """One hook that pip calls, and the build that has its result or will have it."""

    build: Build
    hook: str
    arguments: Mapping[str, Any]
    caller: Any
    """pip's own, for this source."""

    def run(self, message: str, cmd: Any, cwd: Any = None, extra: Any = None) -> None:
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
            shared.fill(self.caller.config_holder)
            if self.hook == WHEEL:
                self._catch_up()
            call_subprocess(cmd, command_desc=message, cwd=cwd, extra_environ=extra, spinner=spinner)

    def _gives(self, result: Result, cmd: Any, source: str) -> bool:
        if self.hook == WHEEL and self.arguments.get("metadata_directory") != self.build.given:
            return False
        made = ""
        try:
            if result.made:
                made = os.path.join(str(self.arguments[MAKES[self.hook]]), os.path.basename(result.made))
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
        """Run in pip's own tree what ran ahead in another one: a build may need what they have left there."""

        def runner(command: Any, cwd: Any = None, extra_environ: Any = None) -> None:
            subprocess.run(
                command, cwd=cwd, env={**os.environ, **(extra_environ or {})}, check=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )

        caller = copy.copy(self.caller)
        caller._subprocess_runner = runner
        with tempfile.TemporaryDirectory(prefix="pipfast-metadata-") as folder:
            # It did not fail before; if it does now, the build will, and its error is what there is to say.
            with suppress(Exception):
                caller.get_requires_for_build_wheel()
                caller.prepare_metadata_for_build_wheel(folder)


def _around_runner_with_spinner_message(call: Call) -> Any:
    """Hand pip a runner that knows what ran already."""
    return taking(call.original(), call["message"])


def taking(original: Callable[..., None], message: str) -> Callable[..., None]:
    """Return a runner for pip's calls of hooks: it answers those of ``instead_of``; ``original`` has the rest."""

    def runner(cmd: Any, cwd: Any = None, extra_environ: Any = None) -> None:
        taken, here.taken = here.taken, None
        if taken is None or cmd[-2] != taken.hook:
            original(cmd, cwd=cwd, extra_environ=extra_environ)
        else:
            taken.run(message, cmd, cwd, extra_environ)

    return runner
