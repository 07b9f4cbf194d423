"""Where things are in the store, and whether this folder may be used as one.

::

    <root>/                                    0700, one user's
      CACHEDIR.TAG
      archives-v0/ab/<sha256>/                 the bytes that were read, a note of their size and mtime
      trees-v0/ab/<sha256>-<umask>/            tree/ and manifest: one file per archive member
      bytecode-v0/ab/<sha256>-<umask>-<id>/<tag>/   one .pyc per source, mirrored, and manifest
      urls-v0/ab/<sha256 of an address>        the digest of the archive it gave, and how
      pages-v0/ab/<key>                        an index page, evaluated for one interpreter
      learnt-v0/ab/<key>                       what the build of one source missed
      built-v0/ab/<key>                        what wheels of one source were built against
      expected-v0/ab/<key>                     what one command line installed the last time
      patterns-v0/ab/<key>                     regular expressions, compiled for one interpreter
      tmp/                                     what is being made; renamed into place when whole

A bucket's version is part of its name: another version's format is never read.
"""

from __future__ import annotations

import errno
import os
import secrets
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
TREES = "trees-v0"
BYTECODE = "bytecode-v0"
URLS = "urls-v0"
PAGES = "pages-v0"
LEARNT = "learnt-v0"
BUILT = "built-v0"
EXPECTED = "expected-v0"
PATTERNS = "patterns-v0"
TMP = "tmp"
BUCKETS = (ARCHIVES, TREES, BYTECODE, URLS, PAGES, LEARNT, BUILT, EXPECTED, PATTERNS)
NOTES = (PAGES, LEARNT, BUILT, EXPECTED, PATTERNS)
"""Buckets of small checksummed files, see ``notes``."""

TAG = "CACHEDIR.TAG"
TAG_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55\n# The store of pipfast"
"""The Cache Directory Tagging Specification's first line - back-up tools leave such a folder out - and
what tells our folder from another program's."""


USE_NOTED_S = 86_400
"""Seconds for which a noted use stands: finer would cost a write for each entry of each run."""


LEFTOVER_S = 86_400.0
"""Seconds after which even a living process's folder in tmp/ may be a leftover: no command takes a day, and
process ids come round again."""


class StoreUnusable(PipfastError):
    """The folder cannot be a store: it is not private to this user, or cannot be made.

    :param shared: a folder of it that another owner or mode would make private.
    """

    def __init__(self, root: Path, reason: str, shared: Path | None = None) -> None:
        super().__init__(root, reason)
        self.root = root
        self.reason = reason
        self.hint = "set PIPFAST_STORE to a folder of your own"
        if shared is not None:
            self.hint = f"chown and chmod 700 {shared}, or {self.hint}"

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

    def settle(self, staging: Path, target: Path) -> bool:
        """Rename a finished folder into place; False if another process was first, whose work stays.

        Either way ``staging`` is gone afterwards.
        """
        try:
            for attempt in (1, 2):
                # Again after the first failure: `purge` may take the parent folder away meanwhile, and an
                # entry that lost its own files would otherwise stand in the way for ever.
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        aside = self.root / TMP / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            aside.parent.mkdir(mode=0o700, exist_ok=True)
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
        # The process id tells `prune` whose it is, and whether that process is gone.
        path = self.root / TMP / f"{os.getpid()}-{secrets.token_hex(8)}"
        path.mkdir(mode=0o700, parents=True)
        return path

    def sweep(self) -> None:
        """Remove what killed processes left in ``tmp/`` more than a day ago; looks there once a day.

        Both have to hold, unlike for `prune`: a process may be alive where its id means nothing here, in another
        container that has the same store.
        """
        tag, now = self.root / TAG, time.time()
        with suppress(OSError):
            # When the tag was written or touched somebody has looked.
            if now - tag.stat().st_mtime <= LEFTOVER_S:
                return
            os.utime(tag)
            for name in os.listdir(self.root / TMP):
                path = self.root / TMP / name
                with suppress(OSError):
                    if now - path.lstat().st_mtime > LEFTOVER_S and not has_living_owner(name):
                        remove(path)


def has_living_owner(name: str) -> bool:
    """Tell whether the process that made what has this name in ``tmp/`` is alive, or another one with its id."""
    number, _, _ = name.partition("-")
    if not (number.isascii() and number.isdigit()) or len(number) > 10 or int(number) == 0:
        return False
    if os.name == "nt":
        # There is no harmless signal there.
        return True
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


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

    :raises StoreUnusable: nobody knows the user's home (a container's arbitrary user id).
    """
    # Not at the top: most runs find the folder in PIPFAST_STORE or need no store at all.
    import platformdirs

    try:
        return Path(platformdirs.user_cache_dir("pipfast", appauthor=False)).absolute()
    except RuntimeError as error:
        raise StoreUnusable(Path("~/.cache/pipfast"), str(error)) from error


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
        for bucket in (*BUCKETS, TMP):
            (root / bucket).mkdir(mode=0o700, exist_ok=True)
        tag = root / TAG
        if not tag.exists():
            with suppress(FileExistsError), tag.open("x", encoding="ascii") as file:
                file.write(f"{TAG_SIGNATURE}; losing it loses time only.\n")
    except OSError as error:
        raise StoreUnusable(root, error.strerror or str(error)) from error
    return Layout(root)


def is_private(root: Path) -> bool:
    """Tell whether a store's folder is this user's alone, as ``open_layout`` demands; it need not be there."""
    try:
        _refuse_unsafe(root)
    except (StoreUnusable, OSError):
        return False
    return True


def _refuse_foreign(root: Path, existing: Path) -> None:
    """Refuse to make a store below a folder that belongs to somebody else (sudo with HOME kept)."""
    if not hasattr(os, "geteuid"):
        return
    if os.geteuid() == 0 and existing.stat().st_uid != 0:
        raise StoreUnusable(root, f"its parent folder {existing} is another user's")


def _refuse_unsafe(root: Path) -> None:
    if not hasattr(os, "geteuid"):
        return
    for path in (root, *(root / bucket for bucket in (*BUCKETS, TMP))):
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
            raise StoreUnusable(root, f"{path} belongs to another user", path)
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StoreUnusable(root, f"others can write to {path}", path)
