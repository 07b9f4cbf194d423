"""Looks of files and folders: what an answer rests on."""

from __future__ import annotations

import os
import stat

from pipfast.memo.again.elsewhere import HERE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast.memo.again.elsewhere import Environment

Fact = tuple[str, str]
"""A path, and what was seen of it: a letter for the way of looking, and what that gave.

``f``: followed, ``l``: not followed, ``n``: a folder's names, ``a`` and a mode: access to it. In capitals, of a
path that begins with ``HERE``: what is in it counts, see ``again.elsewhere``."""

FINE_NS = 20_000_000
"""Nanoseconds within which two changes may have one time, where times have fractions of a second."""

COARSE_NS = 2_000_000_000
"""The same where they have none."""


def look(path: str, way: str) -> str:
    """Return what is seen now, perhaps an error; equal answers mean that nothing has changed."""
    kind = way[0]
    try:
        if kind == "a":
            return f"{way} {os.access(path, int(way[1:]))}"
        found = os.lstat(path) if kind == "l" else os.stat(path)
    except OSError as error:
        return f"{kind} {error.errno}"
    except ValueError:
        return f"{kind} ?"
    return told(found, kind)


def told(found: os.stat_result, kind: str) -> str:
    """Return the looks of what is there."""
    plain = f"{kind} {found.st_mode:o} {found.st_uid} {found.st_gid} {found.st_dev} {found.st_ino}"
    if stat.S_ISDIR(found.st_mode):
        # That something in it has come or gone matters to who has listed it.
        return f"{plain} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}" if kind == "n" else plain
    looks = f"{plain} {found.st_size} {found.st_mtime_ns}"
    # Nobody can put back the time of the last change; but one more link of a file is a change, too.
    return f"{looks} {found.st_ctime_ns}" if found.st_nlink == 1 else looks


def changed(facts: Iterable[Fact], environment: Environment | None = None) -> str:
    """Return the first path that looks otherwise than it did; empty: none does.

    :param environment: that of the facts that are told of any environment.
    """
    for path, seen in facts:
        way = seen.partition(" ")[0]
        if not path.startswith(HERE):
            if look(path, way) != seen:
                return path
        elif environment is None:
            return "no virtual environment"
        elif environment.look(environment.full(path), way) != seen:
            return environment.full(path)
    return ""


def is_settled(found: os.stat_result, kind: str, since_ns: int) -> bool:
    """Tell whether whatever happens to a file or folder from now on will show.

    A change shortly before, or after, ``since_ns`` (the clock's time when its reader began) may have been made
    after it was read; and another one may get the same time.
    """
    if kind != "n" and stat.S_ISDIR(found.st_mode):
        return True
    latest = max(found.st_mtime_ns, found.st_ctime_ns)
    return latest + (FINE_NS if found.st_ctime_ns % 1_000_000_000 else COARSE_NS) < since_ns
