"""Source distributions that are built beside pip: the same steps in the same kind of environment, ahead of it.

pip goes through its own steps afterwards, with its own messages, and finds each hook's result where it would
wait for a process. What fails here is forgotten, and pip builds it as ever: its errors are its own.
"""

from __future__ import annotations

import inspect
import logging
import os
import shutil
import sys
import tempfile
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pip._internal import build_env, pyproject
from pip._internal.cli.spinners import open_spinner
from pip._internal.distributions import sdist
from pip._internal.utils.logging import VERBOSE
from pip._internal.utils.subprocess import call_subprocess, subprocess_logger
from pip._internal.utils.unpacking import unpack_file
from pip._vendor.pyproject_hooks import BuildBackendHookCaller

from pipfast.build.native import has_native_code
from pipfast.report import logger, timed
from pipfast_hooks import builds_context, lifetime, records
from pipfast_hooks.builds_jobs import Ended, Jobs, in_thread, of_thread
from pipfast_hooks.builds_progress import lively

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

REQUIRES, METADATA = "get_requires_for_build_wheel", "prepare_metadata_for_build_wheel"
"""The hooks that the resolver waits for, in their order (PEP 517)."""

_ByProcess = getattr(build_env, "SubprocessBuildEnvironmentInstaller", ())
"""pip's installer that has no state of its own; since 25.2, and not the only one since 26.1."""

_SPIN_S = 0.1
"""Seconds between two turns of pip's spinner."""

_thread = threading.local()
"""``taken``: what takes the place of the next process that pip would start in this thread."""


class _Failed(Exception):
    """A step did not succeed; pip will do it again and say so."""


@dataclass(slots=True)
class _Result:
    """What one hook has given."""

    answer: bytes
    """The JSON that pip reads."""
    output: str
    made: str = ""
    """The folder that the hook has made."""


@dataclass(slots=True)
class _Build:
    """One source distribution that is built ahead."""

    name: str
    archive: Path
    folder: str = ""
    started: bool = False
    abandoned: bool = False
    results: dict[str, _Result] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    over: bool = False

    def give(self, hook: str, result: _Result) -> None:
        with self.changed:
            self.results[hook] = result
            self.changed.notify_all()

    def hand_over(self, source: str) -> None:
        """Put the tree that the hooks ran in, with what they have left there, in the place of pip's.

        :raises OSError: pip's own is where it was.
        """
        aside = os.path.join(self.folder, "pips")
        os.rename(source, aside)
        try:
            os.rename(os.path.join(self.folder, self.name), source)
        except OSError:
            os.rename(aside, source)
            raise

    def wait(self, hook: str, spinner: Any) -> _Result | None:
        """Return a hook's result as soon as it is there; None if there will be none."""
        with self.changed:
            while hook not in self.results and not self.over:
                self.changed.wait(_SPIN_S)
                if spinner is not None:
                    spinner.spin()
            return self.results.get(hook)


