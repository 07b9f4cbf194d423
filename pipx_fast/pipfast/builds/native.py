"""Native code in source trees, and builds that need much memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = frozenset((
    ".c", ".cc", ".cpp", ".cxx", ".cu", ".f", ".f90", ".f95", ".for", ".go", ".h", ".hpp", ".m", ".mm", ".pyx",
    ".pxd", ".rs", ".s", ".swift", ".zig",
))
"""Suffixes of files that a compiler reads; a project with headers may fetch the rest."""

HUNGRY = frozenset((".cc", ".cpp", ".cu", ".cxx", ".rs"))
"""Suffixes of sources whose compilers take a GB or more, and all cores."""

NAMES = frozenset(("cargo.toml", "cmakelists.txt", "meson.build", "configure", "makefile.am"))


def has_native_code(folder: str) -> bool:
    """Tell whether a source tree holds anything for a compiler."""
    return any(name in NAMES or suffix in SUFFIXES for name, suffix in _files(folder))


def is_hungry(folder: str) -> bool:
    """Tell whether the build of a source tree needs much memory and all cores."""
    return any(suffix in HUNGRY for _, suffix in _files(folder))


def _files(folder: str) -> Iterator[tuple[str, str]]:
    for _, _, names in os.walk(folder):
        for name in names:
            stem, dot, suffix = name.lower().rpartition(".")
            yield name.lower(), dot + suffix if stem or dot else ""
