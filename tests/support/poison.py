"""Damage to a store by a broken disk, an editor or an attacker."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

from support.environments import walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.environments import Places

GZIP = b"\x1f\x8b"


def flip_everything(places: Places) -> None:
    """Flip one byte in the middle of every file of the store; the times of the edits show."""
    for path in _files(places.store):
        _flip(path)


def flip_archives_unseen(places: Places) -> None:
    """Flip one byte of every whole archive in the store, and put its times back."""
    for path in _files(places.store):
        info = path.stat()
        if path.read_bytes()[:2] == GZIP or zipfile.is_zipfile(path):
            _flip(path)
            os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def _files(store: Path) -> Iterator[Path]:
    return (path for _, path in walk(store) if path.is_file() and path.stat().st_size)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x01
    path.chmod(path.stat().st_mode | 0o200)
    path.write_bytes(data)
