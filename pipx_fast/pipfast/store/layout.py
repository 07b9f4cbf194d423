"""Where things are in the store, and whether this folder may be used as one.

::

    <root>/                                    0700, one user's
      CACHEDIR.TAG
      archives-v0/ab/<sha256>/                 the bytes that were read, a note of their size and mtime
      trees-v1/ab/<sha256>-<umask>/            tree/, manifest, digests: one file per archive member
      bytecode-v1/ab/<sha256>-<umask>-<id>/<tag>/   one .pyc per source, mirrored; manifest, digests
      urls-v0/ab/<sha256 of an address>        the digest of the archive it gave, and how
      pages-v0/ab/<key>                        an index page, evaluated for one interpreter
      learnt-v0/ab/<key>                       what the build of one source missed
      built-v0/ab/<key>                        what wheels of one source were built against
      expected-v0/ab/<key>                     what one command line installed the last time
      patterns-v0/ab/<key>                     regular expressions, compiled for one interpreter
      seconds/<second>                         the times that files of trees have, see ``seconds``
      tmp/                                     what is being made; renamed into place when whole
      boots                                    what the machine's going down may have spoiled, see ``boots``
      locks/                                   one for each process that makes something, see ``sessions``

Only a folder that is new, empty or tagged as ours is a store, and only what has a name of ours is ever removed.
A bucket's version is part of its name: another version's format is never read.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shlex
import shutil
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.errors import PipfastError

if TYPE_CHECKING:
    from collections.abc import Iterator

ARCHIVES = "archives-v0"
TREES = "trees-v1"
BYTECODE = "bytecode-v1"
URLS = "urls-v0"
PAGES = "pages-v0"
LEARNT = "learnt-v0"
BUILT = "built-v0"
EXPECTED = "expected-v0"
PATTERNS = "patterns-v0"
TMP = "tmp"
LOCKS = "locks"
SECONDS = "seconds"
BUCKETS = (ARCHIVES, TREES, BYTECODE, URLS, PAGES, LEARNT, BUILT, EXPECTED, PATTERNS)
OUTDATED = ("trees-v0", "bytecode-v0")
"""Buckets of other versions, which are never read; only `prune` and `purge` remove them."""
NOTES = (PAGES, LEARNT, BUILT, EXPECTED, PATTERNS)
"""Buckets of small checksummed files, see ``notes``."""

TAG = "CACHEDIR.TAG"
TAG_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55\n# The store of pipfast;"
"""The Cache Directory Tagging Specification's first line - back-up tools leave such a folder out - and what tells
our folder from another program's. A format that is read otherwise would say so in the place of the semicolon."""

_TAG_ASIDE = re.compile(r"\.pipfast-[0-9a-f]{16}", re.ASCII)
"""A tag that is being written. It comes before everything else, so that no store is ever without one."""

_UNTAGGED_S = 0.5
"""Seconds to wait for the tag of a folder in which nothing has another name than ours."""

_NOTHING = frozenset({"lost+found"})
"""What a filesystem that was just made has in it."""


USE_NOTED_S = 86_400
"""Seconds for which a noted use stands: finer would cost a write for each entry of each run."""


class StoreUnusable(PipfastError):
    """The folder cannot be a store: it is not private to this user, or cannot be made.

    :param shared: a folder of it that another mode would make private.
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


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one store. Digests are 64 lowercase hex digits."""

    root: Path

    def archive(self, digest: str) -> Path:
        """Return the folder of the archive of this digest: its bytes and a note about them."""
        return self.root / ARCHIVES / digest[:2] / digest

    def tree(self, digest: str, umask: int) -> Path:
        """Return the folder of the unpacked archive whose files have modes under ``umask``."""
        return self.root / TREES / digest[:2] / f"{digest}-{umask:03o}"

    def bytecode(self, digest: str, umask: int, tree_id: str, tag: str) -> Path:
        """Return the folder of one kind of bytecode (``tag``) for exactly one unpacked tree.

        A timestamp .pyc is valid for one mtime of its source: another unpacking has another id.
        """
        return self.root / BYTECODE / digest[:2] / f"{digest}-{umask:03o}-{tree_id}" / tag

    def bytecode_of_others(self, digest: str, umask: int, tree_id: str) -> list[Path]:
        """Return the folders of bytecode for other unpackings of an archive than this one: nobody needs them."""
        fan = self.root / BYTECODE / digest[:2]
        prefix = f"{digest}-{umask:03o}-"
        try:
            names = os.listdir(fan)
        except OSError:
            return []
        return [fan / name for name in names if name.startswith(prefix) and name != prefix + tree_id]

    def settle(self, staging: Path, target: Path) -> bool:
        """Rename a finished folder into place; False if another process was first, whose work stays.

        Either way ``staging`` is gone afterwards.
        """
        try:
            for attempt in (1, 2):
                # Again after the first failure: `purge` may take the parent folder away meanwhile, and an
                # entry that lost its own files would otherwise stand in the way for ever.
                self.make_folder(target.parent)
                try:
                    staging.rename(target)
                except OSError as error:
                    if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                        if _has_its_files(target):
                            return False
                        self.discard(target)
                    elif not isinstance(error, FileNotFoundError):
                        raise
                    if attempt == 2:
                        raise
                else:
                    return True
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return False

    def discard(self, folder: Path) -> bool:
        """Take something of the store away: renamed aside at once, so that nobody reads half of it.

        :returns: False if it was not there, or cannot be taken away.
        """
        try:
            aside = self.new_path()
            folder.rename(aside)
        except OSError:
            return False
        remove(aside)
        return True

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield a new empty folder on the store's filesystem; what is left in it goes away."""
        path = self.new_staging()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def new_staging(self) -> Path:
        """Make a new empty folder in ``tmp/`` and return it; its maker removes or renames it."""
        path = self.new_path()
        path.mkdir(mode=0o700)
        return path

    def new_path(self, suffix: str = "") -> Path:
        """Return a path in ``tmp/`` at which nothing is; what is made there stays while this process lives.

        :raises OSError: nothing can be written there.
        """
        # Not at the top: commands with nothing to do make nothing.
        from pipfast.store.sessions import new_name

        tmp = self.root / TMP
        self.make_folder(tmp)
        return tmp / f"{new_name(os.fspath(self.root))}{suffix}"

    def make_folder(self, folder: Path | str) -> None:
        """Make a folder in the store; one that was purged meanwhile is made again, with its tag.

        :raises OSError: it cannot be made.
        """
        if not os.path.isdir(self.root):
            try:
                open_layout(self.root)
            except StoreUnusable as error:
                raise OSError(errno.EACCES, error.reason, os.fspath(self.root)) from error
        os.makedirs(folder, mode=0o700, exist_ok=True)

    def sweep(self) -> None:
        """Remove what killed processes have left."""
        from pipfast.store.sessions import survey

        found = survey(os.fspath(self.root))
        for name in found.leftovers:
            self.remove_leftover(self.root / TMP / name)
        for name in found.locks:
            remove(self.root / LOCKS / name)

    def remove_leftover(self, path: Path) -> None:
        """Remove something from ``tmp/`` whose maker is dead; a worker of it may yet be about to rename it."""
        if not path.is_dir() or path.is_symlink() or not self.discard(path):
            remove(path)



