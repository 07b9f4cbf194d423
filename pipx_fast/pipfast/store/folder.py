"""Folder of the store: default place, tag, owner and rights.

Only a folder that is new, empty or tagged as ours is a store, and only if no other user can write to it.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat
import time
from contextlib import suppress
from pathlib import Path

from pipfast.errors import PipfastError
from pipfast.store.names import BUCKETS, LOCKS, SECONDS, TMP
from pipfast.store.reading import opened

TAG = "CACHEDIR.TAG"
TAG_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55\n# The store of pipfast;"
"""Its first line is that of the Cache Directory Tagging Specification: back-up tools leave such a folder out. The
second tells our folder from other programs'; another format would have another sign for the semicolon."""

ELSEWHERE = "export PIPFAST_STORE=/path/to/a/folder/of/yours"
"""The hint of last resort. No shared folder is proposed: names in it can be foreseen."""

_TAG_ASIDE = re.compile(r"\.pipfast-[0-9a-f]{16}", re.ASCII)
"""A tag that is being written. It is the first file of a store, so that no store is ever without one."""

_UNTAGGED_S = 0.5
"""Seconds to wait for the tag of a folder in which everything has a name of ours."""

_LOOKS = 3
"""Attempts to make a store that others purge meanwhile."""

_NOTHING = frozenset({"lost+found"})
"""Names in the root of a new filesystem."""


class StoreUnusable(PipfastError):
    """The folder cannot be a store: it is not private to this user, or cannot be made.

    :param shared: a folder of it that ``chmod`` would make private.
    """

    def __init__(self, root: Path, reason: str, shared: Path | None = None) -> None:
        super().__init__(root, reason)
        self.root = root
        self.reason = reason
        self.hint = _elsewhere(root)
        if shared is not None and has_tag(root):
            # Only of a store: others may need /tmp as it is.
            self.hint = f"chmod 700 {shlex.quote(str(shared))}"

    def __str__(self) -> str:
        return f"not using the store {self.root}: {self.reason}"


def default_root() -> Path:
    """Return the user's own cache folder for pipfast (``XDG_CACHE_HOME`` and its like).

    :raises StoreUnusable: nobody knows the user's home (a container's arbitrary user id), or where caches are.
    """
    # Not at the top: most runs find the folder in PIPFAST_STORE or need no store at all.
    from pipfast import dependencies

    try:
        platformdirs = dependencies.load("platformdirs")
        return Path(platformdirs.user_cache_dir("pipfast", appauthor=False)).absolute()
    except (RuntimeError, dependencies.Unusable) as error:
        raise StoreUnusable(Path("~/.cache/pipfast"), str(error)) from error


def _elsewhere(root: Path) -> str:
    """Return a command that sets another folder: in the user's home, where one could be made there."""
    home = os.environ.get("HOME", "")
    proposed = Path(home, ".pipfast")
    try:
        is_own = os.path.isabs(home) and (not hasattr(os, "geteuid") or os.stat(home).st_uid == os.geteuid())
        if is_own and os.access(home, os.W_OK | os.X_OK) and proposed != root and (
            is_usable(proposed) or not os.path.lexists(proposed)
        ):
            return 'export PIPFAST_STORE="$HOME/.pipfast"'
    except OSError:
        pass
    return ELSEWHERE


def ensure_root(root: Path) -> None:
    """Make the store's folder and its buckets, as far as they are not there.

    :raises StoreUnusable: others own the folder or can write to it, or it cannot be made. pip
        refuses its cache folder for the same reasons (``check_path_owner``).
    """
    for left in reversed(range(_LOOKS)):
        try:
            _make_root(root)
        except OSError as error:
            # Another process purges it: what is there then is looked at anew.
            if not left or not isinstance(error, FileNotFoundError):
                raise StoreUnusable(root, error.strerror or str(error)) from error
        else:
            return


def _make_root(root: Path) -> None:
    existing = nearest_folder(root)
    if existing != root:
        _refuse_foreign(root, existing)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_unsafe(root)
    if not has_tag(root):
        _refuse_in_use(root)
        write_tag(root)
    for bucket in (*BUCKETS, TMP, LOCKS):
        if not (root / bucket).is_dir():
            _make_bucket(root / bucket)
    _hand_nothing_down(root / TMP)


