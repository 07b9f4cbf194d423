"""How one stored file gets a name in an environment: cloned, hard-linked, or copied."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from pipfast.report import logger, say

if TYPE_CHECKING:
    from pipfast.store.manifest import StoredFile

_FICLONE = 0x40049409
"""The ioctl that makes a file share another's extents (linux/fs.h)."""

_LINK_REFUSALS = {
    errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY,
    errno.EINVAL, errno.EIO,
}
"""What a filesystem answers that cannot link or clone this file; a copy may still be possible.

EACCES only where the folder can be written to (SELinux forbids links with it): see ``_is_refusal``."""


class Linker:
    """Puts stored files in place; the first file decides how, for the whole run.

    :param mode: one of ``settings.LINK_MODES``.
    """

    def __init__(self, mode: str = "auto") -> None:
        self._asked = mode
        self.mode: str | None = None if mode == "auto" else mode
        """The mode in force; None until the first file."""

    def put(self, source: str, file: StoredFile, target: str, source_fd: int, target_fd: int) -> None:
        """Give a stored file the name ``target``, replacing what is there, as pip does.

        ``source`` and ``target`` are full paths; the descriptors are their folders'.

        :raises OSError: the file could not be written, or a symbolic link is there; ``filename`` is ``target``.
        """
        if self.mode == "hardlink":
            # The usual case first, and with as few calls as it takes.
            try:
                os.link(file.name, file.name, src_dir_fd=source_fd, dst_dir_fd=target_fd,
                        follow_symlinks=False)
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
                clone(source, file, target)
                return
            except OSError as error:
                if not _is_refusal(error, target):
                    raise
                self._to_copying(target, error)
        copy(source, file, target)

    def _decide(self, source: str, file: StoredFile, target: str, source_fd: int, target_fd: int) -> None:
        for mode in ("clone", "hardlink"):
            self.mode = mode
            try:
                if mode == "clone":
                    clone(source, file, target)
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
        copy(source, file, target)

    def _to_copying(self, target: str, error: OSError) -> None:
        if error.errno == errno.EMLINK:
            # One file has as many names as its filesystem allows; the others can still be linked.
            return
        folder = os.path.dirname(target)
        reason = "the store is on another filesystem" if error.errno == errno.EXDEV else error.strerror
        self.mode = "copy"
        say(
            f"cannot link into {folder} ({reason}); copying instead",
            "set PIPFAST_LINK_MODE=copy to silence this",
        )


def _is_refusal(error: OSError, target: str) -> bool:
    """Tell whether it was the link or clone that was refused, and not any file in that folder."""
    if error.errno == errno.EACCES and not os.access(os.path.dirname(target), os.W_OK | os.X_OK):
        return False
    return error.errno in _LINK_REFUSALS


def clone(source: str, file: StoredFile, target: str) -> None:
    """Make ``target`` a new file that shares the stored file's extents (reflink).

    :raises OSError: the filesystem cannot do that; nothing is left behind.
    """
    import_failed = OSError(errno.EOPNOTSUPP, "no clone on this system")
    if _ioctl is None:
        raise import_failed
    _remove(target)
    with open(source, "rb") as read:
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            _ioctl(descriptor, _FICLONE, read.fileno())
        except OSError:
            os.unlink(target)
            raise
        finally:
            os.close(descriptor)
    _dress(source, file, target)


def copy(source: str, file: StoredFile, target: str) -> None:
    """Make ``target`` a new file with the stored file's content, mode and mtime.

    The mtime is the stored file's because stored bytecode names it.
    """
    _remove(target)
    shutil.copyfile(source, target, follow_symlinks=False)
    _dress(source, file, target)


def _dress(source: str, file: StoredFile, target: str) -> None:
    os.chmod(target, stat.S_IMODE(os.stat(source).st_mode))
    os.utime(target, ns=(file.mtime_ns, file.mtime_ns))


def _remove(target: str) -> None:
    """Delete a file that is to be replaced; nothing need be there.

    :raises OSError: as ``require_replaceable`` does, or it cannot be deleted.
    """
    if require_replaceable(target):
        with suppress(FileNotFoundError):
            os.unlink(target)


def require_replaceable(target: str) -> bool:
    """Tell whether there is a file to be replaced.

    :raises FileExistsError: it is a symbolic link. What pip does then depends on where that leads: it writes
        through one that leads nowhere, and never replaces one by bytecode.
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