class BuildsAhead:
    """The builds of one resolution."""

    def __init__(self, installer: Any, environ: Mapping[str, str], at_once: int) -> None:
        self._installer = installer
        self._environ = environ
        self._jobs = Jobs(at_once)
        self._lock = threading.Lock()
        self._builds: dict[str, _Build] = {}
        self._stopped = False

    def begin(self, name: str, link: Any, archive: Path) -> None:
        """Build what has arrived; returns at once."""
        url = link.url_without_fragment
        with self._lock:
            if not self._stopped and url not in self._builds:
                build = self._builds[url] = _Build(name, archive)
                self._jobs.submit(lambda: self._make(build, link.filename))

    def find(self, url: str, hook: str) -> _Build | None:
        """Return the build that has a hook's result, or may come to have it."""
        with self._lock:
            build = self._builds.get(url)
            if build is None:
                return None
            if not build.started:
                # pip is here first: it need not wait for this one's turn.
                build.abandoned = True
            return None if build.abandoned or (build.over and hook not in build.results) else build

    def close(self) -> None:
        """Begin no more, end what is under way and remove what was made."""
        with self._lock:
            self._stopped = True
        self._jobs.close()
        for build in self._builds.values():
            shutil.rmtree(build.folder, ignore_errors=True)
        self._builds.clear()

    def _make(self, build: _Build, filename: str) -> None:
        with self._lock:
            if build.abandoned:
                return
            build.started = True
        try:
            build.folder = tempfile.mkdtemp(prefix="pipfast-build-")
            environ = {
                **self._environ,
                # What this one's children build is no circle if pip's, or another one's, are building it, too.
                "PIP_BUILD_TRACKER": tempfile.mkdtemp(prefix="tracker-", dir=build.folder),
                # What they leave behind when they are ended goes with the folder.
                "TMPDIR": tempfile.mkdtemp(prefix="tmp-", dir=build.folder),
            }
            with records.held_back([]), in_thread(self._jobs, environ), timed("build", name=build.name):
                self._steps(build, filename, environ)
        except (Ended, _Failed) as error:
            logger.debug("pipfast: %s is not built ahead: %r", build.name, error)
        except Exception:
            logger.debug("pipfast: %s is not built ahead", build.name, exc_info=True)
        finally:
            with build.changed:
                build.over = True
                build.changed.notify_all()

    def _steps(self, build: _Build, filename: str, environ: Mapping[str, str]) -> None:
        """Do what pip's ``SourceDistribution`` does."""
        source = os.path.join(build.folder, build.name)
        # The suffix tells pip what kind of archive it is; the store's files have none.
        archive = os.path.join(build.folder, filename)
        shutil.copyfile(build.archive, archive)
        unpack_file(archive, source)
        os.unlink(archive)
        if has_native_code(source):
            raise _Failed("what is compiled is built alone")
        details = _load_pyproject(source, build.name)
        if details is None:
            raise _Failed("no PEP 517")
        kind = getattr(build_env, "VirtualBuildEnvironment", None) or build_env.BuildEnvironment
        environment = kind(self._installer)
        environment.install_requirements(details.requires, "overlay", kind="build dependencies", for_req=None)
        if any(environment.check_requirements(details.check)):
            raise _Failed("requirements conflict or are missing")
        caller = BuildBackendHookCaller(source, details.backend, backend_path=details.backend_path)
        isolated = _isolated(environment, environ)
        requires = self._hook(build, isolated, caller, REQUIRES, {})
        conflicting, missing = environment.check_requirements(requires)
        if conflicting:
            raise _Failed("requirements conflict")
        environment.install_requirements(missing, "normal", kind="backend dependencies", for_req=None)
        metadata = os.path.join(build.folder, "metadata")
        os.mkdir(metadata)
        self._hook(build, isolated, caller, METADATA, {"metadata_directory": metadata})

    def _hook(
        self, build: _Build, isolated: Mapping[str, str], caller: Any, hook: str, arguments: dict[str, str]
    ) -> Any:
        output = answer = None

        def runner(command: Any, cwd: Any = None, extra_environ: Mapping[str, str] | None = None) -> None:
            nonlocal output, answer
            environ = {**isolated, **(extra_environ or {})}
            status, output = self._jobs.run(command, cwd, environ)
            if status:
                raise _Failed(f"{hook} ended with {status}")
            with open(os.path.join(command[-1], "output.json"), "rb") as file:
                answer = file.read()

        with caller.subprocess_runner(runner):
            returned = getattr(caller, hook)(**arguments)
        made = os.path.join(arguments["metadata_directory"], returned) if arguments else ""
        if made and (os.path.basename(returned) != returned or not os.path.isdir(made)):
            raise _Failed(f"{hook} names {returned!r}")
        assert answer is not None and output is not None
        build.give(hook, _Result(answer, output, made))
        return returned


def _needed() -> tuple[Any, ...]:
    """Return the functions whose seams all of this rests on."""
    module = sys.modules[_ByProcess.__module__] if isinstance(_ByProcess, type) else build_env
    return module.call_subprocess, module.open_spinner, sdist.runner_with_spinner_message


def _load_pyproject(source: str, name: str) -> Any:
    names = inspect.signature(pyproject.load_pyproject_toml).parameters
    first: dict[str, Any] = {"use_pep517": None} if "use_pep517" in names else {}
    return pyproject.load_pyproject_toml(
        **first, pyproject_toml=os.path.join(source, "pyproject.toml"),
        setup_py=os.path.join(source, "setup.py"), req_name=name,
    )


