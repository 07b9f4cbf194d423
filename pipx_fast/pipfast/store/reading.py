"""Safe reading of the store's files."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Opening a FIFO without a writer would wait for ever, and a link leads out of the store.
_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)

_HASH_BLOCK = 1 << 20
"""Bytes read at once while hashing; larger blocks gain nothing."""


class NotAFile(OSError):
    """A name of the store belongs to something else than a regular file, or to one larger than any of ours."""


@contextmanager
def opened(path: Path | str) -> Iterator[int]:
    """Open a regular file and yield its descriptor; FileNotFoundError: it is not there. OSError: it is none."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        # ENXIO: a socket; ELOOP: a symbolic link.
        if error.errno in (errno.ENXIO, errno.ELOOP):
            raise NotAFile(error.errno, "not a regular file", os.fspath(path)) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAFile(errno.EINVAL, "not a regular file", os.fspath(path))
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(path: Path | str, most: int) -> bytes:
    """Return the content of a regular file of at most ``most`` bytes; raises as ``opened`` does."""
    return read_with_time(path, most)[0]


def read_with_time(path: Path | str, most: int) -> tuple[bytes, float]:
    """Return the content of a file, and its mtime in seconds; raises as ``opened`` does."""
    with opened(path) as descriptor:
        found = os.fstat(descriptor)
        if found.st_size > most:
            raise NotAFile(errno.EFBIG, "larger than any file of ours", os.fspath(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most + 1), found.st_mtime


def sha256_of_open(descriptor: int) -> str:
    """Return the SHA-256 of an open file's bytes, from where it stands, as 64 hex digits."""
    digest = hashlib.sha256()
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        # One buffer for all blocks: new memory for each costs the kernel time.
        block = memoryview(bytearray(min(os.fstat(descriptor).st_size + 1, _HASH_BLOCK)))
        while count := file.readinto(block):
            digest.update(block[:count])
    return digest.hexdigest()
