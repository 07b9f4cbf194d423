"""Comparison of stored files' size, time, mode, owner and attributes.

A hard link shares all of these with every environment. A change by one environment is found here, before the
next one gets the file. A file that differs may still have the right contents: see ``upkeep.mend``.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pipfast.store.manifest import MANIFEST, TREE, StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterable


_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)

_ACCESS_LIST = "system.posix_acl_access"

_SOMEBODY_SET = frozenset({_ACCESS_LIST, "security.capability"})
"""Extended attributes that people and programs set, beside ``user.*``. All others are the system's (SELinux, IMA,
NFS, cluster filesystems): a new file has them from its beginning."""

WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
"""The rights that a store loses when it is made read-only."""

_list_attributes = getattr(os, "listxattr", None)


class Expected:
    """Owner, group and attributes of a stored folder's files; ``read_only``: the right to write may be missing."""

    def __init__(self, folder: str, found: os.stat_result, *, read_only: bool = False) -> None:
        self._folder = folder
        self._missing = WRITE if read_only else 0
        # No environment shares a folder: it still has the owner and group that its files had when they were made.
        self._owner = found.st_uid, found.st_gid
        self._lists = _list_attributes is not None
        self._reference: dict[str, bytes] | None = None

    def is_like(self, file: StoredFile, found: os.stat_result) -> bool:
        """Tell whether a file has its size, time, mode and owner."""
        return (
            found.st_size == file.size
            and found.st_mtime_ns == file.mtime_ns
            and found.st_mode | file.mode & self._missing == stat.S_IFREG | file.mode
            and (found.st_uid, found.st_gid) == self._owner
        )

    def has_its_owner(self, found: os.stat_result) -> bool:
        """Tell whether a file has its owner and group."""
        return (found.st_uid, found.st_gid) == self._owner

    def has_its_attributes(self, name: str) -> bool:
        """Tell whether a file has a new file's attributes and access list here; OSError: it is gone."""
        if not self._lists:
            return True
        assert _list_attributes is not None
        path = f"{self._folder}/{name}"
        try:
            names = _list_attributes(path, follow_symlinks=False)
        except FileNotFoundError:
            raise
        except OSError:
            # The filesystem has no attributes.
            self._lists = False
            return True
        if not names or not (found := set_by_somebody(names)):
            return True
        if self._reference is None:
            self._reference = _attributes_of_new_files(self._folder)
        # The value of an inherited access list depends on the mode, which is compared already.
        return found == self._reference.keys() and all(
            name == _ACCESS_LIST or os.getxattr(path, name, follow_symlinks=False) == self._reference[name]
            for name in found
        )


def set_by_somebody(names: Iterable[str]) -> set[str]:
    """Return the names of extended attributes that are not the system's."""
    return {name for name in names if name.startswith("user.") or name in _SOMEBODY_SET}


def open_folder(folder: str) -> int:
    """Open a stored folder and return its descriptor. Raises OSError: it is gone, or no folder."""
    return os.open(folder, _FOLDER_FLAGS)


def first_unlike(folder: str, files: Iterable[StoredFile], *, read_only: bool = False) -> str | None:
    """Return the path of the first file of a stored folder that does not look as it was made, or None.

    :param read_only: pass files without the right to write, too; they may be copied, but not linked.
    """
    name = ""
    try:
        descriptor = open_folder(folder)
        try:
            expected = Expected(folder, os.fstat(descriptor), read_only=read_only)
            for file in files:
                name = f"/{file.name}"
                found = os.stat(file.name, dir_fd=descriptor, follow_symlinks=False)
                if not (expected.is_like(file, found) and expected.has_its_attributes(file.name)):
                    return folder + name
        finally:
            os.close(descriptor)
    except OSError:
        return folder + name
    return None


def _attributes_of_new_files(folder: str) -> dict[str, bytes]:
    """Return the attributes of the entry's manifest: it is never linked, so no environment changes it."""
    parts = folder.split("/")
    entries = ("/".join(parts[:end]) for end in range(1, len(parts)) if parts[end] == TREE)
    for entry in entries:
        path = f"{entry}/{MANIFEST}"
        try:
            return {
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in set_by_somebody(os.listxattr(path, follow_symlinks=False))
            }
        except OSError:
            continue
    return {}
