"""Lazy modules: executed at their first use, not at import.

Only for modules that are used in functions: ``from module import name`` uses one at once.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType


class _Finder:
    """Finds the listed modules as the import system would, and gives them a lazy loader."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the lazy spec of a listed module, None for every other one."""
        if fullname not in self.names or target is not None:
            return None
        spec = PathFinder.find_spec(fullname, path)
        # Not for packages: their submodules would be found before they are executed.
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = LazyLoader(spec.loader)
        return spec


def defer(names: Iterable[str]) -> _Finder | None:
    """Make these modules lazy from now on, but for those that are imported already."""
    wanted = [name for name in names if name not in sys.modules]
    if not wanted:
        return None
    finder = _Finder(wanted)
    sys.meta_path.insert(0, finder)
    return finder


def load_all() -> None:
    """Execute the lazy modules that were imported, and make no other one lazy."""
    for finder in [each for each in sys.meta_path if isinstance(each, _Finder)]:
        sys.meta_path.remove(finder)
        for name in finder.names:
            module = sys.modules.get(name)
            if module is not None:
                # Any attribute will do.
                getattr(module, "__file__", None)


def stop() -> None:
    """Make no further module lazy; those that are stay so."""
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, _Finder)]


@contextmanager
def without(names: Iterable[str]) -> Iterator[None]:
    """Keep these modules unexecuted while something is imported that needs them for functions we never call.

    Afterwards they leave ``sys.modules``, so that others import them as ever.
    """
    finder = defer(names)
    try:
        yield
    finally:
        if finder is not None:
            sys.meta_path.remove(finder)
            for name in finder.names:
                sys.modules.pop(name, None)