def note_use(folder: Path) -> None:
    """Note on an entry's folder that it is used now, for `prune`; never on the files in it."""
    with suppress(OSError):
        if abs(time.time() - folder.stat().st_mtime) > USE_NOTED_S:
            os.utime(folder)


def remove(path: Path) -> None:
    """Delete a folder with all that is in it, or a file; what cannot be deleted stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _has_its_files(entry: Path) -> bool:
    # A folder is renamed into place whole: one without these was damaged later.
    return (entry / "manifest").exists() or ((entry / "note.json").exists() and (entry / "bytes").exists())


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
    from pipfast.store.condition import ELSEWHERE

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


def open_layout(root: Path) -> Layout:
    """Make the store's folder if need be and return its layout.

    :raises StoreUnusable: others own the folder or can write to it, or it cannot be made. pip
        refuses its cache folder for the same reasons (``check_path_owner``).
    """
    try:
        existing = next(path for path in (root, *root.parents) if path.exists())
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
    except OSError as error:
        raise StoreUnusable(root, error.strerror or str(error)) from error
    return Layout(root)


def _make_bucket(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        # A store that was made read-only, by an earlier version perhaps, can be read.
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise


def _hand_nothing_down(folder: Path) -> None:
    """Take away what new entries of a folder get from it beside their mode: a default access list, and its group.

    Everything is made in tmp/. An environment that is linked to it is to have files as they are made there.
    """
    with suppress(OSError, AttributeError):
        os.removexattr(folder, "system.posix_acl_default")
    with suppress(OSError):
        if folder.stat().st_mode & stat.S_ISGID:
            folder.chmod(0o700)


def is_usable(root: Path) -> bool:
    """Tell whether a folder is a store already, and this user's alone, as ``open_layout`` demands."""
    try:
        _refuse_unsafe(root)
    except (StoreUnusable, OSError):
        return False
    return has_tag(root)


def has_tag(root: Path) -> bool:
    """Tell whether a folder says that it is a store of ours, in a format that we know."""
    try:
        # Whatever has that name: neither a link is followed nor a pipe waited for.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(f"{root}/{TAG}", flags)
    except OSError:
        return False
    try:
        return os.read(descriptor, len(TAG_SIGNATURE)) == TAG_SIGNATURE.encode("ascii")
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _refuse_in_use(root: Path) -> None:
    """Refuse a folder that others have put something into; what is being made of it just now is not theirs."""
    names = sorted(name for name in os.listdir(root) if name not in _NOTHING and not _TAG_ASIDE.fullmatch(name))
    # Another process may have written the tag meanwhile, and made buckets.
    if not names or has_tag(root):
        return
    if set(names) <= {*BUCKETS, TMP, LOCKS}:
        # A store that is purged is without a tag for a moment if somebody makes something in it just then.
        deadline = time.monotonic() + _UNTAGGED_S
        while time.monotonic() < deadline:
            time.sleep(0.01)
            if has_tag(root):
                return
    if TAG in names:
        raise StoreUnusable(root, f"its {TAG} is not that of a store which this pipfast can read")
    raise StoreUnusable(root, f"it is in use for something else ({names[0]} is in it)")


def write_tag(root: Path) -> None:
    """Say of a folder that it is a store of ours."""
    aside = root / f".pipfast-{secrets.token_hex(8)}"
    try:
        with aside.open("x", encoding="ascii") as file:
            file.write(f"{TAG_SIGNATURE} losing it loses time only.\n")
        aside.rename(root / TAG)
    except BaseException:
        remove(aside)
        raise


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
            continue
        if path != root and stat.S_ISLNK(found.st_mode):
            raise StoreUnusable(root, f"{path.name} in it is a symbolic link")
        if path == root:
            found = path.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise StoreUnusable(root, f"{path} is not a folder")
        if found.st_uid != os.geteuid():
            raise StoreUnusable(root, f"{path} belongs to another user")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StoreUnusable(root, f"others can write to {path}", path)
