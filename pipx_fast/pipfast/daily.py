"""Words about the surroundings: each at most once a day, and not under ``-q``.

What was said is noted as an empty file, by its time: in the user's cache folder, else in the temporary one. Where
neither can be written it is said each time.
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


def say_daily(message: str, hint: str | None = None) -> None:
    """Say something unless it was said within a day, or the user wants to hear nothing."""
    if not is_quiet() and not _was_said(message):
        say(message, hint)


def is_quiet() -> bool:
    """Tell whether pip, which has read its options, prints warnings at most."""
    console = [each for each in logging.getLogger().handlers if each.get_name() == "console"]
    return bool(console) and all(each.level > logging.INFO for each in console)


def _was_said(message: str) -> bool:
    """Tell whether a message was noted within a day; note it if not."""
    name = f"said-{hashlib.sha256(message.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    for folder in _folders():
        try:
            return _is_noted(f"{folder}-{name}")
        except OSError as error:
            logger.debug("pipfast: nothing can be noted in %s: %r", folder, error)
    return False


def _is_noted(path: str) -> bool:
    """Tell whether a file's time is of today; make it so.

    :raises OSError: it cannot be written, or is another's.
    """
    try:
        # Nothing of another user is ever opened, and no link followed: anybody may write in the temporary folder.
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
    """Yield the beginnings of a note's path, the best one first."""
    try:
        cache = platformdirs.user_cache_dir("pipfast", appauthor=False)
        parent = os.path.dirname(cache)
        # Root may have another user's HOME (`sudo -E`): a folder of root's there would shut that user out.
        if _is_own(parent):
            os.makedirs(parent, mode=0o700, exist_ok=True)
            yield cache
    except (OSError, RuntimeError) as error:
        logger.debug("pipfast: no cache folder: %r", error)
    yield os.path.join(tempfile.gettempdir(), f"pipfast-{_user()}")


def _is_own(folder: str) -> bool:
    """Tell whether a folder is this user's, or would be made in one that is."""
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return os.stat(folder).st_uid == _user()


def _user() -> int:
    """Return this user's id: where there are none, what all files have."""
    return os.geteuid() if hasattr(os, "geteuid") else 0
