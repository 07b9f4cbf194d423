"""Placing of a planned wheel's files."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from pipfast.install.linker import Linker, require_replaceable

_DEFAULT_ACL = "system.posix_acl_default"
"""The extended attribute that holds a folder's default access list (acl(5), Linux)."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipfast.install.plan import Batch


def check_targets(batches: Sequence[Batch]) -> None:
    """Refuse batches that the environment cannot take, before anything is placed.

    Missing folders, which in a fresh environment are nearly all, cost one look each.

    :raises OSError: a folder cannot be written to, or its name is another thing's; or a folder or a symbolic link
        has the name of a file.
    """
    absent: set[str] = set()
    for batch in batches:
        parent = os.path.dirname(batch.target)
        if parent in absent or not os.path.lexists(batch.target):
            if parent not in absent:
                _require_writable(_first_there(parent))
            absent.add(batch.target)
            continue
        _require_writable(batch.target)
        for file in batch.files:
            require_replaceable(f"{batch.target}/{file.name}")


def _first_there(folder: str) -> str:
    while folder and not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    # `--prefix` and `--target` may be relative.
    return folder or os.curdir


def _require_writable(folder: str) -> None:
    """Refuse a folder that takes no new files. Raises OSError: why not; ``filename`` is ``folder``."""
    if not stat.S_ISDIR(os.stat(folder).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)


def place(batches: Sequence[Batch], linker: Linker) -> int:
    """Make the folders and files of ``batches``; return the number of files.

    A folder is made only for a file: an empty one could not be uninstalled.

    :raises OSError: as pip's own writing would; files placed before stay, as under pip.
    """
    count = 0
    for batch in batches:
        if not batch.files:
            continue
        _ensure_folder(batch.target)
        if batch.private or linker.mode == "copy":
            _copy_all(batch, linker)
        else:
            source_fd = os.open(batch.source, os.O_RDONLY)
            try:
                target_fd = os.open(batch.target, os.O_RDONLY)
                try:
                    if _has_default_list(target_fd) or _gives_another_group(
                        target_fd, source_fd, batch.files[0].name
                    ):
                        _copy_all(batch, linker)
                    else:
                        for file in batch.files:
                            linker.put(
                                f"{batch.source}/{file.name}", file, f"{batch.target}/{file.name}",
                                source_fd, target_fd,
                            )
                finally:
                    os.close(target_fd)
            finally:
                os.close(source_fd)
        count += len(batch.files)
    return count


def _copy_all(batch: Batch, linker: Linker) -> None:
    for file in batch.files:
        linker.copy(f"{batch.source}/{file.name}", file, f"{batch.target}/{file.name}")


def _gives_another_group(folder: int, source: int, name: str) -> bool:
    """Tell whether new files in an open folder get another group than links to the stored files have.

    Either folder may be setgid, and the process may have another group than when the store's files were made
    (``newgrp``).
    """
    found = os.fstat(folder)
    # Filesystems with one group only, or mounted with `grpid`, go by the folder, whatever our group is.
    groups = {found.st_gid} if found.st_mode & stat.S_ISGID else {found.st_gid, os.getegid()}
    return os.stat(name, dir_fd=source, follow_symlinks=False).st_gid not in groups


def inherits_nothing(folder: str, found: os.stat_result) -> bool:
    """Tell whether a new entry of a folder inherits neither its group nor its access list.

    :param found: the folder's ``os.stat``.
    """
    return not found.st_mode & stat.S_ISGID and not _has_default_list(folder)


def _has_default_list(folder: str | int) -> bool:
    """Tell whether new files in a folder (a path, or open) inherit an access list, and so other modes."""
    try:
        os.getxattr(folder, _DEFAULT_ACL)
    except (OSError, AttributeError):
        # There is none, or the filesystem has none, or the system inherits in another way (macOS).
        return False
    return True


def _ensure_folder(path: str) -> None:
    try:
        # One call suffices for most of some thousand folders.
        os.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        try:
            os.makedirs(path)
        except OSError as error:
            # pip's ensure_dir passes over both.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