def _isolated(environment: Any, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that pip's environment sets where it is entered."""
    path = [*environment._bin_dirs, *filter(None, environ.get("PATH", "").split(os.pathsep))]
    return {**environ, "PATH": os.pathsep.join(path), "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": environment._site_dir}


def begin(resolver: Any, environ: Mapping[str, str]) -> BuildsAhead | None:
    """Return what builds ahead for this resolution; None where that would not be what pip does.

    :param environ: the run's variables.
    """
    context, run, preparer = builds_context.current(), lifetime.current(), resolver.factory.preparer
    installer = getattr(preparer, "build_env_installer", None)
    if (
        context is None
        or run.settings.builds < 2
        or run.layout() is None
        # What the processes print is printed.
        or logging.getLogger().getEffectiveLevel() <= VERBOSE
        # Nothing is run that pip has not checked.
        or preparer.require_hashes
        or preparer.build_isolation not in (True, "virtual")
        or getattr(context.options, "config_settings", None)
        # What builds need is built from source, too, compiled parts and all.
        or ":all:" in resolver.factory._finder.format_control.no_binary
        # Everything would be left there.
        or getattr(context.options, "no_clean", False)
        or not isinstance(installer, _ByProcess)
        # A seam that is not attached leaves pip's function as it is.
        or not all(hasattr(each, "__wrapped__") for each in _needed())
    ):
        return None
    return BuildsAhead(installer, environ, run.settings.builds)


@contextmanager
def instead_of(instance: Any, hook: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Within the block, let pip's next process be what was done ahead of it."""
    ahead, link = lifetime.current().builds_ahead, getattr(instance.config_holder, "link", None)
    build = None
    if ahead is not None and link is not None and not arguments.get("config_settings"):
        build = ahead.find(link.url_without_fragment, hook)
    if build is None:
        yield
        return
    _thread.taken = _Taken(build, hook, arguments)
    try:
        yield
    finally:
        _thread.taken = None


@dataclass(frozen=True, slots=True)
class _Taken:
    """One hook that pip calls, and the build that has its result or will have it."""

    build: _Build
    hook: str
    arguments: Mapping[str, Any]

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
            call_subprocess(cmd, command_desc=message, cwd=cwd, extra_environ=extra, spinner=spinner)

    def _gives(self, result: _Result, cmd: Any, source: str) -> bool:
        made = ""
        try:
            if result.made:
                made = os.path.join(str(self.arguments["metadata_directory"]), os.path.basename(result.made))
                shutil.copytree(result.made, made)
                self.build.hand_over(source)
            with open(os.path.join(cmd[-1], "output.json"), "wb") as file:
                file.write(result.answer)
        except OSError:
            logger.debug("pipfast: %s of %s is left to pip", self.hook, self.build.name, exc_info=True)
            shutil.rmtree(made, ignore_errors=True)
            return False
        return True


def _around_runner_with_spinner_message(
    wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any
) -> Any:
    """Hand pip a runner that knows what ran already."""
    original, message = wrapped(*args, **kwargs), args[0] if args else kwargs["message"]

    def runner(cmd: Any, cwd: Any = None, extra_environ: Any = None) -> None:
        taken, _thread.taken = getattr(_thread, "taken", None), None
        if taken is None or cmd[-2] != taken.hook:
            original(cmd, cwd=cwd, extra_environ=extra_environ)
        else:
            taken.run(message, cmd, cwd, extra_environ)

    return runner


def _around_call_subprocess(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """In a thread of ours, start a process that ends with the run."""
    ours = of_thread()
    if ours is None:
        return wrapped(*args, **kwargs)
    # Copies: what one build does to an environment, no other one that is under way sees.
    environ = {**ours.environ, **(kwargs.get("extra_environ") or {}), "PIPFAST_LINK_MODE": "copy"}
    status, output = ours.jobs.run(args[0] if args else kwargs["cmd"], kwargs.get("cwd"), environ)
    if status:
        raise _Failed(output)
    return output


def _around_open_spinner(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Show nothing of what is done beside pip."""
    return nullcontext() if of_thread() is not None else lively(wrapped(*args, **kwargs))


def forget() -> None:
    """End what is under way; pip removes the environments that it belongs to."""
    run = lifetime.current()
    ahead, run.builds_ahead = run.builds_ahead, None
    if ahead is not None:
        ahead.close()
