"""Limits of the system, and settings narrowed to them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from pipfast.report import logger
from pipfast.settings import FAMILIES, Settings

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator


PIPS_DESCRIPTORS = 40
"""Descriptors left to pip: its connections, the file it writes, the pipes of a build."""

PER_CONNECTION, PER_WORKER, PER_BUILD = 4, 4, 8
"""Descriptors of one connection of each kind (pages, archives, ranges) and its file; of a worker's pipes while it
starts; of a build's files, its socket and the pipes of two processes that start."""

PIPS_TASKS = 32
"""Processes and threads left to pip: a build, the pip that fills its environment, a compiler and its parts."""

TASKS_PER_CONNECTION, TASKS_PER_WORKER, TASKS_PER_BUILD = 3, 2, 8

ADDRESS_SPACE = 2 << 30
"""Bytes of ``ulimit -v`` below which pip runs alone: a thread's stack takes 8 MiB of it, and the GNU C library up
to 128 MiB for the thread's allocations, used or not."""

MEMORY_PER_WORKER = 192 << 20
"""Bytes that a worker needs to compile the largest known modules."""

MANY = 4096
"""A limit from which nothing is counted: it has room for the highest settings."""

_GROUPS = "/proc/self/cgroup"
_CGROUP_ROOT = "/sys/fs/cgroup"


def narrowed(settings: Settings) -> Settings:
    """Return the settings with as many connections, workers and builds as the limits allow.

    If they do not allow one of each, all hooks are off: pip alone needs least.
    """
    try:
        return _within(settings, _descriptors(), _tasks(), _limit("RLIMIT_AS"), _memory())
    except Exception:
        logger.debug("pipfast: the system's limits are not known", exc_info=True)
        return settings


def _within(
    settings: Settings, descriptors: int | None, tasks: int | None, address_space: int | None, memory: int | None
) -> Settings:
    """Return settings for this much room; None means no limit."""
    connections, workers, builds = settings.connections, settings.workers, settings.builds
    if address_space is not None and address_space < ADDRESS_SPACE:
        return _alone(settings, f"{address_space >> 20} MiB of address space")
    if memory is not None:
        workers = min(workers, max(1, memory // MEMORY_PER_WORKER - 1))
    for room, taken, shares, what in (
        (descriptors, PIPS_DESCRIPTORS, (PER_CONNECTION, PER_WORKER, PER_BUILD), "descriptors"),
        (tasks, PIPS_TASKS, (TASKS_PER_CONNECTION, TASKS_PER_WORKER, TASKS_PER_BUILD), "processes and threads"),
    ):
        if room is None:
            continue
        if room - taken < sum(shares):
            return _alone(settings, f"room for {room} {what}")
        # Builds get the largest share: while they run, hardly anything else does.
        parts = [(room - taken) * share // sum(shares) // share for share in shares]
        connections, workers, builds = map(min, (connections, workers, builds), parts)
    if (connections, workers, builds) != (settings.connections, settings.workers, settings.builds):
        logger.debug("pipfast: room for %s connections, %s workers, %s builds", connections, workers, builds)
    return replace(settings, connections=connections, workers=workers, builds=builds)


def _alone(settings: Settings, why: str) -> Settings:
    logger.debug("pipfast: %s is too little; pip runs alone", why)
    return replace(settings, disabled=frozenset(FAMILIES))


def _limit(name: str) -> int | None:
    number = getattr(resource, name, None)
    if number is None:
        return None
    soft = resource.getrlimit(number)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _descriptors() -> int | None:
    """Return how many more descriptors this process may open; None for no limit."""
    soft = _limit("RLIMIT_NOFILE")
    if soft is None or soft >= MANY:
        return None
    try:
        return soft - len(os.listdir("/dev/fd"))
    except OSError:
        return soft - 3


def _tasks() -> int | None:
    groups = _of_cgroup("pids", ("pids.max", "pids.current"), ("pids.max", "pids.current"))
    rooms = [most - current for most, current in groups]
    soft = _limit("RLIMIT_NPROC")
    # Root is exempt from RLIMIT_NPROC.
    if soft is not None and soft < MANY and os.geteuid() != 0:
        rooms.append(soft - _running(os.getuid()))
    return min(rooms, default=None)


def _memory() -> int | None:
    """Return how many bytes of memory this control group may use; None for no limit."""
    groups = _of_cgroup("memory", ("memory.max",), ("memory.limit_in_bytes",))
    return min((most for most, in groups), default=None)


def _running(user: int) -> int:
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found = os.stat(f"/proc/{name}/task")
            except OSError:
                continue
            if found.st_uid == user:
                count += found.st_nlink - 2
    return count


def _of_cgroup(controller: str, names: tuple[str, ...], names_before: tuple[str, ...]) -> Iterator[list[int]]:
    """Yield the numbers in these files of this process's control group and of each one above it."""
    try:
        with open(_GROUPS, encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return
    for _, controllers, path in lines:
        if not controllers:
            root, files = _CGROUP_ROOT, names
        elif controller in controllers.split(","):
            root, files = f"{_CGROUP_ROOT}/{controller}", names_before
        else:
            continue
        # In a container the path may be the host's, which is not visible there; the root is.
        while True:
            numbers = [_number(f"{root}{path.rstrip('/')}/{each}") for each in files]
            if all(each is not None for each in numbers):
                yield [each for each in numbers if each is not None]
            if path in ("", "/"):
                break
            path = os.path.dirname(path)


def _number(path: str) -> int | None:
    """Return the number in a file; None without a file, for `max`, and for version 1's huge number (no limit)."""
    try:
        with open(path, encoding="ascii") as file:
            text = file.read().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) < 1 << 60 else None
