"""Source distributions that are built beside pip: the same steps in the same kind of environment, ahead of it.

pip goes through its own steps afterwards, with its own messages, and finds each hook's result where it would
wait for a process. What fails here is forgotten, and pip builds it as ever: its errors are its own.

Where no wheel is wanted, the tree that the hooks ran in is put in the place of pip's. Where one is, the tree stays
here until that is built; if it cannot be, the first two hooks run once more in pip's tree, and pip goes on.
"""

from __future__ import annotations

import copy
import inspect
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, contextmanager, nullcontext, suppress
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
from pipfast_hooks.builds_jobs import Ended, Hooks, Jobs, in_thread, of_thread
from pipfast_hooks.builds_progress import Progress, lively

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

REQUIRES, METADATA, WHEEL = "get_requires_for_build_wheel", "prepare_metadata_for_build_wheel", "build_wheel"
"""The hooks of a wheel, in their order (PEP 517); the resolver waits for the first two."""

_MAKES = {METADATA: "metadata_directory", WHEEL: "wheel_directory"}
"""The argument that names where a hook makes what it returns the name of."""

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
    """The folder or file that the hook has made."""


@dataclass(slots=True)
class _Build:
    """One source distribution that is built ahead."""

    name: str
    archive: Path
    with_wheel: bool
    """A wheel is built as well."""
    folder: str = ""
    hooks: Hooks | None = None
    started: bool = False
    abandoned: bool = False
    results: dict[str, _Result] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    over: bool = False
    given: str = ""
    """The copy of the metadata that pip was given."""

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

    def gives(self, hook: str) -> bool:
        """Tell whether a hook's result is there, or may come."""
        return self.started and not self.abandoned and (hook in self.results or not self.over)

    def wait(self, hook: str, spinner: Any) -> _Result | None:
        """Return a hook's result as soon as it is there; None if there will be none."""
        with self.changed:
            while hook not in self.results and not self.over:
                self.changed.wait(_SPIN_S)
                if isinstance(spinner, Progress) and self.hooks is not None:
                    spinner.said(self.hooks.last_line())
                spinner.spin()
            return self.results.get(hook)


class BuildsAhead:
    """The builds of one resolution."""

    def __init__(self, installer: Any, environ: Mapping[str, str], at_once: int, wheels: bool) -> None:
        """Build nothing yet.

        :param wheels: wheels will be wanted of what the resolver chooses.
        """
        self._installer = installer
        self._environ = environ
        self._wheels = wheels
        self._jobs = Jobs(at_once)
        self._lock = threading.Lock()
        self._builds: dict[str, _Build] = {}
        self._stopped = False

    def begin(self, name: str, link: Any, archive: Path) -> None:
        """Build what has arrived; returns at once."""
        url = link.url_without_fragment
        with self._lock:
            if not self._stopped and url not in self._builds:
                build = self._builds[url] = _Build(name, archive, self._wheels)
                self._jobs.submit(lambda: self._make(build, link.filename))

    def find(self, url: str, hook: str) -> _Build | None:
        """Return the build that pip's call of a hook is about, if anything of it is here or may come to be."""
        with self._lock:
            build = self._builds.get(url)
            if build is None:
                return None
            if not build.started:
                # pip is here first: it need not wait for this one's turn.
                build.abandoned = True
            return build if build.gives(hook) or (hook == WHEEL and build.given) else None

    def gives_wheel(self, url: str) -> bool:
        """Tell whether the wheel of a source is here, or may come."""
        with self._lock:
            build = self._builds.get(url)
            return build is not None and bool(build.given) and build.gives(WHEEL)

    def resolved(self) -> bool:
        """Begin no more; False if nothing is to come of what has begun either."""
        with self._lock:
            self._stopped = True
            for build in self._builds.values():
                build.abandoned = build.abandoned or not build.started
        return self._wheels

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
        with closing(Hooks(self._jobs, build.folder)) as build.hooks:
            requires = self._hook(build, build.hooks, isolated, caller, REQUIRES, {})
            conflicting, missing = environment.check_requirements(requires)
            if conflicting:
                raise _Failed("requirements conflict")
            if missing:
                build.hooks.renew()
                environment.install_requirements(missing, "normal", kind="backend dependencies", for_req=None)
            folders = {hook: os.path.join(build.folder, name) for hook, name in _MAKES.items()}
            for each in folders.values():
                os.mkdir(each)
            wanted = {"metadata_directory": folders[METADATA]}
            made = self._hook(build, build.hooks, isolated, caller, METADATA, wanted)
            if build.with_wheel:
                wanted = {"metadata_directory": os.path.join(folders[METADATA], made)}
                self._hook(
                    build, build.hooks, isolated, caller, WHEEL, {**wanted, "wheel_directory": folders[WHEEL]}
                )

    def _hook(
        self, build: _Build, hooks: Hooks, isolated: Mapping[str, str], caller: Any, hook: str,
        arguments: dict[str, str],
    ) -> Any:
        output = answer = None

        def runner(command: Any, cwd: Any = None, extra_environ: Mapping[str, str] | None = None) -> None:
            nonlocal output, answer
            environ = {**isolated, **(extra_environ or {})}
            status, output = hooks.run(command, cwd, environ)
            if status:
                raise _Failed(f"{hook} ended with {status}")
            with open(os.path.join(command[-1], "output.json"), "rb") as file:
                answer = file.read()

        with caller.subprocess_runner(runner):
            returned = getattr(caller, hook)(**arguments)
        made = os.path.join(arguments[_MAKES[hook]], returned) if hook in _MAKES else ""
        there = os.path.isfile if hook == WHEEL else os.path.isdir
        if made and (os.path.basename(returned) != returned or not there(made)):
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
    options = context.options
    wheels = getattr(options, "dry_run", None) is False or hasattr(options, "wheel_dir")
    return BuildsAhead(installer, environ, run.settings.builds, wheels)


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
    _thread.taken = _Taken(build, hook, arguments, instance)
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
            if self.hook == WHEEL:
                self._catch_up()
            call_subprocess(cmd, command_desc=message, cwd=cwd, extra_environ=extra, spinner=spinner)

    def _gives(self, result: _Result, cmd: Any, source: str) -> bool:
        if self.hook == WHEEL and self.arguments.get("metadata_directory") != self.build.given:
            return False
        made = ""
        try:
            if result.made:
                made = os.path.join(str(self.arguments[_MAKES[self.hook]]), os.path.basename(result.made))
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


def _around_runner_with_spinner_message(
    wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any
) -> Any:
    """Hand pip a runner that knows what ran already."""
    return taking(wrapped(*args, **kwargs), args[0] if args else kwargs["message"])


def taking(original: Callable[..., None], message: str) -> Callable[..., None]:
    """Return a runner for pip's calls of hooks: it answers those of ``instead_of``; ``original`` has the rest."""

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


def resolved() -> None:
    """Let nothing more begin; what pip will not ask for any more is ended."""
    ahead = lifetime.current().builds_ahead
    if ahead is not None and not ahead.resolved():
        forget()


def forget() -> None:
    """End what is under way; pip removes the environments that it belongs to."""
    run = lifetime.current()
    ahead, run.builds_ahead = run.builds_ahead, None
    if ahead is not None:
        ahead.close()
