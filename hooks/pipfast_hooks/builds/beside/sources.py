"""Source distributions that are built beside pip, in environments like pip's.

pip goes through its own steps afterwards, with its own messages, and takes the result of each hook in the place of
a process. pip repeats what fails here, and its errors are its own.

Where no wheel is wanted, pip gets the tree that the hooks ran in. Where one is, the tree stays here until the
wheel is built; if that fails, the first two hooks run again in pip's tree, and pip goes on.
"""

from __future__ import annotations

import inspect
import logging
import os
import shutil
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal import build_env, pyproject
from pip._internal.distributions import sdist
from pip._internal.operations.build import metadata, wheel
from pip._internal.utils.logging import VERBOSE
from pip._internal.utils.unpacking import unpack_file
from pip._vendor.pyproject_hooks import BuildBackendHookCaller

from pipfast.builds.hook_names import METADATA, REQUIRES, WHEEL, WheelHook
from pipfast.builds.native import has_native_code
from pipfast_hooks.attach import has_seams
from pipfast_hooks.builds.beside.build import Build, Failed, call_hook
from pipfast_hooks.builds.beside.builder import Builder, prepare
from pipfast_hooks.builds.beside.host import Hooks
from pipfast_hooks.builds.environments.runner import runner_of
from pipfast_hooks.builds.environments.shared import Environments
from pipfast_hooks.builds.guard import Guard
from pipfast_hooks.builds.jobs import Jobs, in_thread
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipfast_hooks.builds.context import Context

# pip's installer that starts a process, and has no state; since 25.2, and one of two since 26.1.
_ByProcess = getattr(build_env, "SubprocessBuildEnvironmentInstaller", ())


@dataclass(frozen=True, slots=True)
class Recipe:
    """How pip builds the sources of a resolution."""

    installer: Any
    environ: Mapping[str, str]
    with_wheels: bool
    """pip will build wheels of what the resolver chooses."""


class SourceBuilds(Part):
    """Builds of one resolution, by the addresses of their sources."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        # Made first, so that they end after the builds.
        runner_of(run)
        self._environments = run.part(Environments)
        self.builder = Builder(Jobs(run.part(Guard), run.settings.builds))

    def begin(self, name: str, link: Any, archive: Path, recipe: Recipe) -> None:
        """Begin to build a source that has arrived; return at once."""
        make = partial(self._make, archive=archive, filename=link.filename, recipe=recipe)
        build = Build(name, make, has_own_tree=True, with_wheel=recipe.with_wheels)
        self.builder.begin(link.url_without_fragment, build)

    def give_way(self) -> None:
        """End all builds and remove their folders."""
        self.builder.close()

    def _make(self, build: Build, archive: Path, filename: str, recipe: Recipe) -> None:
        environ = {
            **recipe.environ,
            # pip sees a circle in what another build with the same tracker is building.
            "PIP_BUILD_TRACKER": tempfile.mkdtemp(prefix="tracker-", dir=build.folder),
            # Files that its processes leave behind are removed with the folder.
            "TMPDIR": tempfile.mkdtemp(prefix="tmp-", dir=build.folder),
        }
        with in_thread(self.builder.jobs, environ), build.timed():
            source = os.path.join(build.folder, build.name)
            # pip reads the kind of archive from the suffix; the store's files have none.
            copied = os.path.join(build.folder, filename)
            shutil.copyfile(archive, copied)
            unpack_file(copied, source)
            os.unlink(copied)
            if has_native_code(source):
                raise Failed("what is compiled is built alone")
            self._build(build, source, recipe.installer, environ)

    def _build(self, build: Build, source: str, installer: Any, environ: Mapping[str, str]) -> None:
        """Prepare metadata, and build a wheel if one is wanted, with the steps of pip's ``SourceDistribution``."""
        details = _load_pyproject(source, build.name)
        if details is None:
            raise Failed("no PEP 517")
        kind = getattr(build_env, "VirtualBuildEnvironment", None) or build_env.BuildEnvironment
        environment = kind(installer)
        environment.install_requirements(details.requires, "overlay", kind="build dependencies", for_req=None)
        if any(environment.check_requirements(details.check)):
            raise Failed("requirements conflict or are missing")
        build.has_filled(self._environments.key_of(environment._prefixes["overlay"].path))
        caller = BuildBackendHookCaller(source, details.backend, backend_path=details.backend_path)
        with closing(Hooks(self.builder.jobs, build.folder, are_several=True)) as build.hooks:
            path = [*environment._bin_dirs, *filter(None, environ.get("PATH", "").split(os.pathsep))]
            isolated = {**environ, "PATH": os.pathsep.join(path), "PYTHONNOUSERSITE": "1",
                        "PYTHONPATH": environment._site_dir}
            call = partial(self._call, build, build.hooks, environment, isolated, caller)
            conflicting, missing = environment.check_requirements(call(REQUIRES))
            if conflicting:
                raise Failed("requirements conflict")
            if missing:
                build.hooks.renew()
                environment.install_requirements(missing, "normal", kind="backend dependencies", for_req=None)
            made = call(METADATA, metadata_directory=build.folder_for(METADATA))
            if build.with_wheel:
                metadata = os.path.join(build.folder_for(METADATA), made)
                call(WHEEL, wheel_directory=build.folder_for(WHEEL), metadata_directory=metadata)

    def _call(
        self, build: Build, hooks: Hooks, environment: Any, environ: Mapping[str, str], caller: Any,
        hook: WheelHook, **arguments: str,
    ) -> Any:
        def run(command: Any, cwd: str, extra: Mapping[str, str]) -> str:
            status, output = hooks.run(command, cwd, {**environ, **extra}, urgent=hook != WHEEL)
            # pip's environment would lack the change, and pip runs the later hooks there.
            if not all(self._environments.is_unchanged(each.path) for each in environment._prefixes.values()):
                raise Failed("a build has changed what it is built with")
            if status:
                raise Failed(f"{hook} ended with {status}")
            return output

        with build.timed(hook):
            returned, result = call_hook(caller, hook, run, **arguments)
        if hook == WHEEL and self.run.intent.installs:
            # Before pip, given the result, moves the file.
            prepare(self.run, Path(result.made))
        build.give(hook, result)
        return returned


