"""The library obstore, found beside pipfast's own installation."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from pipfast import dependencies
from pipfast.errors import PipfastError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

_OURS = ("obstore", "typing_extensions")
"""obstore and what it imports up to Python 3.12."""

_DIST_INFO = re.compile(r"pipfast-[^-]+\.dist-info")


class NoLibrary(PipfastError):
    """obstore is not there, or is not for this Python; ``str()`` says why."""

    hint = "install it beside pipfast: pip install 'pipfast[remote]'"


def load(folder: str) -> Any:
    """Import and return obstore with its stores and errors.

    One pipfast may run with any Python: that Python's own obstore, or none, does not count.

    :param folder: where pipfast is installed, see ``home``.
    :raises NoLibrary: there is none that this Python can use.
    """
    if not os.path.isdir(os.path.join(folder, "obstore")):
        raise NoLibrary(f"obstore is not installed in {folder}")
    _check_tags(folder)
    try:
        with _found_in(folder):
            module = import_module("obstore")
            import_module("obstore.store")
            import_module("obstore.exceptions")
    except Exception as error:
        raise NoLibrary(f"obstore in {folder} cannot be imported ({type(error).__name__}: {error})") from error
    return module


def home() -> str | None:
    """Return the folder in which pipfast is installed; None for a checkout that this Python knows nothing of."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    beside = os.path.dirname(here)
    # A checkout is installed in editable form: its metadata, and its libraries, are where that was done.
    return next((each for each in (beside, *sys.path) if each and _is_installed_in(each)), None)


def _is_installed_in(folder: str) -> bool:
    try:
        return any(map(_DIST_INFO.fullmatch, os.listdir(folder)))
    except OSError:
        return False


def _check_tags(folder: str) -> None:
    """Refuse a build for another Python before its compiled part is loaded: that may crash. Raises NoLibrary."""
    tags_module = dependencies.load("packaging", "tags").tags
    names = [each for each in os.listdir(folder) if re.fullmatch(r"obstore-[^-]+\.dist-info", each)]
    for name in names[:1]:
        try:
            with open(os.path.join(folder, name, "WHEEL"), encoding="utf-8") as file:
                lines = [line.partition(":")[2].strip() for line in file if line.startswith("Tag:")]
        except (OSError, ValueError):
            return
        tags = {tag for line in lines for tag in tags_module.parse_tag(line)}
        if tags and tags.isdisjoint(tags_module.sys_tags()):
            raise NoLibrary(f"obstore in {folder} is not for Python {sys.version_info[0]}.{sys.version_info[1]} "
                            f"({lines[0]})")


class _Beside:
    """Import hook that finds obstore, and what it imports, in one folder alone."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of one of these packages, None for every other module."""
        return PathFinder.find_spec(fullname, [self._folder]) if fullname in _OURS else None


@contextmanager
def _found_in(folder: str) -> Iterator[None]:
    finder: Any = _Beside(folder)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