def look_at(root: Path) -> bool:
    """Tell whether a store is there, without making anything.

    :raises StoreUnusable: none is, and ``ensure_root`` would raise; or it is not private to this user.
    """
    try:
        existing = nearest_folder(root)
        if existing != root:
            _refuse_foreign(root, existing)
            if not existing.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not os.access(existing, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return False
        _refuse_unsafe(root)
        if not has_tag(root):
            _refuse_in_use(root)
        return has_tag(root)
    except FileNotFoundError:
        # Another process has purged it meanwhile.
        return False
    except OSError as error:
        raise StoreUnusable(root, error.strerror or str(error)) from error


def nearest_folder(root: Path) -> Path:
    """Return the store's folder, or the last one of its parents that is there."""
    return next(path for path in (root, *root.parents) if path.exists())


def _make_bucket(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        # A read-only store, perhaps of an earlier version, can still be read.
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise


def _hand_nothing_down(folder: Path) -> None:
    """Remove a folder's default access list and its setgid bit: new entries would inherit list and group.

    All stored files are made in tmp/, and environments link to them.
    """
    with suppress(OSError, AttributeError):
        os.removexattr(folder, "system.posix_acl_default")
    with suppress(OSError):
        if folder.stat().st_mode & stat.S_ISGID:
            folder.chmod(0o700)


def is_usable(root: Path) -> bool:
    """Tell whether a folder is a store already, and this user's alone."""
    try:
        _refuse_unsafe(root)
    except (StoreUnusable, OSError):
        return False
    return has_tag(root)


def has_tag(root: Path) -> bool:
    """Tell whether a folder has the tag of a store of ours, in a format that we know."""
    try:
        with opened(f"{root}/{TAG}") as descriptor:
            return os.read(descriptor, len(TAG_SIGNATURE)) == TAG_SIGNATURE.encode("ascii")
    except OSError:
        return False


def _refuse_in_use(root: Path) -> None:
    """Refuse a folder with files of others; those of a process that makes a store of it just now are ours."""
    names = sorted(name for name in os.listdir(root) if name not in _NOTHING and not _TAG_ASIDE.fullmatch(name))
    # Another process may have written the tag meanwhile.
    if not names or has_tag(root):
        return
    if set(names) <= {*BUCKETS, TMP, LOCKS}:
        # A store that is being purged has no tag for a moment if another process makes something in it just then.
        deadline = time.monotonic() + _UNTAGGED_S
        while time.monotonic() < deadline:
            time.sleep(0.01)
            if has_tag(root):
                return
    if TAG in names:
        raise StoreUnusable(root, f"its {TAG} is not that of a store which this pipfast can read")
    raise StoreUnusable(root, f"it is in use for something else ({names[0]} is in it)")


def write_tag(root: Path) -> None:
    """Mark a folder as a store of ours.

    The tag alone is synced, once in a store's life: a store that a power cut leaves without it would be taken for
    somebody else's folder, and never be used again.
    """
    aside = root / f".pipfast-{os.urandom(8).hex()}"
    try:
        with aside.open("x", encoding="ascii") as file:
            file.write(f"{TAG_SIGNATURE} losing it loses time only.\n")
            file.flush()
            _sync(file.fileno())
        aside.rename(root / TAG)
        with suppress(OSError, AttributeError):
            folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _sync(folder)
            finally:
                os.close(folder)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


def _sync(descriptor: int) -> None:
    # Some filesystems sync nothing, and say so.
    with suppress(OSError):
        os.fsync(descriptor)


def _refuse_foreign(root: Path, existing: Path) -> None:
    """Refuse to make a store below a folder that belongs to somebody else (sudo with HOME kept)."""
    if not hasattr(os, "geteuid"):
        return
    if os.geteuid() == 0 and existing.stat().st_uid != 0:
        raise StoreUnusable(root, f"its parent folder {existing} is another user's")


def _refuse_unsafe(root: Path) -> None:
    if not hasattr(os, "geteuid"):
        return
    for path in (root, *(root / bucket for bucket in (*BUCKETS, SECONDS, TMP, LOCKS))):
        try:
            found = path.lstat()
        except FileNotFoundError:
            if path == root:
                # Whatever takes its place in the next moment was not looked at.
                raise
            continue
        if path != root and stat.S_ISLNK(found.st_mode):
            raise StoreUnusable(root, f"{path.name} in it is a symbolic link")
        if path == root and stat.S_ISLNK(found.st_mode):
            if found.st_uid not in (0, os.geteuid()):
                # It may lead elsewhere as soon as we have looked.
                raise StoreUnusable(root, f"{path} is another user's symbolic link")
            found = path.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise StoreUnusable(root, f"{path} is not a folder")
        if found.st_uid != os.geteuid():
            raise StoreUnusable(root, f"{path} belongs to another user")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StoreUnusable(root, f"others can write to {path}", path)
