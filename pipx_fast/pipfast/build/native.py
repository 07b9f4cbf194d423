"""Sources that need a compiler: their builds want the machine, and its memory, for themselves."""

from __future__ import annotations

import os

SUFFIXES = frozenset((
    ".c", ".cc", ".cpp", ".cxx", ".cu", ".f", ".f90", ".f95", ".for", ".go", ".h", ".hpp", ".m", ".mm", ".pyx",
    ".pxd", ".rs", ".s", ".swift", ".zig",
))
"""Of files that a compiler reads; headers among them, for a project may fetch the rest."""

NAMES = frozenset(("cargo.toml", "cmakelists.txt", "meson.build", "configure", "makefile.am"))
"""Files of build systems, in lower case."""


def has_native_code(folder: str) -> bool:
    """Tell whether a source tree holds anything for a compiler."""
    return any(
        name.lower() in NAMES or ("." + name.lower().rpartition(".")[2] in SUFFIXES and "." in name)
        for _, _, files in os.walk(folder) for name in files
    )
