"""Check sums of archives that came in parts.

Where no digest tells whether such an archive is whole, its own check sums do: those of a zip's members, or of a
compressed stream.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BLOCK = 1 << 20
"""Bytes read at a time."""

_ZIPS = (".whl", ".zip")

_COMPRESSED: tuple[tuple[tuple[str, ...], Callable[..., Any]], ...] = (
    ((".tar.gz", ".tgz"), gzip.open),
    ((".tar.bz2", ".tbz"), bz2.open),
    ((".tar.xz", ".txz", ".tlz", ".tar.lz", ".tar.lzma"), lzma.open),
)


def is_sound(path: Path, name: str) -> bool:
    """Tell whether every byte of an archive is covered by check sums, and they are right."""
    try:
        if name.endswith(_ZIPS):
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        for suffixes, opener in _COMPRESSED:
            if name.endswith(suffixes):
                with opener(path) as stream:
                    while stream.read(_BLOCK):
                        pass
                return True
    except (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error, zipfile.BadZipFile,
            lzma.LZMAError):
        return False
    return False
