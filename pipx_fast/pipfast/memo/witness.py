"""Files that a run looks at, and what else it does."""

from __future__ import annotations

import os
import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_HARMLESS = frozenset((
    "array.__new__", "builtins.id", "code.__new__", "compile", "cpython.PyInterpreterState_Clear", "exec",
    "fcntl.flock", "fcntl.lockf", "gc.get_objects", "gc.get_referents", "gc.get_referrers", "glob.glob",
    "glob.glob/2", "import", "marshal.load", "marshal.loads", "mmap.__new__", "object.__delattr__",
    "object.__getattr__", "object.__setattr__", "os.get_terminal_size", "os.putenv", "os.unsetenv",
    "pathlib.Path.glob", "pathlib.Path.rglob", "signal.pthread_kill", "sys._getframe",
    "sys._getframemodulename", "sys.addaudithook", "sys.excepthook", "sys.unraisablehook", "time.sleep",
    "_thread.start_joinable_thread", "_thread.start_new_thread",
))
"""Audit events that neither read nor change anything outside the process, or do so by way of another event.

https://docs.python.org/3/library/audit_events.html"""

_CHANGES = frozenset((
    "os.chmod", "os.link", "os.mkdir", "os.remove", "os.removexattr", "os.rename", "os.rmdir", "os.symlink",
    "os.utime", "shutil.move", "shutil.rmtree", "tempfile.mkdtemp", "tempfile.mkstemp",
))
"""Events that change files: allowed among temporary files and in the store."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_SETS = ("supports_dir_fd", "supports_effective_ids", "supports_fd", "supports_follow_symlinks")

_UNREAD = ("/dev/", "/proc/", "/sys/")
"""Places where what is read has no looks that could be compared."""

_ONLY_OURS = (
    "/dev/null", "/proc/meminfo", "/proc/self/cgroup", "/proc/self/limits", "/proc/sys/kernel/random/boot_id",
    "/sys/fs/cgroup/",
)
"""Only pipfast reads there: how much it may do at once, and whether power was cut since the store was used."""

_IPV6_PROBE = ("::1", 0)
"""The address to which urllib3 binds a socket when it is imported, to see whether there is IPv6."""


class Witness:
    """Sees what this process does with files, from the start to ``stop``.

    :param store: a folder of ours: what is read there is checked by who reads it.
    :param temporary: the folder for temporary files.
    """

    def __init__(self, store: str, temporary: str) -> None:
        self.objection = ""
        """Why the run cannot be remembered; empty: nothing is known against it."""
        self.looked: set[tuple[str, str]] = set()
        """Paths, perhaps relative, and ways of looking, see ``facts``."""
        self.temporary = ""
        """The folder for temporary files, if one was made."""
        self._store = store
        self._temporary = temporary
        self._own = (f"{store}/", f"{temporary}/")
        self._watching = False
        self._looking_away: dict[int, int] = {}
        """Threads that do something for requests alone, and how often they have begun it."""
        self._stock: dict[str, Callable[..., Any]] = {}

    def start(self) -> None:
        """Begin to see. An audit hook cannot be taken away; it is idle after the end."""
        for name in ("stat", "lstat", "access", "readlink"):
            self._stock[name] = getattr(os, name)
        seeing = {"stat": self._stat, "lstat": self._lstat, "access": self._access, "readlink": self._readlink}
        for name in _SETS:
            known: set[Any] = getattr(os, name)
            known |= {seeing[each] for each, stock in self._stock.items() if stock in known}
        for name, function in seeing.items():
            setattr(os, name, function)
        self._watching = True
        sys.addaudithook(self._hear)

    def stop(self) -> None:
        """See no more."""
        self._watching = False
        for name, stock in self._stock.items():
            seeing = getattr(os, name)
            setattr(os, name, stock)
            for each in _SETS:
                getattr(os, each).discard(seeing)
        self._stock.clear()

    def look_away(self) -> None:
        """See nothing of this thread until ``look_back``: what it does matters to requests only."""
        self._looking_away[get_ident()] = self._looking_away.get(get_ident(), 0) + 1

    def look_back(self) -> None:
        """End what ``look_away`` began."""
        count = self._looking_away.pop(get_ident(), 1)
        if count > 1:
            self._looking_away[get_ident()] = count - 1

    def object_to(self, why: str) -> None:
        """Note why this run cannot be remembered, and see no more: the first reason counts."""
        self.objection = self.objection or why
        self._watching = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching or event in _HARMLESS or get_ident() in self._looking_away:
            return
        try:
            self._sort(event, arguments)
        except Exception as error:
            # What an audit hook raises stops whoever is heard.
            self.object_to(f"{event}: {error!r}")

    def _sort(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int):
                return
            path = os.fsdecode(path)
            if flags & _WRITING or (isinstance(mode, str) and not {"w", "a", "x", "+"}.isdisjoint(mode)):
                self._change("writes", path)
            else:
                self._note(path, "f")
        elif event in ("os.listdir", "os.scandir"):
            path = arguments[0]
            if not isinstance(path, int):
                self._note(os.fsdecode(path or "."), "n")
        elif event in _CHANGES:
            if event == "tempfile.mkdtemp":
                self.temporary = self._temporary
            for path in arguments[: 2 if event in ("os.rename", "os.link", "shutil.move") else 1]:
                if isinstance(path, (str, bytes, os.PathLike)):
                    self._change(event, os.fsdecode(path))
        elif not _is_beside(event, arguments):
            self.object_to(event)

    def _note(self, path: str, way: str) -> None:
        if path.startswith(_UNREAD):
            if not path.startswith(_ONLY_OURS):
                self.object_to(f"reads {path}")
        elif path != self._store and not path.startswith(self._own):
            self.looked.add((path, way))

    def _change(self, event: str, path: str) -> None:
        if event == "os.mkdir" and f"{self._store}/".startswith(f"{path}/"):
            # The store is being made.
            return
        # A name below a folder that is open is among what was allowed with that folder.
        is_name = os.sep not in path
        if not is_name and path != os.devnull and not path.startswith(self._own):
            self.object_to(f"{event} {path}")
        elif is_name and event not in ("os.remove", "os.rmdir"):
            self.object_to(f"{event} {path}")

    # They take the place of the functions of ``os``, and are called as those are.

    def _stat(self, path: Any, *, dir_fd: Any = None, follow_symlinks: bool = True) -> os.stat_result:
        if self._watching:
            self._see(path, "f" if follow_symlinks else "l", dir_fd)
        found: os.stat_result = self._stock_of("stat")(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        return found

    def _lstat(self, path: Any, *, dir_fd: Any = None) -> os.stat_result:
        if self._watching:
            self._see(path, "l", dir_fd)
        found: os.stat_result = self._stock_of("lstat")(path, dir_fd=dir_fd)
        return found

    def _access(self, path: Any, mode: int, **options: Any) -> bool:
        if self._watching:
            if any(options.values()):
                self.object_to("asks for access in a way of its own")
            else:
                self._see(path, f"a{mode}", None)
        return bool(self._stock_of("access")(path, mode, **options))

    def _readlink(self, path: Any, *, dir_fd: Any = None) -> Any:
        if self._watching:
            self._see(path, "l", dir_fd)
        return self._stock_of("readlink")(path, dir_fd=dir_fd)

    def _see(self, path: Any, way: str, dir_fd: Any) -> None:
        if dir_fd is None and not isinstance(path, int) and get_ident() not in self._looking_away:
            try:
                self._note(os.fsdecode(path), way)
            except Exception as error:
                # The function itself is about to say so.
                self.object_to(repr(error))

    def _stock_of(self, name: str) -> Callable[..., Any]:
        # Whoever has bound one of ours keeps it beyond the end.
        import posix

        return self._stock.get(name) or getattr(posix, name)


def _is_beside(event: str, arguments: tuple[Any, ...]) -> bool:
    """Tell whether an event is of what urllib3 looks at when it is imported; only requests need to know."""
    return event == "socket.__new__" or (event == "socket.bind" and arguments[1][:2] == _IPV6_PROBE)
