"""One isolated environment for each set of requirements and run: the next equal one is a copy of the first.

An environment that pip asks for, for a source that is built ahead, is the second one of that source: until a
process of pip's own is to run there, only what tells of the installed distributions is in it.
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

from pipfast.report import logger
from pipfast.system.copying import copy_bytes
from pipfast_hooks.builds import context
from pipfast_hooks.builds.beside.begun import begun
from pipfast_hooks.builds.jobs import of_thread
from pipfast_hooks.output.progress import lively
from pipfast_hooks.run import current_run
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from pipfast_hooks.call import Call


class _Changed(Exception):
    """A file is not what was installed."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """An environment that pip wants to be filled."""

    key: tuple[Any, ...]
    path: str
    message: str
    install: Callable[[], Any]
    """What pip would do."""


_OF_ONE_BUILD = ("PIP_BUILD_TRACKER", "TMPDIR")
"""Variables that a build ahead has values of its own for; what is installed does not depend on them."""

_made: dict[Hashable, str] = {}
"""By what its content depends on: an environment to take the next equal one from."""

_locks: dict[Hashable, threading.Lock] = {}
_names: dict[str, threading.Lock] = {}
"""By the project that a requirement names."""

_files: dict[str, dict[str, tuple[int, ...]]] = {}
"""By environment: what was put there, before any build could change it, and what tells it from a changed file."""

_keys: dict[str, Hashable] = {}
"""By environment: what its content depends on."""

_later: dict[int, _Asked] = {}
"""What is filled when something is to run in it; by ``id()`` of pip's requirement, which has the environment."""

_installers: list[Any] = []
"""pip's installers that ``_made`` has keys of: an ``id()`` is not given twice while they live."""


def _around_install(call: Call) -> Any:
    """Fill an environment as an equal one was filled in this run, else as pip does, and note what is in that."""
    try:
        key = _key(call)
        build = begun(call["for_req"]) if key is not None and of_thread() is None else None
    except Exception:
        logger.debug("pipfast: a build environment is not taken from another one", exc_info=True)
        key = build = None
    if key is None:
        result = call.original()
        if of_thread() is not None:
            # No other one is taken from it; whether a build has changed it is asked all the same.
            _files[call["prefix"].path] = _state(call["prefix"].path)
        return result
    asked = _Asked(key, call["prefix"].path, f"Installing {call['kind']}", call.original)
    if build is None:
        return _install(asked, call.instance)
    with lively(open_spinner(asked.message)) as spinner, _shown(spinner):
        if build.wait_filled(key, spinner) and _has_metadata(asked):
            _later[id(call["for_req"])] = asked
            return spinner.finish("done")
        return _install(asked, call.instance)


def _install(asked: _Asked, installer: Any) -> Any:
    # Who comes second waits for the first: that is sooner than filling another one.
    with _locks.setdefault(asked.key, threading.Lock()):
        if _is_filled(asked):
            if of_thread() is None:
                with opened_or(open_spinner, asked.message) as spinner:
                    spinner.finish("done")
            return None
        with _alone(asked.key[1]):
            result = asked.install()
        try:
            _keys[asked.path], _files[asked.path] = asked.key, _state(asked.path)
            if asked.key not in _made:
                _made[asked.key] = asked.path
                _installers.append(installer)
        except Exception:
            logger.debug("pipfast: a build environment is not used again", exc_info=True)
        return result


def _shown(spinner: Any) -> AbstractContextManager[None]:
    """Let pip go on with this spinner in the block, where it would open one."""
    return here.having(spinner=spinner)


def opened_or(opening: Callable[[str], Any], message: str) -> Any:
    """Return the spinner that is shown already as a context, else a new one; none for what is done once more."""
    if here.is_silent:
        return nullcontext()
    return nullcontext(here.spinner) if here.spinner is not None else opening(message)


def fill(requirement: Any) -> None:
    """Fill the environment of a requirement if that was put off: something is going to run in it."""
    later = _later.pop(id(requirement), None)
    if later is not None:
        with _locks.setdefault(later.key, threading.Lock()):
            filled = _reused(later.key, later.path)
        if not filled:
            _install_silently(later)


def _install_silently(asked: _Asked) -> None:
    """Do once more what pip has said already."""
    with here.having(is_silent=True):
        asked.install()
        _files[asked.path] = _state(asked.path)


def key_of(path: str) -> Hashable:
    """Return what the content of an environment depends on; None if it was not filled, or not by this."""
    return _keys.get(path)


