"""Libraries that pipfast needs, found beside it and checked.

They are imported as submodules of this one (``from pipfast.dependencies.packaging.version import Version``), from
pipfast's own folder first. The user's ``sys.path`` may have other copies: these are neither used nor hidden, since
``sys.modules`` has both under different names.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipfast.errors import PipfastError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

NEEDED = MappingProxyType({"wrapt": "1.16", "packaging": "23.1", "platformdirs": "3.5"})
"""Oldest usable versions; without one of these libraries pip runs alone."""

OPTIONAL = MappingProxyType({"isal": "1.6.1"})
"""Oldest usable versions of libraries that have a substitute."""


class Unusable(PipfastError):
    """A library that we need is missing, too old or broken.

    :param where: its folder; empty if there is none.
    """

    def __init__(self, name: str, reason: str, where: str = "") -> None:
        super().__init__(name, reason, where)
        self.name = name
        self.reason = reason
        self.where = where
        oldest = NEEDED.get(name) or OPTIONAL.get(name)
        self.requirement = f"{name}>={oldest}"
        self.hint = _hint([self.requirement])

    def __str__(self) -> str:
        return f"{self.name} {self.reason}" + (f" ({self.where})" if self.where else "")


def load(name: str, *submodules: str) -> Any:
    """Import and return a library, and import some of its modules.

    :raises Unusable: it is missing, too old or broken.
    """
    try:
        with _by_its_own_name(name, submodules):
            module = import_module(f"{__name__}.{name}")
            for each in submodules:
                import_module(f"{__name__}.{name}.{each}")
        version = str(getattr(module, "__version__", ""))
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            why = str(error).replace(f"{__name__}.", "")
            raise Unusable(name, f"is broken: {why}", _folder(name)) from error
        raise Unusable(name, "is missing") from error
    except Exception as error:
        why = str(error).replace(f"{__name__}.", "")
        raise Unusable(name, f"is broken: {type(error).__name__}: {why}", _folder(name)) from error
    if not version:
        raise Unusable(name, "is broken: it has no version, or it is not that library", _folder(name))
    oldest = NEEDED.get(name) or OPTIONAL[name]
    if _numbers(version) < _numbers(oldest):
        raise Unusable(name, f"{version} is too old, {oldest} is needed", _folder(name))
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


def summary(found: Sequence[Unusable]) -> tuple[str, str]:
    """Return one line about all unusable libraries, and a hint."""
    return "; ".join(map(str, found)), _hint([each.requirement for each in found])


def places() -> list[str]:
    """Return the folders in which libraries are looked for."""
    return list(__path__)


def look_in(folders: Sequence[str]) -> None:
    """Look for libraries in these folders: a child process uses its parent's."""
    __path__[:] = folders


def _hint(requirements: Sequence[str]) -> str:
    wanted = " ".join(f'"{each}"' for each in requirements)
    return f"{sys.executable} -m pip install --force-reinstall {wanted}"


def _places() -> list[str]:
    """Return the folder of pipfast, then those that the interpreter itself has put on ``sys.path``.

    The second are for an editable install, and for one that takes libraries from the system. PYTHONPATH, the
    current folder and the script's are left out: anything may be there.
    """
    beside = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    site = sys.modules.get("site")
    sites = site.getsitepackages() if site is not None and hasattr(site, "getsitepackages") else []
    others = {*os.environ.get("PYTHONPATH", "").split(os.pathsep), "", os.curdir}
    if sys.argv:
        others.add(os.path.dirname(sys.argv[0]))
    for get in (os.getcwd, lambda: os.path.dirname(os.path.realpath(sys.argv[0]))):
        try:
            others.add(get())
        except (OSError, IndexError):
            pass
    own = set(sites)
    return list(dict.fromkeys([beside, *(each for each in sys.path if each in own or each not in others)]))


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


def _folder(name: str) -> str:
    try:
        spec = PathFinder.find_spec(name, __path__)
    except Exception:
        return ""
    return os.path.dirname(spec.origin) if spec is not None and spec.origin else ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release numbers: ``23.1.post1`` is (23, 1)."""
    numbers = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


# Makes this module a package: the import system looks for submodules here.
__path__ = _places()
