"""Files that are replaced whole, or stay as they were."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_IN_PLACE = frozenset((errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV))
"""Errors of a folder in which nothing can be made or replaced; a file there may be writable all the same. A file
that is mounted by itself, as into a container, cannot be replaced either."""


def replace_files(contents: Mapping[Path, bytes]) -> None:
    """Write all of these files aside, each in its own folder, and then rename them into place.

    A link stays, and what it names is replaced; a file keeps its mode. Whatever ends this before all is written
    leaves every file as it was. Where a folder takes no new file, the one there is written in place.

    :raises OSError: one cannot be written; ``filename`` is that one.
    """
    with ExitStack() as stack:
        puts = []
        for path, content in contents.items():
            with _about(path):
                target = os.path.realpath(path)
                puts.append((path, partial(_put, _write_aside(target, content, stack), target, content)))
        for path, put in puts:
            with _about(path):
                put()


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Have an error name the file that is to be written, not the one beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


def _write_aside(target: str, content: bytes, stack: ExitStack) -> str | None:
    """Return the path of a file beside ``target`` that has the content; None: the folder takes no file.

    :param stack: removes the file, if it is still there.
    """
    # Not longer than any other name: the target's own may have the most letters that there can be.
    aside = os.path.join(os.path.dirname(target), f".pipfast-{secrets.token_hex(8)}.tmp")
    try:
        file = open(aside, "xb")
    except OSError as error:
        if error.errno in _IN_PLACE and os.path.exists(target):
            return None
        raise
    stack.callback(_remove, aside)
    with file:
        file.write(content)
    # There may be none before, its owner may be another user, and some filesystems have no modes.
    with suppress(OSError, AttributeError):
        before = os.stat(target)
        os.chmod(aside, stat.S_IMODE(before.st_mode))
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(aside, before.st_uid, before.st_gid)
    return aside


def _put(aside: str | None, target: str, content: bytes) -> None:
    if aside is not None:
        try:
            os.replace(aside, target)
        except OSError as error:
            if error.errno not in _IN_PLACE:
                raise
        else:
            return
    with open(target, "r+b") as file:
        _reserve(file.fileno(), len(content))
        file.write(content)
        file.truncate()


def _reserve(file: int, size: int) -> None:
    """Raise OSError where the disk is too full, before anything is written over."""
    try:
        os.posix_fallocate(file, 0, size)
    except AttributeError:
        pass
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
