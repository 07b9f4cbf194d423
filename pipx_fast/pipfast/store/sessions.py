"""Locks of the processes that make something in the store.

::

    <root>/locks/<pid>-<session>       locked (flock) while the process lives; names the machine
    <root>/tmp/<pid>-<session>-<id>    made by that process
    <root>/tmp/<pid>-<id>              made where nothing can be locked: its age decides

A process id alone says nothing: containers that share a store count their own, and ids are used again. A lock ends
with its process, however that ends, and all containers of one kernel see it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
import weakref
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from pipfast.report import logger
from pipfast.store.names import LOCKS, TMP
from pipfast.store.reading import opened

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

LEFTOVER_S = 86_400.0
"""Seconds after which something without a telling lock is a leftover: no command takes a day."""

# e.g. `4711-0f3c5a7b9d2e4f60-1a2b3c4d.tar.gz`
_LOCKED = re.compile(r"(\d{1,10}-[0-9a-f]{16})-[0-9a-f]{8}(?:\.[\w.+-]*)?", re.ASCII)
_LOCK = re.compile(r"\d{1,10}-[0-9a-f]{16}(?:\.new)?", re.ASCII)
# e.g. `4711-0f3c5a7b9d2e4f60`, the only form of earlier versions
_UNLOCKED = re.compile(r"\d{1,10}-[0-9a-f]{16}(?:\.[\w.+-]*)?", re.ASCII)

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
"""Linux's random name of this boot; the same in all containers of a kernel."""


class Survey(NamedTuple):
    """The names in a store's tmp/ and locks/; those that are not ours are left out."""

    leftovers: list[str]
    in_use: list[str]
    """Made by living processes, or perhaps living ones."""
    locks: list[str]


class Session:
    """The lock of this process in one store, held until the process ends or the session is given up."""

    def __init__(self, root: str) -> None:
        self.name = ""
        """Empty where nothing can be locked."""
        name = f"{os.getpid()}-{secrets.token_hex(8)}"
        # It gets its name once it is locked, so that nobody finds it unlocked.
        path = f"{root}/{LOCKS}/{name}"
        aside = f"{path}.new"
        try:
            descriptor = _create(aside)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return
            raise
        try:
            if fcntl is None:
                raise OSError(errno.ENOTSUP, "no flock on this system")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, machine().encode("ascii", "replace"))
            os.rename(aside, path)
        except OSError as error:
            # E.g. NFS without a lock daemon.
            logger.debug("pipfast: no lock in %s: %r", root, error)
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(aside)
            return
        self.name = name
        weakref.finalize(self, _release, descriptor, path, os.getpid())

    def new_name(self) -> str:
        """Return a new name for tmp/ that says whose it is; a suffix may be added."""
        if not self.name:
            return f"{os.getpid()}-{secrets.token_hex(8)}"
        return f"{self.name}-{secrets.token_hex(4)}"


def _create(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        # A store of an earlier version, or one that was just purged.
        with suppress(FileExistsError):
            os.mkdir(os.path.dirname(path), mode=0o700)
        return os.open(path, flags, 0o600)


def _release(descriptor: int, path: str, owner: int) -> None:
    # A forked copy leaves the lock to its parent.
    if os.getpid() == owner:
        with suppress(OSError):
            os.unlink(path)
    with suppress(OSError):
        os.close(descriptor)


def survey(root: str) -> Survey:
    """Sort the names in a store's tmp/ and locks/ by whether their makers live."""
    found = Survey([], [], [])
    dead: dict[str, bool | None] = {}

    def is_gone(session: str, path: str) -> bool:
        if session not in dead:
            dead[session] = _is_dead(f"{root}/{LOCKS}/{session}")
        gone = dead[session]
        return _is_old(path) if gone is None else gone

    for name in _names(f"{root}/{TMP}"):
        locked = _LOCKED.fullmatch(name)
        if locked is not None:
            gone = is_gone(locked[1], f"{root}/{TMP}/{name}")
        elif _UNLOCKED.fullmatch(name):
            gone = _is_old(f"{root}/{TMP}/{name}")
        else:
            continue
        (found.leftovers if gone else found.in_use).append(name)
    for name in _names(f"{root}/{LOCKS}"):
        path = f"{root}/{LOCKS}/{name}"
        if _LOCK.fullmatch(name) and (_is_old(path) if name.endswith(".new") else is_gone(name, path)):
            found.locks.append(name)
    return found


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _is_dead(lock: str) -> bool | None:
    """Tell whether a session's process has ended; None if its lock does not say."""
    try:
        with opened(lock) as descriptor:
            if fcntl is None:
                return None
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # Locks of another machine may be invisible here (NFS), and a note from before a reboot says as little.
            return True if os.read(descriptor, 256).decode("ascii", "replace") == machine() else None
    except FileNotFoundError:
        # A session's lock is made first and removed last.
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None


def _is_old(path: str) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > LEFTOVER_S
    except OSError:
        return False


@lru_cache(maxsize=1)
def machine() -> str:
    """Return the name of the running kernel: two processes with the same one see each other's locks."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read(64).strip()
    except (OSError, ValueError):
        return os.uname().nodename if hasattr(os, "uname") else ""
