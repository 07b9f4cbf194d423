"""Source distributions that are built beside pip: the same steps in the same kind of environment, ahead of it.

pip goes through its own steps afterwards, with its own messages, and finds each hook's result where it would
wait for a process. What fails here is forgotten, and pip builds it as ever: its errors are its own.

Where no wheel is wanted, the tree that the hooks ran in is put in the place of pip's. Where one is, the tree stays
here until that is built; if it cannot be, the first two hooks run once more in pip's tree, and pip goes on.
"""

from __future__ import annotations

import inspect
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal import build_env, pyproject
from pip._internal.distributions import sdist
from pip._internal.utils.logging import VERBOSE
from pip._internal.utils.unpacking import unpack_file
from pip._vendor.pyproject_hooks import BuildBackendHookCaller

from pipfast.builds.native import has_native_code
from pipfast.report import logger, timed
from pipfast_hooks.builds import context as builds_context
from pipfast_hooks.builds.built_wheels import prepare
from pipfast_hooks.builds.environments import shared
from pipfast_hooks.builds.jobs import Ended, Hooks, Jobs, in_thread, of_thread
from pipfast_hooks.output import records
from pipfast_hooks.output.progress import Progress, lively
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from pipfast_hooks.call import Call

REQUIRES, METADATA, WHEEL = "get_requires_for_build_wheel", "prepare_metadata_for_build_wheel", "build_wheel"
"""The hooks of a wheel, in their order (PEP 517); the resolver waits for the first two."""

MAKES = {METADATA: "metadata_directory", WHEEL: "wheel_directory"}
"""The argument that names where a hook makes what it returns the name of."""

_ByProcess = getattr(build_env, "SubprocessBuildEnvironmentInstaller", ())
"""pip's installer that has no state of its own; since 25.2, and not the only one since 26.1."""

_REMOVALS = 5
"""How often a folder is removed that does not go."""

_SPIN_S = 0.1
"""Seconds between two turns of pip's spinner."""


class _Failed(Exception):
    """A step did not succeed; pip will do it again and say so."""


@dataclass(slots=True)
class Result:
    """What one hook has given."""

    answer: bytes
    """The JSON that pip reads."""
    output: str
    made: str = ""
    """The folder or file that the hook has made."""


@dataclass(slots=True)
class Build:
    """One source distribution that is built ahead."""

    name: str
    archive: Path
    filename: str
    with_wheel: bool
    """A wheel is built as well."""
    folder: str = ""
    """Where all of it is; names with an underscore are no project's."""
    hooks: Hooks | None = None
    started: bool = False
    hastened: bool = False
    """It does not wait for its turn."""
    abandoned: bool = False
    results: dict[str, Result] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    over: bool = False
    filled: Hashable = None
    """What the content of its environment depends on, once that is there; as pip's requirements name it."""
    given: str = ""
    """The copy of the metadata that pip was given."""

    def give(self, hook: str, result: Result) -> None:
        """Note a result, for who waits."""
        with self.changed:
            self.results[hook] = result
            self.changed.notify_all()

    def hand_over(self, source: str) -> None:
        """Put the tree that the hooks ran in, with what they have left there, in the place of pip's.

        :raises OSError: pip's own is where it was.
        """
        aside = os.path.join(self.folder, "pips_own")
        os.rename(source, aside)
        try:
            os.rename(os.path.join(self.folder, self.name), source)
        except OSError:
            os.rename(aside, source)
            raise

    def folder_for(self, hook: str) -> str:
        """Return where a hook is to make what it makes."""
        path = os.path.join(self.folder, hook)
        os.makedirs(path, exist_ok=True)
        return path

    def has_filled(self, key: Hashable) -> None:
        """Note that the environment is filled, for who waits."""
        with self.changed:
            self.filled = False if key is None else key
            self.changed.notify_all()

    def wait_filled(self, key: Hashable, spinner: Any) -> bool:
        """Wait until the environment is filled, or nothing is to come; tell whether it is what pip asks for."""
        with self.changed:
            while self.filled is None and not self.over:
                self.changed.wait(_SPIN_S)
                if isinstance(spinner, Progress):
                    spinner.spin()
            return self.filled == key

    def gives(self, hook: str) -> bool:
        """Tell whether a hook's result is there, or may come."""
        return hook in self.results or not self.over

    def wait(self, hook: str, spinner: Any) -> Result | None:
        """Return a hook's result as soon as it is there; None if there will be none."""
        said = 0
        with self.changed:
            while hook not in self.results and not self.over:
                self.changed.wait(_SPIN_S)
                if isinstance(spinner, Progress):
                    spinner.said(self.hooks.last_line() if self.hooks is not None else "")
                    spinner.spin()
                elif self.hooks is not None and self.hooks.printed() != said:
                    # As pip: where nothing moves, only what is printed is a reason to say something.
                    said = self.hooks.printed()
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
        self._builds: dict[str, Build] = {}
        self._stopped = False

    def begin(self, name: str, link: Any, archive: Path) -> None:
        """Build what has arrived; returns at once."""
        url = link.url_without_fragment
        with self._lock:
            if not self._stopped and url not in self._builds:
                build = self._builds[url] = Build(name, archive, link.filename, self._wheels)
                self._jobs.submit(lambda: self._make(build))

    def begun(self, url: str) -> Build | None:
        """Return the build of a source, whose turn it is now at the latest: pip waits for it."""
        with self._lock:
            build = self._builds.get(url)
            if build is None or build.abandoned:
                return None
            if not build.started and not build.hastened:
                build.hastened = self._jobs.start(lambda: self._make(build))
                if not build.hastened:
                    # Whoever is to begin it may be waiting for others.
                    build.abandoned = True
                    return None
            return build

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
            _remove(build.folder)
        self._builds.clear()

    def _make(self, build: Build) -> None:
        with self._lock:
            if build.abandoned or build.started:
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
                self._steps(build, environ)
        except (Ended, _Failed) as error:
            logger.debug("pipfast: %s is not built ahead: %r", build.name, error)
        except Exception:
            logger.debug("pipfast: %s is not built ahead", build.name, exc_info=True)
        finally:
            with build.changed:
                build.over = True
                build.changed.notify_all()

    def _steps(self, build: Build, environ: Mapping[str, str]) -> None:
        """Do what pip's ``SourceDistribution`` does."""
        source = os.path.join(build.folder, build.name)
        # The suffix tells pip what kind of archive it is; the store's files have none.
        archive = os.path.join(build.folder, build.filename)
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
        build.has_filled(shared.key_of(environment._prefixes["overlay"].path))
        caller = BuildBackendHookCaller(source, details.backend, backend_path=details.backend_path)
        with closing(Hooks(self._jobs, build.folder)) as build.hooks:
            backend = _Backend(build, build.hooks, environment, _isolated(environment, environ), caller)
            requires = backend.call(REQUIRES)
            conflicting, missing = environment.check_requirements(requires)
            if conflicting:
                raise _Failed("requirements conflict")
            if missing:
                build.hooks.renew()
                environment.install_requirements(missing, "normal", kind="backend dependencies", for_req=None)
            made = backend.call(METADATA, metadata_directory=build.folder_for(METADATA))
            if build.with_wheel:
                metadata = os.path.join(build.folder_for(METADATA), made)
                backend.call(WHEEL, wheel_directory=build.folder_for(WHEEL), metadata_directory=metadata)


