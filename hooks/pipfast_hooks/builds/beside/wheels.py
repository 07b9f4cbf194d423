"""Independent source distributions are built at once; pip comes to each in its order and finds it built.

Each build runs the hook that pip would run, in pip's environment for it, in a process that a thread waits for.
What fails there, or is asked for otherwise, is built by pip as if nothing had been: output and error are pip's.
"""

from __future__ import annotations

import copy
import functools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pip._internal.build_env import NoOpBuildEnvironment
from pip._internal.cli.spinners import open_spinner
from pip._internal.operations.build import wheel
from pip._internal.utils.logging import VERBOSE
from pip._internal.utils.subprocess import call_subprocess

from pipfast.builds.native import is_hungry
from pipfast.report import logger
from pipfast.system import threads
from pipfast_hooks.builds import context
from pipfast_hooks.builds import guard as builds_guard
from pipfast_hooks.output import records
from pipfast_hooks.output.progress import Progress, lively
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipfast_hooks.call import Call

LOOK_S = 0.05
"""Seconds between two looks at whether a build has said something."""

_HOOK = "build_wheel"


class _Build:
    """One wheel, built before pip asks for it."""

    def __init__(self, requirement: Any, environ: dict[str, str]) -> None:
        self.requirement = requirement
        self.folder = ""
        self.done = threading.Event()
        self.lines = 0
        self.last = b""
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._asked: dict[str, Any] | None = None
        self._answer: bytes | None = None
        self._starting = threading.Lock()

    def run(self) -> None:
        """Call the hook, in a thread; how it ends is known when ``done`` is set."""
        held: list[logging.LogRecord] = []
        try:
            with records.held_back(held):
                self.folder = tempfile.mkdtemp(prefix="pipfast-wheel-")
                # pip's own goes on meanwhile with another runner.
                backend = copy.copy(self.requirement.pep517_backend)
                backend._subprocess_runner = self._call
                backend.build_wheel(
                    wheel_directory=self.folder, metadata_directory=self.requirement.metadata_directory
                )
        except Exception as error:
            self._answer = None
            logger.debug("pipfast: %s is left to pip: %s", self.requirement.name, error)
        finally:
            self.done.set()

    def _call(self, cmd: Sequence[str], cwd: str | None = None, extra_environ: Any = None) -> None:
        """Stand in the place of pip's runner."""
        with self._starting:
            if self._stopped:
                raise RuntimeError("the run is over")
            guard = builds_guard.of_run()
            self._process = process = subprocess.Popen(
                cmd, cwd=cwd, env={**self._environ, **(extra_environ or {})},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )
        assert process.stdin is not None and process.stdout is not None
        with guard.over(process.pid), process.stdout:
            process.stdin.close()
            for line in process.stdout:
                self.last = line
                self.lines += 1
            process.wait()
        if process.returncode:
            raise RuntimeError(f"it ended with {process.returncode}")
        self._asked = _asked(cmd)
        with open(os.path.join(cmd[-1], "output.json"), "rb") as file:
            self._answer = file.read()

    def answers(self, cmd: Sequence[str]) -> bool:
        """Give pip's call what this one gave; False if that was another one, or failed."""
        here = _asked(cmd)
        if self._answer is None or self._asked is None or _but_folder(here) != _but_folder(self._asked):
            return False
        for name in os.listdir(self.folder):
            shutil.move(os.path.join(self.folder, name), os.path.join(here["wheel_directory"], name))
        with open(os.path.join(cmd[-1], "output.json"), "wb") as file:
            file.write(self._answer)
        return True

    def stop(self) -> None:
        """End the build if it is under way; it will not begin either."""
        with self._starting:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                # With all that it has started.
                with suppress(OSError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def clean(self) -> None:
        """Remove what was built and not asked for."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def _asked(cmd: Sequence[str]) -> dict[str, Any]:
    with open(os.path.join(cmd[-1], "input.json"), encoding="utf-8") as file:
        asked: dict[str, Any] = json.load(file)["kwargs"]
    return asked


def _but_folder(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name != "wheel_directory"}


class _Builds:
    """All builds of one call of pip's, in its order."""

    def __init__(self, builds: Sequence[_Build], at_once: int) -> None:
        self._all = list(builds)
        self._by_source = {os.path.abspath(each.requirement.unpacked_source_directory): each for each in builds}
        self._waiting = list(builds)
        self._running = 0
        self._paused = False
        self._changed = threading.Condition()
        started = [threads.start(self._work, "pipfast-build") for _ in range(min(at_once, len(builds)))]
        self._threads = [each for each in started if each is not None]
        if not self._threads:
            # Nobody would ever come to them.
            self._waiting.clear()
            self._by_source.clear()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._paused or not self._waiting)
                if not self._waiting:
                    return
                build = self._waiting.pop(0)
                self._running += 1
            try:
                build.run()
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nothing run beside the block."""
        with self._changed:
            self._paused = True
            self._changed.wait_for(lambda: not self._running)
        try:
            yield
        finally:
            with self._changed:
                self._paused = False
                self._changed.notify_all()

    def take(self, source: str | None) -> _Build | None:
        """Return the build of a source folder, once."""
        return self._by_source.pop(os.path.abspath(source), None) if source else None

    def close(self) -> None:
        """Stop what nobody will ask for."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()
        for build in self._all:
            build.stop()
        for thread in self._threads:
            thread.join()
        for build in self._all:
            build.clean()


