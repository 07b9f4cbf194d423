"""Table of import names, and modules of a distribution by its record."""

from __future__ import annotations

import functools
from importlib.machinery import all_suffixes
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pipfast.requirements import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FILE = Path(__file__).with_name("import_names.txt")

_SUFFIXES = tuple(all_suffixes())
"""Suffixes of modules for this interpreter: ``.py``, ``.abi3.so``, ``.cpython-311-x86_64-linux-gnu.so`` …"""


@functools.cache
def table() -> Mapping[str, str]:
    """Return import name to distribution by the rows of the table."""
    rows = (line.split() for line in _FILE.read_text(encoding="utf-8").splitlines())
    return {row[0]: row[1] for row in rows if row and not row[0].startswith("#")}


def reviewed(module: str) -> str | None:
    """Return the distribution that the table names for a module or the package it is in, or None."""
    parts = module.split(".")
    rows = (table().get(".".join(parts[:length])) for length in range(len(parts), 0, -1))
    return next(filter(None, rows), None)


@functools.cache
def _distributions() -> Mapping[str, str]:
    return {canonicalize_name(distribution): distribution for distribution in table().values()}


def reviewed_distribution(name: str) -> str | None:
    """Return a distribution's name as the table has it, if a row brings it; spelling does not matter."""
    return _distributions().get(canonicalize_name(name))


@functools.cache
def namespaces() -> frozenset[str]:
    """Return the packages that several distributions share: ``google``, ``zope``."""
    return frozenset(module.rpartition(".")[0] for module in table() if "." in module)


def modules_of(files: Iterable[str], top_level: str = "") -> frozenset[str]:
    """Return a distribution's modules by the paths in RECORD, or ``top_level.txt``; in a namespace, dotted."""
    importable = [parts for parts in map(_module_parts, files) if parts]
    packages = {parts[:-1] for parts in importable if parts[-1] == "__init__"}
    found: set[str] = set()
    for parts in importable:
        names = parts[:-1] if parts[-1] == "__init__" else parts
        outermost = next((end for end in range(1, len(names) + 1) if names[:end] in packages), len(names))
        found.add(".".join(names[:outermost]))
    return frozenset(found or {line.strip() for line in top_level.splitlines() if line.strip()})


def _module_parts(path: str) -> tuple[str, ...]:
    """Return the parts of a module's dotted name for a file of a RECORD; empty for other files."""
    pure = PurePosixPath(path)
    suffix = next((each for each in _SUFFIXES if path.endswith(each)), None)
    if suffix is None or pure.is_absolute() or ".." in pure.parts:
        return ()
    parts = (*pure.parts[:-1], pure.name[: -len(suffix)])
    return parts if all(part.isidentifier() for part in parts) else ()


def provides(modules: Iterable[str], module: str) -> bool:
    """Tell whether a distribution with these modules brings ``module`` or the package it is in."""
    return any(module == each or module.startswith(f"{each}.") for each in modules)