def _load_pyproject(source: str, name: str) -> Any:
    names = inspect.signature(pyproject.load_pyproject_toml).parameters
    first: dict[str, Any] = {"use_pep517": None} if "use_pep517" in names else {}
    return pyproject.load_pyproject_toml(
        **first, pyproject_toml=os.path.join(source, "pyproject.toml"),
        setup_py=os.path.join(source, "setup.py"), req_name=name,
    )


def recipe_for(run: Run, context: Context) -> Recipe | None:
    """Return how to build sources for the current resolver; None where only pip itself is to build."""
    factory = context.resolver.factory
    preparer = factory.preparer
    installer = getattr(preparer, "build_env_installer", None)
    module: Any = sys.modules[_ByProcess.__module__] if isinstance(_ByProcess, type) else build_env
    if (
        run.settings.builds < 2
        or not run.store.layout.keeps
        # A build must be ended with all that it has started.
        or not hasattr(os, "killpg")
        # pip shows the output of its processes.
        or logging.getLogger().getEffectiveLevel() <= VERBOSE
        # pip checks an archive before it runs anything of it.
        or preparer.require_hashes
        or preparer.build_isolation not in (True, "virtual")
        or getattr(context.options, "config_settings", None)
        # Some pips warn about it once, at the first build.
        or context.variables.get("PIP_CONSTRAINT")
        # Build requirements are built from source as well, with all that is to be compiled.
        or ":all:" in factory._finder.format_control.no_binary
        # pip would leave all folders there.
        or getattr(context.options, "no_clean", False)
        or not isinstance(installer, _ByProcess)
        # A function without its seam is pip's own. Each hook passes through two of the last four: a process of
        # pip's would find an environment that is to be filled later.
        or not has_seams(module, "call_subprocess", "open_spinner")
        or not has_seams(BuildBackendHookCaller, "_call_hook")
        or not all(has_seams(each, "runner_with_spinner_message") for each in (sdist, metadata, wheel))
    ):
        return None
    options = context.options
    wheels = getattr(options, "dry_run", None) is False or hasattr(options, "wheel_dir")
    return Recipe(installer, context.variables, wheels)
