"""Libraries that pipfast carries in its folder ``bundled``.

They are imported as submodules of this one (``from pipfast.dependencies.packaging.version import Version``), and
from that folder alone. The user's ``sys.path`` may have other copies: these are neither used nor hidden, since
``sys.modules`` has both under different names.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

from pipfast.errors import PipfastError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

NEEDED = ("packaging", "platformdirs", "wrapt")
"""Without one of these libraries pip runs alone."""

OPTIONAL = ("isal",)
"""Libraries that have a substitute."""

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bundled")
"""Filled when pipfast is built, by ``pipx_fast/bundle.py``."""

HINT = "install pipfast again"


class Unusable(PipfastError):
    """A library of ours is missing or broken."""

    hint = HINT

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name} {self.reason} ({os.path.join(FOLDER, self.name)})"


def load(name: str, *submodules: str) -> Any:
    """Import and return a library, and import some of its modules.

    :raises Unusable: it is missing or broken.
    """
    full = f"{__name__}.{name}"
    try:
        with _by_its_own_name(name, submodules):
            module = import_module(full)
            for each in submodules:
                import_module(f"{full}.{each}")
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == full:
            raise Unusable(name, "is missing") from error
        raise Unusable(name, f"is broken: {type(error).__name__}: {error}".replace(f"{__name__}.", "")) from error
    if not hasattr(module, "__version__"):
        raise Unusable(name, "is broken: it has no version")
    return module


def problems() -> list[Unusable]:
    """Return the needed libraries that cannot be used."""
    found = []
    for name in NEEDED:
        try:
            load(name)
        except Unusable as error:
            found.append(error)
    return found


def versions() -> dict[str, str]:
    """Return the versions of the libraries by name, as the bundle's list has them; none if it cannot be read."""
    try:
        with open(os.path.join(FOLDER, "bundle.txt"), encoding="utf-8") as file:
            pins = [line.split()[0].partition("==") for line in file if "==" in line.partition("#")[0]]
    except (OSError, ValueError):
        return {}
    return {name: version for name, _, version in pins}


class _Alias:
    """Import hook that gives a library's own name to our copy of it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return a spec for the library or one of its modules."""
        if fullname == self._name or fullname.startswith(f"{self._name}."):
            return ModuleSpec(fullname, self)  # type: ignore[arg-type]  # as much of a loader as is used
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Let the import system make a placeholder."""

    def exec_module(self, module: ModuleType) -> None:
        """Replace the placeholder by our copy."""
        sys.modules[module.__name__] = import_module(f"{__name__}.{module.__name__}")


@contextmanager
def _by_its_own_name(name: str, submodules: Sequence[str]) -> Iterator[None]:
    """Let a library import itself by its own name, as some do, and then give the name back."""
    wanted = [f"{__name__}.{name}", *(f"{__name__}.{name}.{each}" for each in submodules)]
    if sys.modules.keys() >= set(wanted):
        yield
        return
    theirs = _take_out(name)
    alias = _Alias(name)
    sys.meta_path.insert(0, alias)
    try:
        yield
    finally:
        sys.meta_path.remove(alias)
        _take_out(name)
        sys.modules.update(theirs)


def _take_out(name: str) -> dict[str, Any]:
    found = [each for each in list(sys.modules) if each == name or each.startswith(f"{name}.")]
    return {each: sys.modules.pop(each) for each in found}


# Makes this module a package: the import system looks for submodules here.
__path__ = (FOLDER,)
