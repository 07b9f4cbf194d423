"""Messages about the surroundings, each at most once a day.

The time of an empty file notes when a message was printed. It is in the user's cache folder, else in the temporary
one; where neither can be written, the message is printed each time. Under ``-q`` none is.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
import time
from typing import TYPE_CHECKING

from pipfast import dependencies
from pipfast.report import logger, say

if TYPE_CHECKING:
    from collections.abc import Iterator

platformdirs = dependencies.load("platformdirs")

DAY_S = 86_400.0
"""Seconds in which a message is printed once."""


def say_daily(message: str, hint: str | None = None) -> None:
    """Print a message unless it was printed within a day, or pip is quiet."""
    if not is_quiet() and not _was_said(message):
        say(message, hint)


def is_quiet() -> bool:
    """Tell whether pip prints warnings at most; it has read its options by now."""
    console = [each for each in logging.getLogger().handlers if each.get_name() == "console"]
    return bool(console) and all(each.level > logging.INFO for each in console)


def _was_said(message: str) -> bool:
    name = f"said-{hashlib.sha256(message.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    for folder in _folders():
        try:
            return _is_noted(f"{folder}-{name}")
        except OSError as error:
            logger.debug("pipfast: nothing can be noted in %s: %r", folder, error)
    return False


def _is_noted(path: str) -> bool:
    """Tell whether a file's time is less than a day ago, and set it to now if not."""
    try:
        # Anybody may write in the temporary folder: another user's file is not opened, no link is followed.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != _user():
            raise
        if 0 <= time.time() - found.st_mtime <= DAY_S:
            return True
        os.utime(path, follow_symlinks=False)
    return False


def _folders() -> Iterator[str]:
    """Yield the prefixes of a note's path, the best one first."""
    try:
        cache = platformdirs.user_cache_dir("pipfast", appauthor=False)
        parent = os.path.dirname(cache)
        # With `sudo -E` HOME is another user's: a folder that root makes there would shut that user out.
        if _is_own(parent):
            os.makedirs(parent, mode=0o700, exist_ok=True)
            yield cache
    except (OSError, RuntimeError) as error:
        logger.debug("pipfast: no cache folder: %r", error)
    yield os.path.join(tempfile.gettempdir(), f"pipfast-{_user()}")


def _is_own(folder: str) -> bool:
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return os.stat(folder).st_uid == _user()


def _user() -> int:
    """Return this user's id; 0, as all files have, on systems without ids."""
    return os.geteuid() if hasattr(os, "geteuid") else 0
