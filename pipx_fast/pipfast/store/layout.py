"""Paths in the store; renaming of entries into place and away."""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.store.folder import StoreUnusable, ensure_root, look_at
from pipfast.store.names import ARCHIVES, BYTECODE, LOCKS, TMP, TREES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast.store.sessions import Session

USE_NOTED_S = 86_400
"""Seconds for which a noted use stands: finer would cost a write for each entry of each run."""


class Layout:
    """The paths of one store, and this process's locks there. Digests are 64 lowercase hex digits.

    Other processes leave a path in ``tmp/`` alone for as long as the layout lives that returned it.

    :param root: the store's folder, see ``open_layout``.
    """

    keeps = True
    """Whether anything can be kept here: False for the null form alone."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.refusals: list[int] = []
        """Error numbers for which something was not kept; see ``condition``."""
        self._sessions: dict[int, Session] = {}
        """By process id: a forked copy has a lock of its own."""


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
        """Return the folders of bytecode for other unpackings of an archive, which are not needed any more."""
        fan = self.root / BYTECODE / digest[:2]
        prefix = f"{digest}-{umask:03o}-"
        try:
            names = os.listdir(fan)
        except OSError:
            return []
        return [fan / name for name in names if name.startswith(prefix) and name != prefix + tree_id]

    def settle(self, staging: Path, target: Path) -> bool:
        """Rename a finished folder into place; return False if another process was first.

        ``staging`` is gone afterwards in both cases.
        """
        try:
            for attempt in (1, 2):
                # Twice: `purge` may remove the parent folder meanwhile, and an entry without its files would stand
                # in the way for ever.
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
            _remove_tree(staging)
        return False

    def discard(self, folder: Path) -> bool:
        """Remove something of the store: renamed aside first, so that nobody reads half of it.

        :returns: False if it was not there, or cannot be removed.
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
        """Yield a new empty folder on the store's filesystem; it is removed afterwards."""
        path = self.new_staging()
        try:
            yield path
        finally:
            _remove_tree(path)

    def new_staging(self) -> Path:
        """Make a new empty folder in ``tmp/`` and return it; the caller removes or renames it."""
        path = self.new_path()
        path.mkdir(mode=0o700)
        return path

    def new_path(self, suffix: str = "") -> Path:
        """Return a new path in ``tmp/``. Raises OSError: nothing can be written there."""
        # Not at the top: a command with nothing to do makes nothing.
        from pipfast.store.sessions import Session

        tmp = self.root / TMP
        self.make_folder(tmp)
        session = self._sessions.get(os.getpid())
        if session is None:
            # If two threads come at once, both get the same lock.
            session = self._sessions.setdefault(os.getpid(), Session(os.fspath(self.root)))
        return tmp / f"{session.new_name()}{suffix}"

    def release(self) -> None:
        """Release this process's lock; nothing that it made may be left in ``tmp/``."""
        self._sessions.pop(os.getpid(), None)

    def replace_file(self, path: Path | str, *parts: bytes) -> None:
        """Write a file aside and rename it into place, over a file of that name; OSError: it cannot be written."""
        self.make_folder(os.path.dirname(path))
        aside = self.new_path()
        try:
            with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.writelines(parts)
            os.replace(aside, path)
        except OSError:
            with suppress(OSError):
                aside.unlink()
            raise

    def note_refusal(self, number: int | None) -> None:
        """Note the error number of something that was not kept: a store may fill during the run."""
        if number is not None:
            self.refusals.append(number)

    def make_folder(self, folder: Path | str) -> None:
        """Make a folder in the store; a store that was purged meanwhile is made again, with its tag.

        :raises OSError: it cannot be made.
        """
        if not os.path.isdir(self.root):
            try:
                ensure_root(self.root)
            except StoreUnusable as error:
                raise OSError(errno.EACCES, error.reason, os.fspath(self.root)) from error
        os.makedirs(folder, mode=0o700, exist_ok=True)

    def sweep(self) -> None:
        """Remove the leftovers of killed processes."""
        from pipfast.store.sessions import survey

        found = survey(os.fspath(self.root))
        for name in found.leftovers:
            self.remove_leftover(self.root / TMP / name)
        for name in found.locks:
            remove(self.root / LOCKS / name)

    def remove_leftover(self, path: Path) -> None:
        """Remove something of a dead process from ``tmp/``; one of its workers may still be about to rename it."""
        if not path.is_dir() or path.is_symlink() or not self.discard(path):
            remove(path)


class Nowhere(Layout):
    """The layout of a command without a store: who reads finds nothing there, and who writes cannot."""

    keeps = False

    def __init__(self) -> None:
        # A name that nobody can foresee.
        super().__init__(Path(os.sep, f".pipfast-{os.urandom(16).hex()}"))


    def new_path(self, suffix: str = "") -> Path:
        """Raise OSError, as a store does that cannot be written."""
        raise FileNotFoundError(errno.ENOENT, "there is no store", os.fspath(self.root))

    def make_folder(self, folder: Path | str) -> None:
        """Raise OSError, as a store does that cannot be written."""
        raise FileNotFoundError(errno.ENOENT, "there is no store", os.fspath(folder))


def open_layout(root: Path) -> Layout:
    """Make the store's folder if need be and return its layout; raises as ``ensure_root`` does."""
    ensure_root(root)
    return Layout(root)


def layout_to_look_at(root: Path) -> Layout:
    """Return the layout of a store that need not be there, and make nothing; raises as ``look_at`` does."""
    look_at(root)
    return Layout(root)


def note_use(entry: Path) -> None:
    """Note an entry's use for `prune` and the bound, as the time of its folder or file."""
    with suppress(OSError):
        if abs(time.time() - entry.stat().st_mtime) > USE_NOTED_S:
            os.utime(entry)


def remove(path: Path) -> None:
    """Delete a folder with its content, or a file; what cannot be deleted stays."""
    if path.is_dir() and not path.is_symlink():
        _remove_tree(path)
    else:
        with suppress(OSError):
            path.unlink()


def _has_its_files(entry: Path) -> bool:
    # Entries are renamed into place whole: one without these files was damaged later.
    return (entry / "manifest").exists() or ((entry / "note.json").exists() and (entry / "bytes").exists())


def _remove_tree(folder: Path) -> None:
    # It loads what reads archives; a kept installation is placed sooner.
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