@dataclass(frozen=True, slots=True)
class _Backend:
    """The backend of a source, in its environment."""

    build: Build
    hooks: Hooks
    environment: Any
    environ: Mapping[str, str]
    caller: Any

    def call(self, hook: str, **arguments: str) -> Any:
        """Run a hook, and give its result to who waits for it.

        :raises _Failed: it has none.
        """
        output = answer = None

        def runner(command: Any, cwd: Any = None, extra_environ: Mapping[str, str] | None = None) -> None:
            nonlocal output, answer
            environ = {**self.environ, **(extra_environ or {})}
            status, output = self.hooks.run(command, cwd, environ, urgent=hook != WHEEL)
            # pip's own environment would not have that, and its later hooks run there.
            if not all(shared.is_unchanged(each.path) for each in self.environment._prefixes.values()):
                raise _Failed("a build has changed what it is built with")
            if status:
                raise _Failed(f"{hook} ended with {status}")
            with open(os.path.join(command[-1], "output.json"), "rb") as file:
                answer = file.read()

        with self.caller.subprocess_runner(runner):
            returned = getattr(self.caller, hook)(**arguments)
        made = os.path.join(arguments[MAKES[hook]], returned) if hook in MAKES else ""
        if made and (os.path.basename(returned) != returned or not os.path.exists(made)):
            raise _Failed(f"{hook} names {returned!r}")
        assert answer is not None and output is not None
        if hook == WHEEL and current_run().intent.installs:
            prepare(Path(made))
        self.build.give(hook, Result(answer, output, made))
        return returned


def _remove(folder: str) -> None:
    """Remove a folder that processes which were just ended may have written to in the last moment."""
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(_SPIN_S)


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
    context, run, preparer = builds_context.current(), current_run(), resolver.factory.preparer
    installer = getattr(preparer, "build_env_installer", None)
    if (
        context is None
        or run.settings.builds < 2
        or not run.store.layout.keeps
        # What is begun can be ended with all that it has started.
        or not hasattr(os, "killpg")
        # What the processes print is printed.
        or logging.getLogger().getEffectiveLevel() <= VERBOSE
        # Nothing is run that pip has not checked.
        or preparer.require_hashes
        or preparer.build_isolation not in (True, "virtual")
        or getattr(context.options, "config_settings", None)
        # Some pips say once that it does not count for builds, where they come to the first.
        or environ.get("PIP_CONSTRAINT")
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


def _around_call_subprocess(call: Call) -> Any:
    """In a thread of ours, start a process that ends with the run."""
    ours = of_thread()
    if ours is None:
        return call.original()
    environ = {**ours.environ, **(call.get("extra_environ") or {})}
    with ours.jobs.turn(urgent=True):
        status, output = ours.jobs.run(call["cmd"], call.get("cwd"), environ)
    if status:
        raise _Failed(output)
    return output


def _around_open_spinner(call: Call) -> Any:
    """Show nothing of what is done beside pip, and nothing twice."""
    if of_thread() is not None:
        return nullcontext()
    return shared.opened_or(lambda _: lively(call.original()), call["message"])


def resolved() -> None:
    """Let nothing more begin; what pip will not ask for any more is ended."""
    ahead = current_run().builds_ahead
    if ahead is not None and not ahead.resolved():
        forget()


def forget() -> None:
    """End what is under way; pip removes the environments that it belongs to."""
    run = current_run()
    ahead, run.builds_ahead = run.builds_ahead, None
    if ahead is not None:
        ahead.close()
