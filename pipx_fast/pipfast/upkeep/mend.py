"""Repair of stored files whose contents are right.

A store restored from a backup has other times; a program may have changed a file's rights through a link in an
environment. A file with its digest gets its mode, owner and time back (bytecode names its source's time). If an
environment shares the file, that one stays as it is and the store gets a copy.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pipfast.store.likeness import Expected, open_folder
from pipfast.store.manifest import TREE, Damaged, Folder, StoredFile, read_digests
from pipfast.store.reading import NotAFile, opened, sha256_of_open

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipfast.store.layout import Layout
    from pipfast.store.prepared import Prepared

GRAIN_NS = 2_000_000_000
"""Nanoseconds that a time may be off after a backup: ZIP counts seconds by two."""

_BLOCK = 1 << 20
"""Bytes copied at once."""


class Difference(NamedTuple):
    """A stored file, or an entry, that cannot be put right."""

    path: str
    how: str


def mend(layout: Layout, prepared: Prepared) -> Difference | None:
    """Put a wheel's files and bytecode right; return the first that cannot be. Files before it may be changed."""
    difference = mend_entry(layout, prepared.tree, prepared.manifest.folders)
    if difference is None and prepared.bytecode is not None and prepared.compiled is not None:
        return mend_entry(layout, prepared.bytecode, prepared.compiled, below="__pycache__")
    return difference


def mend_entry(layout: Layout, entry: Path, folders: Iterable[Folder], *, below: str = "") -> Difference | None:
    """Put the files of one entry right; return the first that cannot be."""
    try:
        digests = read_digests(entry)
    except (OSError, Damaged) as error:
        return Difference(os.fspath(entry), f"cannot be checked ({error})")
    with ExitStack() as stack:
        mender = _Mender(layout, stack)
        for folder in folders:
            path = folder.below(f"{entry}/{TREE}") + (f"/{below}" if below else "")
            difference = mender.mend_folder(path, folder, digests)
            if difference is not None:
                return difference
    return None


@dataclass(slots=True)
class _Mender:
    layout: Layout
    stack: ExitStack
    _staging: Path | None = field(default=None)

    def mend_folder(self, place: str, folder: Folder, digests: dict[str, str]) -> Difference | None:
        path = place
        try:
            descriptor = open_folder(place)
            try:
                expected = Expected(place, os.fstat(descriptor))
                for file in folder.files:
                    path = f"{place}/{file.name}"
                    found = os.stat(file.name, dir_fd=descriptor, follow_symlinks=False)
                    has_its_attributes = expected.has_its_attributes(file.name)
                    if expected.is_like(file, found) and has_its_attributes:
                        continue
                    if not stat.S_ISREG(found.st_mode):
                        return Difference(path, "is no regular file any more")
                    if found.st_size != file.size:
                        return Difference(path, _CHANGED)
                    is_itself = has_its_attributes and expected.has_its_owner(found)
                    digest = digests[folder.path_of(file.name)]
                    if not self._mend_file(path, file, digest, is_itself=is_itself):
                        return Difference(path, _CHANGED)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return Difference(path, "is gone")
        except NotAFile:
            return Difference(path, "is no regular file any more")
        except (OSError, KeyError) as error:
            return Difference(path, f"cannot be checked ({error})")
        return None

    def _mend_file(self, path: str, file: StoredFile, digest: str, *, is_itself: bool) -> bool:
        with opened(path) as source:
            found = os.fstat(source)
            mode_and_time = stat.S_IMODE(found.st_mode) == file.mode and (
                abs(found.st_mtime_ns - file.mtime_ns) < GRAIN_NS
            )
            if is_itself and (found.st_nlink == 1 or mode_and_time):
                if sha256_of_open(source) != digest:
                    return False
                os.chmod(source, file.mode)
                os.utime(source, ns=(found.st_atime_ns, file.mtime_ns))
                return True
            if self._staging is None:
                self._staging = self.stack.enter_context(self.layout.staging())
            aside = self._staging / "file"
            group = os.stat(os.path.dirname(path)).st_gid
            if _copy(source, aside, file, group) != digest:
                return False
            aside.replace(path)
            return True


_CHANGED = "was changed in place, perhaps through an environment that links to it"


def _copy(source: int, target: Path, file: StoredFile, group: int) -> str:
    with suppress(FileNotFoundError):
        target.unlink()
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(descriptor, "wb", buffering=0) as written:
        while block := os.read(source, _BLOCK):
            digest.update(block)
            written.write(block)
        with suppress(OSError):
            os.chown(descriptor, -1, group)
        os.chmod(descriptor, file.mode)
        os.utime(descriptor, ns=(file.mtime_ns, file.mtime_ns))
    return digest.hexdigest()
