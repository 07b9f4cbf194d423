"""One isolated environment for each set of requirements and run: the next equal one is links to the first."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pip._internal.cli.spinners import open_spinner
from pip._internal.utils.logging import VERBOSE
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import logger
from pipfast_hooks import builds_context, lifetime
from pipfast_hooks.builds_jobs import of_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class _Made:
    """What pip has put into an environment, from before any build could change it."""

    root: str
    files: dict[str, tuple[int, ...]]
    """What tells each one from a changed one, by its path below ``root``."""


class _Changed(Exception):
    """A file is not what was installed."""


_OF_ONE_BUILD = ("PIP_BUILD_TRACKER", "TMPDIR")
"""Variables that a build ahead has values of its own for; what is installed does not depend on them."""

_made: dict[Hashable, _Made] = {}
_locks: dict[Hashable, threading.Lock] = {}
_names: dict[str, threading.Lock] = {}
"""By the project that a requirement names."""

_installers: list[Any] = []
"""pip's installers that ``_made`` has keys of: an ``id()`` is not given twice while they live."""


def _around_install(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Fill an environment as an equal one was filled in this run, else as pip does, and note what is in that."""
    try:
        names = dict(zip(("requirements", "prefix"), args, strict=False)) | kwargs
        prefix, key = names["prefix"], _key(instance, names)
    except Exception:
        logger.debug("pipfast: a build environment is not taken from another one", exc_info=True)
        key = None
    if key is None:
        return wrapped(*args, **kwargs)
    # Who comes second waits for the first: that is sooner than filling another one.
    with _locks.setdefault(key, threading.Lock()):
        if _is_filled(key, prefix.path):
            if of_thread() is None:
                with open_spinner(f"Installing {names['kind']}") as spinner:
                    spinner.finish("done")
            return None
        with _alone(key[1]):
            result = wrapped(*args, **kwargs)
        if key not in _made:
            try:
                _made[key] = _Made(prefix.path, _state(prefix.path))
                _installers.append(instance)
            except Exception:
                logger.debug("pipfast: a build environment is not used again", exc_info=True)
        return result


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


def _is_filled(key: Hashable, path: str) -> bool:
    try:
        return not os.path.exists(path) and _reused(key, path)
    except Exception:
        logger.debug("pipfast: a build environment is not taken from another one", exc_info=True)
        return False


def _key(instance: Any, names: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return what the content of an environment depends on, or None if it is not to be used twice."""
    requirements, ours = tuple(sorted(names["requirements"])), of_thread()
    if (
        builds_context.current() is None
        or lifetime.current().layout() is None
        # What pip's child prints is printed.
        or logging.getLogger().getEffectiveLevel() <= VERBOSE
        # pip warns of it at each installation.
        or os.environ.get("PIP_CONSTRAINT")
        # Its scripts name its own interpreter.
        or getattr(names["prefix"], "venv_executable", None)
        # A place, of which the content may change.
        or any("@" in each for each in requirements)
    ):
        return None
    finder = instance.finder
    control = finder.format_control
    environ = dict(ours.environ if ours is not None else os.environ)
    for name in _OF_ONE_BUILD:
        environ.pop(name, None)
    return (
        id(instance), requirements, tuple(finder.index_urls), tuple(finder.find_links),
        frozenset(control.no_binary), frozenset(control.only_binary), finder.prefer_binary,
        os.getcwd(), frozenset(environ.items()),
    )


def _reused(key: Hashable, target: str) -> bool:
    """Fill ``target`` with what was made for an equal set; False if there is none, or it was changed since."""
    made = _made.pop(key, None)
    if made is None:
        return False
    try:
        for path, facts in made.files.items():
            source, copy = os.path.join(made.root, path), os.path.join(target, path)
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            _link_or_copy(source, copy)
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
    _made[key] = made
    return True


def _link_or_copy(source: str, target: str) -> None:
    # What is the store's is linked once more; RECORD, scripts and the like stay each environment's own.
    if of_thread() is None and os.lstat(source).st_nlink > 1 and lifetime.current().settings.link_mode != "copy":
        try:
            os.link(source, target, follow_symlinks=False)
            return
        except OSError as error:
            logger.debug("pipfast: %s is copied (%s)", source, error)
    shutil.copy2(source, target, follow_symlinks=False)


def _state(root: str) -> dict[str, tuple[int, ...]]:
    found = {}
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = _facts(os.lstat(path))
    return found


def _facts(status: os.stat_result) -> tuple[int, ...]:
    # The last one nobody can set back; it also changes when a stored file is linked elsewhere.
    changed = status.st_ctime_ns if status.st_nlink == 1 else 0
    return status.st_ino, status.st_size, status.st_mtime_ns, changed


def forget() -> None:
    """The run is over."""
    _made.clear()
    _locks.clear()
    _names.clear()
    _installers.clear()
