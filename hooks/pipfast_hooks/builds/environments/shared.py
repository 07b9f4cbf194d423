"""Isolated build environments, copied where requirements are equal.

A source that is built beside pip has an environment already. The one that pip asks for then holds only the
metadata of distributions, until a process of pip's own is about to run there.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
import threading
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pip._internal.cli.spinners import open_spinner
from pip._internal.utils.logging import VERBOSE
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import logger, timed
from pipfast.system.copying import copy_bytes
from pipfast_hooks.builds.context import Context
from pipfast_hooks.builds.jobs import of_thread
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from pipfast_hooks.call import Call

    Facts = tuple[int, ...]
    """What tells a file from a changed one."""

_OF_ONE_BUILD = ("PIP_BUILD_TRACKER", "TMPDIR")
"""Variables that each build beside pip sets; what is installed does not depend on them."""


class _Changed(Exception):
    """A file has changed since it was installed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Request of pip's to fill an environment."""

    key: Hashable
    """Everything that its content depends on."""
    projects: frozenset[str]
    """Canonical names in its requirements."""
    path: str
    message: str
    installer: Any
    """pip's. Its ``id()`` is in the key, and must not be given to another while the key is in use."""
    install: Callable[[], Any]


class Environments(Part):
    """The environments of a run."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._made: dict[Hashable, str] = {}
        self._installers: list[Any] = []
        self._locks: dict[Hashable, threading.Lock] = {}
        self._projects: dict[str, threading.Lock] = {}
        self._files: dict[str, dict[str, Facts]] = {}
        """Path of an environment to its files, as they were before any build could change them."""
        self._keys: dict[str, Hashable] = {}
        self._later: dict[int, Asked] = {}
        """``id()`` of pip's requirement to the environment that is filled when something is to run in it."""
        self._spinner: Any = None
        self._is_silent = False
        """pip does something again, of which the user was told."""

    def asked(self, call: Call) -> Asked | None:
        """Return what pip asks its installer for; None if the result must not be copied."""
        requirements, ours = tuple(sorted(call["requirements"])), of_thread()
        if (
            self.run.find(Context) is None
            or not self.run.store.layout.keeps
            # pip shows the output of the process that fills it.
            or logging.getLogger().getEffectiveLevel() <= VERBOSE
            # pip warns about it each time.
            or os.environ.get("PIP_CONSTRAINT")
            # The scripts in it name its own interpreter.
            or getattr(call["prefix"], "venv_executable", None)
            # A direct reference: its content may change.
            or any("@" in each for each in requirements)
        ):
            return None
        finder = call.instance.finder
        control = finder.format_control
        environ = ours.environ if ours is not None else os.environ
        key = (
            id(call.instance), requirements, tuple(finder.index_urls), tuple(finder.find_links),
            frozenset(control.no_binary), frozenset(control.only_binary), finder.prefer_binary,
            os.getcwd(), frozenset((name, value) for name, value in environ.items() if name not in _OF_ONE_BUILD),
        )
        projects = frozenset(map(_project, requirements))
        message = f"Installing {call['kind']}"
        return Asked(key, projects, call["prefix"].path, message, call.instance, call.original)

    def install(self, asked: Asked) -> Any:
        """Fill an environment as an equal one was filled in this run, else as pip does."""
        # A second thread waits for the first: to copy takes less time than to fill.
        with self._lock(asked.key):
            filled = False
            with guarded("a build environment is not taken from another one"):
                filled = not os.path.exists(asked.path) and self._reused(asked.key, asked.path)
            if filled:
                if of_thread() is None:
                    with self.opened_or(open_spinner, asked.message) as spinner:
                        spinner.finish("done")
                return None
            wanted = ", ".join(sorted(asked.projects))
            with self._alone(asked.projects), timed("environment", name=wanted):
                result = asked.install()
            with guarded("a build environment is not used again"):
                self._keys[asked.path] = asked.key
                self.note_files(asked.path)
                if asked.key not in self._made:
                    self._made[asked.key] = asked.path
                    self._installers.append(asked.installer)
            return result

    def install_later(self, requirement: Any, asked: Asked) -> bool:
        """Put only metadata into a requirement's environment, and the rest on ``fill``; False if there is none."""
        with guarded("a build environment is filled at once"), self._lock(asked.key):
            is_of_metadata = lambda path: os.path.dirname(path).endswith(".dist-info")  # noqa: E731
            if not os.path.exists(asked.path) and self._reused(asked.key, asked.path, is_of_metadata):
                self._later[id(requirement)] = asked
                return True
        return False

    def fill(self, requirement: Any) -> None:
        """Fill the environment of a requirement if that was put off: something is about to run there."""
        later = self._later.pop(id(requirement), None)
        if later is not None:
            with self._lock(later.key):
                filled = self._reused(later.key, later.path)
            if not filled:
                # pip has said already that it is filled.
                self._is_silent = True
                try:
                    later.install()
                    self.note_files(later.path)
                finally:
                    self._is_silent = False

    def note_files(self, path: str) -> None:
        """Note what is in an environment that was just filled."""
        self._files[path] = _state(path)

    def key_of(self, path: str) -> Hashable:
        """Return the key of an environment; None if it has none."""
        return self._keys.get(path)

    def is_unchanged(self, path: str) -> bool:
        """Tell whether all files of an environment are as they were when it was filled."""
        files = self._files.get(path, {})
        try:
            return all(_facts(os.lstat(os.path.join(path, each))) == facts for each, facts in files.items())
        except OSError:
            return False

    @contextmanager
    def shown(self, spinner: Any) -> Iterator[None]:
        """Have pip use this spinner in the block, in the place of a new one."""
        self._spinner = spinner
        try:
            yield
        finally:
            self._spinner = None

    def opened_or(self, opening: Callable[[str], Any], message: str) -> Any:
        """Return the context of the spinner that is shown, else of a new one; of none if pip is to be silent."""
        if self._is_silent:
            return nullcontext()
        return nullcontext(self._spinner) if self._spinner is not None else opening(message)

    def _lock(self, key: Hashable) -> threading.Lock:
        return self._locks.setdefault(key, threading.Lock())

    @contextmanager
    def _alone(self, projects: Iterable[str]) -> Iterator[None]:
        """Have no two environments with a common project filled at once: the second finds it in the store."""
        with ExitStack() as held:
            # Sorted: no two threads wait for each other.
            for name in sorted(projects):
                held.enter_context(self._projects.setdefault(name, threading.Lock()))
            yield

    def _reused(self, key: Hashable, target: str, wanted: Callable[[str], bool] = bool) -> bool:
        """Fill ``target`` with copies from the environment of a key; False if there is none, or it has changed."""
        root = self._made.pop(key, None)
        if root is None:
            return False
        state, folders = self._files.pop(target, {}), set()
        try:
            for path, facts in self._files[root].items():
                source, copy = os.path.join(root, path), os.path.join(target, path)
                if not wanted(path) or os.path.lexists(copy):
                    continue
                folder = os.path.dirname(copy)
                if folder not in folders:
                    folders.add(folder)
                    os.makedirs(folder, exist_ok=True)
                _copy(source, copy)
                state[path] = _facts(os.lstat(copy))
                # After the copy: a build may be changing files there just now.
                if _facts(os.lstat(source)) != facts:
                    raise _Changed(source)
        except (OSError, _Changed) as error:
            logger.debug("pipfast: a build environment is made once more (%r)", error)
            shutil.rmtree(target, ignore_errors=True)
            return False
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        self._made[key], self._keys[target], self._files[target] = root, key, state
        return True


def _project(requirement: str) -> str:
    try:
        return str(canonicalize_name(Requirement(requirement).name))
    except InvalidRequirement:
        return requirement


def _copy(source: str, target: str) -> None:
    if os.path.islink(source):
        shutil.copy2(source, target, follow_symlinks=False)
        return
    with open(source, "rb", buffering=0) as read, open(target, "xb", buffering=0) as written:
        found = os.fstat(read.fileno())
        copy_bytes(read.fileno(), written.fileno(), found.st_size)
        os.fchmod(written.fileno(), stat.S_IMODE(found.st_mode))
        os.utime(written.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))


def _state(root: str) -> dict[str, Facts]:
    found = {}
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = _facts(os.lstat(path))
    return found


def _facts(status: os.stat_result) -> Facts:
    # The change time cannot be set back.
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