_builds: _Builds | None = None
"""While pip builds wheels of which some are built ahead."""


def _around_build(call: Call) -> Any:
    """Build what can be built at once, while pip goes through the requirements."""
    global _builds
    if _builds is not None:
        return call.original()
    try:
        requirements = call["requirements"]
        _builds = _begin(requirements)
    except Exception:
        logger.debug("pipfast: builds come one after another", exc_info=True)
    try:
        built = call.original()
        _go_on_with(built)
        return built
    finally:
        ended, _builds = _builds, None
        if ended is not None:
            ended.close()
        if current_run().builds_ahead is not None:
            sys.modules["pipfast_hooks.builds.beside.sources"].forget()


def _go_on_with(built: Any) -> None:
    """Prepare what was built, if all was: otherwise pip installs nothing."""
    try:
        successes, failures = built
        if successes and not failures and current_run().intent.installs:
            from pipfast_hooks.builds.built_wheels import prepare_all

            prepare_all(successes)
    except Exception:
        logger.debug("pipfast: wheels are prepared one after another", exc_info=True)


def _begin(requirements: Any) -> _Builds | None:
    at_once = current_run().settings.builds
    if (
        at_once < 2
        or not isinstance(requirements, list)
        # What is begun can be ended with all that it has started.
        or not hasattr(os, "killpg")
        or context.current() is None
        # A seam that is not attached leaves pip's function as it is: nobody would take what is built.
        or not hasattr(wheel.runner_with_spinner_message, "__wrapped__")
        # What the hooks print is printed.
        or logging.getLogger().getEffectiveLevel() <= VERBOSE
    ):
        return None
    chosen = [each for each in requirements if _is_independent(each)]
    chosen = [each for each in chosen if not _is_nested(each, requirements)]
    if len(chosen) < 2:
        return None
    return _Builds([_Build(each, _environ_of(each)) for each in chosen], at_once)


def _is_independent(requirement: Any) -> bool:
    """Tell whether pip will build a wheel of it in isolation, and nothing speaks against doing so now."""
    return bool(
        requirement.pep517_backend is not None
        and requirement.metadata_directory
        and not requirement.editable
        # Without isolation, by wish or for its rescue.
        and not isinstance(requirement.build_env, NoOpBuildEnvironment)
        and not is_hungry(requirement.unpacked_source_directory)
        and not _is_ahead(requirement)
    )


def _is_ahead(requirement: Any) -> bool:
    """Tell whether a wheel of it is being built already."""
    ahead, link = current_run().builds_ahead, requirement.link
    return ahead is not None and link is not None and ahead.gives_wheel(link.url_without_fragment)


def _is_nested(requirement: Any, others: Sequence[Any]) -> bool:
    """Tell whether the source is a folder in another one's, or has one: a build may read or write all below it."""
    here = os.path.abspath(requirement.unpacked_source_directory)
    for each in others:
        if each is not requirement and each.source_dir:
            there = os.path.abspath(each.unpacked_source_directory)
            if os.path.commonpath([here, there]) in (here, there):
                return True
    return False


def _environ_of(requirement: Any) -> dict[str, str]:
    """Return the environment that pip's hook of this requirement will run in."""
    with requirement.build_env:
        return dict(os.environ)


def _around_runner_with_spinner_message(call: Call) -> Any:
    """Hand pip a runner that knows what is built already."""
    original = call.original()
    if records.are_held_back():
        return original
    message = call["message"]
    runner = original if _builds is None else functools.partial(_run, _builds, original, message)
    if current_run().builds_ahead is None:
        return runner
    from pipfast_hooks.builds.beside.answers import taking

    return taking(runner, message)


def _run(
    builds: _Builds, original: Callable[..., None], message: str, cmd: Sequence[str], cwd: str | None = None,
    extra_environ: Any = None,
) -> None:
    build = builds.take(cwd) if cmd[-2] == _HOOK else None
    if build is None:
        with builds.alone():
            original(cmd, cwd=cwd, extra_environ=extra_environ)
        return
    with lively(open_spinner(message)) as spinner:
        lines = 0
        while not build.done.wait(LOOK_S):
            if build.lines > lines:
                lines = build.lines
                if isinstance(spinner, Progress):
                    spinner.said(build.last.decode("utf-8", "replace"))
                spinner.spin()
        try:
            if build.answers(cmd):
                return
        except Exception:
            logger.debug("pipfast: a wheel is built again", exc_info=True)
        finally:
            build.clean()
        with builds.alone():
            call_subprocess(cmd, command_desc=message, cwd=cwd, extra_environ=extra_environ, spinner=spinner)