def is_unchanged(path: str) -> bool:
    """Tell whether all that was installed into an environment is as it was then."""
    files = _files.get(path, {})
    try:
        return all(_facts(os.lstat(os.path.join(path, each))) == facts for each, facts in files.items())
    except OSError:
        return False


@contextmanager
def _alone(requirements: Iterable[str]) -> Iterator[None]:
    """Fill no two environments at once that both need some project: the second finds it downloaded, or built."""
    with ExitStack() as held:
        # In one order, so that no two of them ever wait for each other.
        for name in sorted({_project(each) for each in requirements}):
            held.enter_context(_names.setdefault(name, threading.Lock()))
        yield


def _project(requirement: str) -> str:
    try:
        return str(canonicalize_name(Requirement(requirement).name))
    except InvalidRequirement:
        return requirement


def _is_filled(asked: _Asked) -> bool:
    try:
        return not os.path.exists(asked.path) and _reused(asked.key, asked.path)
    except Exception:
        logger.debug("pipfast: a build environment is not taken from another one", exc_info=True)
        return False


def _has_metadata(asked: _Asked) -> bool:
    """Put what tells of the installed distributions into an environment that is to be filled later."""
    try:
        with _locks.setdefault(asked.key, threading.Lock()):
            return not os.path.exists(asked.path) and _reused(asked.key, asked.path, _is_of_metadata)
    except Exception:
        logger.debug("pipfast: a build environment is filled at once", exc_info=True)
        return False


def _key(call: Call) -> tuple[Any, ...] | None:
    """Return what the content of an environment depends on, or None if it is not to be used twice."""
    requirements, ours = tuple(sorted(call["requirements"])), of_thread()
    if (
        context.current() is None
        or not current_run().store.layout.keeps
        # What pip's child prints is printed.
        or logging.getLogger().getEffectiveLevel() <= VERBOSE
        # pip warns of it at each installation.
        or os.environ.get("PIP_CONSTRAINT")
        # Its scripts name its own interpreter.
        or getattr(call["prefix"], "venv_executable", None)
        # A place, of which the content may change.
        or any("@" in each for each in requirements)
    ):
        return None
    finder = call.instance.finder
    control = finder.format_control
    environ = dict(ours.environ if ours is not None else os.environ)
    for name in _OF_ONE_BUILD:
        environ.pop(name, None)
    return (
        id(call.instance), requirements, tuple(finder.index_urls), tuple(finder.find_links),
        frozenset(control.no_binary), frozenset(control.only_binary), finder.prefer_binary,
        os.getcwd(), frozenset(environ.items()),
    )


def _is_of_metadata(path: str) -> bool:
    return os.path.dirname(path).endswith(".dist-info")


def _reused(key: Hashable, target: str, wanted: Callable[[str], bool] = bool) -> bool:
    """Fill ``target`` with what was made for an equal set; False if there is none, or it was changed since.

    :param wanted: which of the files; those that are there already are left.
    """
    root = _made.pop(key, None)
    if root is None:
        return False
    state, folders = _files.pop(target, {}), set()
    try:
        for path, facts in _files[root].items():
            source, copy = os.path.join(root, path), os.path.join(target, path)
            if not wanted(path) or os.path.lexists(copy):
                continue
            folder = os.path.dirname(copy)
            if folder not in folders:
                folders.add(folder)
                os.makedirs(folder, exist_ok=True)
            _copy(source, copy)
            state[path] = _facts(os.lstat(copy))
            # Not before: that build may be under way.
            if _facts(os.lstat(source)) != facts:
                raise _Changed(source)
    except (OSError, _Changed) as error:
        logger.debug("pipfast: a build environment is made once more (%r)", error)
        shutil.rmtree(target, ignore_errors=True)
        return False
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    _made[key], _keys[target], _files[target] = root, key, state
    return True


def _copy(source: str, target: str) -> None:
    if os.path.islink(source):
        shutil.copy2(source, target, follow_symlinks=False)
        return
    with open(source, "rb", buffering=0) as read, open(target, "xb", buffering=0) as written:
        found = os.fstat(read.fileno())
        copy_bytes(read.fileno(), written.fileno(), found.st_size)
        os.fchmod(written.fileno(), stat.S_IMODE(found.st_mode))
        os.utime(written.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))


def _state(root: str) -> dict[str, tuple[int, ...]]:
    found = {}
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = _facts(os.lstat(path))
    return found


def _facts(status: os.stat_result) -> tuple[int, ...]:
    # The last one nobody can set back.
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def forget() -> None:
    """The run is over."""
    _made.clear()
    _files.clear()
    _keys.clear()
    _later.clear()
    _locks.clear()
    _names.clear()
    _installers.clear()
