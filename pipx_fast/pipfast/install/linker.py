"""Links, clones and copies of stored files."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from pipfast.report import logger, say
from pipfast.system.copying import copy_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast.settings import LinkMode
    from pipfast.store.manifest import StoredFile

_FICLONE = 0x40049409
"""The ioctl that makes a file share another's extents (linux/fs.h)."""

_LINK_REFUSALS = (
    errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY,
    errno.EINVAL, errno.EIO,
)
"""Answers of a filesystem that cannot link or clone this file; a copy may still be possible.

EACCES counts only if the folder can be written to (SELinux forbids links with it): see ``_is_refusal``."""

OWN_BELOW = 1 << 20
"""Bytes below which ``own-sources`` copies text: larger files are data, which nobody edits."""

_BINARY = frozenset((
    "pyc", "so", "pyd", "dll", "dylib", "a", "o", "lib", "exe", "jar", "wasm", "mo", "gz", "bz2", "xz", "zst",
    "zip", "whl", "tar", "png", "jpg", "jpeg", "gif", "ico", "bmp", "tif", "tiff", "webp", "pdf", "ttf",
    "otf", "woff", "woff2", "eot", "npy", "npz", "pkl", "mat", "fits", "parquet", "h5", "hdf5", "db",
    "sqlite", "wav", "mp3", "mp4",
))
"""Suffixes of files that nobody opens in an editor. All others count as text: one copy too many does no harm."""


def is_own_source(file: StoredFile) -> bool:
    """Tell whether ``own-sources`` copies this file: it is small, and most likely text."""
    return file.size < OWN_BELOW and file.name.rpartition(".")[2] not in _BINARY and ".so." not in file.name


class Linker:
    """Puts stored files in place; under ``auto`` the first file decides how, for the whole run."""

    def __init__(self, mode: LinkMode, umask: int) -> None:
        self._asked = mode
        self._own_sources = mode == "own-sources"
        self.mode: Literal["clone", "hardlink", "copy"] | None
        if mode == "auto":
            self.mode = None
        else:
            self.mode = "hardlink" if mode == "own-sources" else mode
        """The way of files that environments share; None until the first one."""
        self._umask = umask

    def copy(self, source: str, file: StoredFile, target: str) -> None:
        """Make ``target`` a new file with the stored content and mtime, and the mode that pip gives it here.

        Stored bytecode names the mtime of its source. Raises as ``put`` does.
        """
        copy(source, file, target, self._umask)

    def put(self, source: str, file: StoredFile, target: str, source_fd: int, target_fd: int) -> None:
        """Give a stored file the name ``target``, replacing a file there, as pip does.

        ``source`` and ``target`` are full paths; the descriptors are those of their folders.

        :raises OSError: the file could not be written, or a symbolic link is there; ``filename`` is ``target``.
        """
        if self._own_sources and self.mode == "hardlink" and is_own_source(file):
            self.copy(source, file, target)
            return
        if self.mode == "hardlink":
            # The usual case first, with the fewest calls.
            try:
                os.link(file.name, file.name, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
                return
            except OSError as error:
                if error.errno == errno.EEXIST:
                    _remove(target)
                    self.put(source, file, target, source_fd, target_fd)
                    return
                if not _is_refusal(error, target):
                    raise OSError(error.errno, error.strerror, target) from error
                self._to_copying(target, error)
        elif self.mode is None:
            self._decide(source, file, target, source_fd, target_fd)
            return
        if self.mode == "clone":
            try:
                clone(source, file, target, self._umask)
                return
            except OSError as error:
                if not _is_refusal(error, target):
                    raise
                self._to_copying(target, error)
        self.copy(source, file, target)

    def _decide(self, source: str, file: StoredFile, target: str, source_fd: int, target_fd: int) -> None:
        attempts: tuple[Literal["clone", "hardlink"], ...] = ("clone", "hardlink")
        for mode in attempts:
            self.mode = mode
            try:
                if mode == "clone":
                    clone(source, file, target, self._umask)
                else:
                    _remove(target)
                    os.link(file.name, file.name, src_dir_fd=source_fd, dst_dir_fd=target_fd,
                            follow_symlinks=False)
            except OSError as error:
                if not _is_refusal(error, target):
                    self.mode = None
                    raise OSError(error.errno, error.strerror, target) from error
                logger.debug("pipfast: no %s at %s: %s", mode, target, error)
                failure = error
            else:
                logger.debug("pipfast: link mode %s", mode)
                return
        self._to_copying(target, failure)
        self.copy(source, file, target)

    def _to_copying(self, target: str, error: OSError) -> None:
        if error.errno == errno.EMLINK:
            # This file has as many names as its filesystem allows; others can still be linked.
            return
        verb = "clone" if self._asked == "clone" else "link"
        self.mode = "copy"
        folder = os.path.dirname(target)
        if error.errno != errno.EXDEV:
            reason = error.strerror
        elif self._asked == "auto":
            # In containers caches are volumes of their own: no mistake of the user.
            logger.debug("pipfast: files are copied into %s: the store is on another filesystem", folder)
            return
        else:
            reason = "the store is on another filesystem"
        say(f"cannot {verb} into {folder} ({reason}); copying instead", "export PIPFAST_LINK_MODE=copy")


def _is_refusal(error: OSError, target: str) -> bool:
    """Tell whether the link or clone was refused, and not any file in that folder."""
    if error.errno == errno.EACCES and not os.access(os.path.dirname(target), os.W_OK | os.X_OK):
        return False
    return error.errno in _LINK_REFUSALS


def clone(source: str, file: StoredFile, target: str, umask: int) -> None:
    """Make ``target`` a new file that shares the stored file's extents; OSError: nothing is left behind."""
    if _ioctl is None:
        raise OSError(errno.EOPNOTSUPP, "no clone on this system")
    with _new_file(source, file, target, umask) as (read, written):
        _ioctl(written, _FICLONE, read)


def copy(source: str, file: StoredFile, target: str, umask: int) -> None:
    """Make ``target`` a new file as ``Linker.copy`` says; OSError: nothing is left behind."""
    with _new_file(source, file, target, umask) as (read, written):
        copy_bytes(read, written, file.size)


@contextmanager
def _new_file(source: str, file: StoredFile, target: str, umask: int) -> Iterator[tuple[int, int]]:
    """Yield the descriptors of a stored file and of a new one, which gets its mode and mtime afterwards."""
    read = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        # Group and access list come from the folder, as when pip makes the file.
        try:
            written = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            _remove(target)
            written = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            yield read, written
            if file.executable:
                # pip's set_extracted_file_to_default_mode_plus_executable.
                os.fchmod(written, 0o777 & ~umask | 0o111)
            os.utime(written, ns=(file.mtime_ns, file.mtime_ns))
        except BaseException:
            os.unlink(target)
            raise
        finally:
            os.close(written)
    finally:
        os.close(read)


def _remove(target: str) -> None:
    """Delete a file that is to be replaced, if there is one.

    :raises OSError: as ``require_replaceable`` does, or it cannot be deleted.
    """
    if require_replaceable(target):
        with suppress(FileNotFoundError):
            os.unlink(target)


def require_replaceable(target: str) -> bool:
    """Tell whether there is a file to be replaced.

    :raises FileExistsError: it is a symbolic link. pip writes through one that leads nowhere, and never replaces
        one by bytecode.
    :raises IsADirectoryError: it is a folder.
    """
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(mode):
        raise FileExistsError(errno.EEXIST, "a symbolic link is in the way", target)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    return True


try:
    from fcntl import ioctl as _ioctl
except ImportError:
    _ioctl = None  # type: ignore[assignment]
