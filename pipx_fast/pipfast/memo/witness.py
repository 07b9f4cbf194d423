"""Files that a run looks at, and what else it does."""

from __future__ import annotations

import os
import stat
import sys
from _thread import get_ident

from pipfast.memo.question import UNREAD
from pipfast.store.names import BUCKETS, LOCKS, OUTDATED, SECONDS, TMP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_HARMLESS = frozenset((
    "array.__new__", "builtins.id", "code.__new__", "compile", "cpython.PyInterpreterState_Clear", "exec",
    "fcntl.flock", "fcntl.lockf", "gc.get_objects", "gc.get_referents", "gc.get_referrers", "glob.glob",
    "glob.glob/2", "marshal.load", "marshal.loads", "mmap.__new__", "object.__delattr__",
    "object.__getattr__", "object.__setattr__", "os.get_terminal_size", "os.putenv", "os.unsetenv", "os.walk",
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
"""Events that change files: allowed among this run's temporary files and in the store."""

_MADE_THERE = ("tempfile.mkdtemp", "tempfile.mkstemp")
"""Events in which a run gets a temporary folder or file of its own.

All else there is somebody's: a user's files, and whole environments."""

_OF_THE_STORE = frozenset((
    *BUCKETS, *OUTDATED, TMP, LOCKS, SECONDS, "boots", "sizes", "CACHEDIR.TAG",
))
"""Names in the store's folder that are the store's; other ones are somebody's."""

_PROBE = ".pipfast-"
"""Beginning of the name of a file in the store's folder that is written to see whether it can be, see
``store.folder``."""

_HEARD = "pipfast.memo.heard"
"""Event with which a witness finds out whether it hears: another audit hook may allow no more of them."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_PLAIN = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
"""Kinds of what has looks that change with it; of a pipe or a terminal nobody knows what will be read."""

_SETS = ("supports_dir_fd", "supports_effective_ids", "supports_fd", "supports_follow_symlinks")

_UNREAD = ("/dev/", "/proc/", "/sys/")
"""Places where what is read has no looks that could be compared."""

_READ = "/dev/shm/"
"""There it has: it is a file system in memory."""

_ONLY_OURS = (
    "/dev/null", "/proc/meminfo", "/proc/self/cgroup", "/proc/self/limits", "/proc/stat",
    "/proc/sys/kernel/random/boot_id", "/sys/fs/cgroup/",
)
"""Only pipfast reads there: how much it may do at once, how busy the processor is, and whether power was cut since
the store was used."""

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
        self.looked: dict[tuple[str, str], os.stat_result | str] = {}
        """Paths, perhaps relative, and ways of looking, see ``facts``; and what was seen before pip saw it."""
        self.temporary = ""
        """The folder for temporary files, if one was made."""
        self.notes = ""
        """Part of the path of notes that pip may write."""
        self.has_noted = False
        """pip has written one."""
        self._store = store
        self._in_store = f"{store}/"
        self._temporary = temporary
        self._temporaries = tuple({f"{each.rstrip('/')}/" for each in (temporary, os.path.realpath(temporary))})
        self._made: set[str] = set()
        """Names in the folder for temporary files that this run has made there."""
        # Where they are no file systems of their own, they are empty folders.
        self._unread = {os.stat(each).st_dev for each in _UNREAD if os.path.ismount(each)}
        self._watching = False
        self._reads = True
        """What is read counts, too."""
        self._hears = False
        self._looking_away: dict[int, int] = {}
        """Threads that do something for requests alone, and how often they have begun it."""
        self._seeing: dict[str, Callable[..., Any]] = {
            "stat": self._stat, "lstat": self._lstat, "access": self._access, "readlink": self._readlink,
            "getenv": self._getenv,
        }
        # Whoever has bound one of ours keeps it beyond the end.
        self._stock: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in self._seeing}

    def start(self) -> bool:
        """Begin to see; False: it cannot. An audit hook cannot be taken away; it is idle after the end."""
        try:
            sys.addaudithook(self._hear)
            sys.audit(_HEARD)
        except Exception:
            # Somebody else's audit hook forbids it.
            return False
        if not self._hears:
            return False
        for name in _SETS:
            known: set[Any] = getattr(os, name)
            known |= {self._seeing[each] for each, stock in self._stock.items() if stock in known}
        for name, function in self._seeing.items():
            setattr(os, name, function)
        self._watching = True
        return True

    def stop(self) -> None:
        """See no more."""
        self._watching = False
        for name, seeing in self._seeing.items():
            # Somebody else's may have taken its place.
            if getattr(os, name) == seeing:
                setattr(os, name, self._stock[name])
            for each in _SETS:
                getattr(os, each).discard(seeing)

    def see_changes_only(self) -> None:
        """See no more what is looked at, but what is changed, and all else that a run may do."""
        self._reads = False

    def look_away(self) -> None:
        """See nothing of this thread until ``look_back``: what it does has no part in the answer."""
        self._looking_away[get_ident()] = self._looking_away.get(get_ident(), 0) + 1

    def look_back(self) -> None:
        """End what ``look_away`` began."""
        count = self._looking_away.pop(get_ident(), 1)
        if count > 1:
            self._looking_away[get_ident()] = count - 1

    def object_to(self, why: str) -> None:
        """Note why this run cannot be remembered, and see no more: the first reason counts."""
        self.objection = self.objection or why
        if self._watching:
            self.stop()

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            self._hears = self._hears or event == _HEARD
            return
        if event in _HARMLESS or get_ident() in self._looking_away:
            return
        if event == "import" and not any(arguments[1:2]):
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
        elif event == "import":
            # Whoever opens a compiled module is the system's loader.
            self._note(os.fsdecode(arguments[1]), "f")
        elif event in _CHANGES:
            if event in _MADE_THERE and not self._is_note(os.fsdecode(arguments[0])):
                self.temporary = self._temporary
                self._made.add(self._name_of_temporary(os.fsdecode(arguments[0])))
            is_below = event in ("os.remove", "os.rmdir") and arguments[-1] != -1
            for path in arguments[: 2 if event in ("os.rename", "os.link", "shutil.move") else 1]:
                if isinstance(path, (str, bytes, os.PathLike)):
                    self._change(event, os.fsdecode(path), is_below=is_below)
        elif not _is_beside(event, arguments):
            self.object_to(event)

    def look_at(self, path: str, way: str) -> None:
        """Note what was looked at unseen."""
        self._note(path, way)

    def _note(self, path: str, way: str) -> None:
        if not self._reads or (path, way) in self.looked:
            return
        if path.startswith(_UNREAD) and not f"{path}/".startswith(_READ):
            if not path.startswith(_ONLY_OURS):
                self.object_to(f"reads {path}")
        elif path != self._store and not self._is_own(path):
            self._look(path, way)

    def _look(self, path: str, way: str) -> None:
        """Look before pip does: what comes in between shows the next time."""
        found: os.stat_result | str = ""
        folder, _, name = path.rpartition("/")
        if name.endswith(".pyc") and folder.endswith("/__pycache__"):
            source = f"{folder.removesuffix('__pycache__')}{name.partition('.')[0]}.py"
            if (source, way) in self.looked:
                return
            found = self._seen(source, way)
            if not isinstance(found, str):
                # It is made anew for its source.
                path = source
        if isinstance(found, str):
            found = self._seen(path, way)
        self.looked[path, way] = found
        if isinstance(found, str):
            return
        is_plain = stat.S_IFMT(found.st_mode) in _PLAIN
        if found.st_dev in self._unread:
            # By a link, or a relative path, they have other names.
            is_plain = stat.S_ISDIR(found.st_mode) and way != "n"
        if not is_plain:
            self.object_to(f"{path} is no file")

    def _seen(self, path: str, way: str) -> os.stat_result | str:
        try:
            if way[0] == "a":
                return f"{way} {self._stock['access'](path, int(way[1:]))}"
            found: os.stat_result = self._stock["lstat" if way == "l" else "stat"](path)
            return found
        except OSError as error:
            return f"{way} {error.errno}"
        except ValueError:
            return f"{way} ?"

    def _is_own(self, path: str) -> bool:
        """Tell whether a path is of the store, or made by this run among temporary files."""
        if path.startswith(self._in_store):
            name = path[len(self._in_store) :].partition("/")[0]
            return name in _OF_THE_STORE or name.startswith(_PROBE)
        return path.startswith(self._temporaries) and self._name_of_temporary(path) in self._made

    def _is_note(self, path: str) -> bool:
        return bool(self.notes) and self.notes in f"{path}/"

    def _name_of_temporary(self, path: str) -> str:
        for folder in self._temporaries:
            if path.startswith(folder):
                return path[len(folder) :].partition("/")[0]
        return path

    def _change(self, event: str, path: str, *, is_below: bool = False) -> None:
        """:param is_below: it is a name below a folder that is open, and was allowed with that folder."""
        if self._is_note(path):
            self.has_noted = True
            return
        if event == "os.mkdir" and f"{self._store}/".startswith(f"{path}/"):
            # The store is being made.
            return
        if not is_below and path != os.devnull and not self._is_own(path):
            self.object_to(f"{event} {path}")

    # They take the place of the functions of ``os``, and are called as those are.

    def _stat(self, path: Any, *, dir_fd: Any = None, follow_symlinks: bool = True) -> os.stat_result:
        if self._watching:
            self._see(path, "f" if follow_symlinks else "l", dir_fd)
        found: os.stat_result = self._stock["stat"](path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        return found

    def _lstat(self, path: Any, *, dir_fd: Any = None) -> os.stat_result:
        if self._watching:
            self._see(path, "l", dir_fd)
        found: os.stat_result = self._stock["lstat"](path, dir_fd=dir_fd)
        return found

    def _access(self, path: Any, mode: int, **options: Any) -> bool:
        if self._watching:
            if any(options.values()):
                self.object_to("asks for access in a way of its own")
            else:
                self._see(path, f"a{mode}", None)
        return bool(self._stock["access"](path, mode, **options))

    def _readlink(self, path: Any, *, dir_fd: Any = None) -> Any:
        if self._watching:
            self._see(path, "l", dir_fd)
        return self._stock["readlink"](path, dir_fd=dir_fd)

    def _getenv(self, key: Any, default: Any = None) -> Any:
        # pip puts in what a requirements file names: `-r ${PWD}/more.txt`.
        if key in UNREAD:
            self.object_to(f"the variable {key} is read")
        return self._stock["getenv"](key, default)

    def _see(self, path: Any, way: str, dir_fd: Any) -> None:
        if dir_fd is None and not isinstance(path, int) and get_ident() not in self._looking_away:
            try:
                self._note(os.fsdecode(path), way)
            except Exception as error:
                # The function itself is about to say so.
                self.object_to(repr(error))


def _is_beside(event: str, arguments: tuple[Any, ...]) -> bool:
    """Tell whether an event is of what urllib3 looks at when it is imported, which only requests need to know.

    Or that of ctypes, which opens the interpreter itself.
    """
    if event == "ctypes.dlopen":
        return arguments[0] is None
    return event == "socket.__new__" or (event == "socket.bind" and arguments[1][:2] == _IPV6_PROBE)
