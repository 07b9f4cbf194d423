"""Modules that are executed when they are first used, not when they are imported.

Only for those that are imported as modules and used in functions; ``from module import name`` uses it at once.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder
from importlib.util import LazyLoader
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class _Finder:
    """Finds the listed modules as the import system would, and gives them a loader that waits."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the lazy spec of a listed module, None for every other one."""
        if fullname not in self.names or target is not None:
            return None
        spec = PathFinder.find_spec(fullname, path)
        # Packages' submodules would be found without their parents having been executed.
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = LazyLoader(spec.loader)
        return spec


def defer(names: Iterable[str]) -> _Finder | None:
    """From now on, let these modules wait; those that are imported already are left alone."""
    wanted = [name for name in names if name not in sys.modules]
    if not wanted:
        return None
    finder = _Finder(wanted)
    sys.meta_path.insert(0, finder)
    return finder


def load_all() -> None:
    """Execute what was deferred and imported; what is imported from now on is executed at once."""
    for finder in [each for each in sys.meta_path if isinstance(each, _Finder)]:
        sys.meta_path.remove(finder)
        for name in finder.names:
            module = sys.modules.get(name)
            if module is not None:
                # Any attribute will do.
                getattr(module, "__file__", None)


def stop() -> None:
    """Defer no more; what waits goes on waiting."""
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, _Finder)]


@contextmanager
def without(names: Iterable[str]) -> Iterator[None]:
    """Import something that imports these modules for functions we never call.

    They are forgotten afterwards: whoever else imports them gets them as ever.
    """
    finder = defer(names)
    try:
        yield
    finally:
        if finder is not None:
            sys.meta_path.remove(finder)
            for name in finder.names:
                sys.modules.pop(name, None)
