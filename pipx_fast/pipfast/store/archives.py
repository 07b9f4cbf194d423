"""The archives in the store: bytes as they were read, found by their SHA-256."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.copying import copy_bytes
from pipfast.report import logger, say
from pipfast.store.layout import Layout, note_use, remove

if TYPE_CHECKING:
    from pathlib import Path

_BYTES = "bytes"
_NOTE = "note.json"

_DIGEST = re.compile("[0-9a-f]{64}")
"""What an index calls a digest can be anything, a path among others: pip doesn't look at it either."""

_HASH_BLOCK = 1 << 20
"""Bytes read at once while hashing; larger blocks gain nothing."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive in the store whose size and mtime are as they were when it was hashed."""

    digest: str
    path: Path
    size: int
    name: str
    """The file name under which it was first read."""


def find_archive(layout: Layout, digest: str) -> Archive | None:
    """Return the stored archive, or None; one that was changed in place is thrown away first."""
    if _DIGEST.fullmatch(digest) is None:
        return None
    folder = layout.archive(digest)
    try:
        with (folder / _NOTE).open(encoding="utf-8") as file:
            noted = json.load(file)
        size, mtime_ns, name = int(noted["size"]), int(noted["mtime_ns"]), str(noted["name"])
        found = (folder / _BYTES).lstat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        logger.debug("pipfast: stored archive %s is not readable: %r", digest, error)
        layout.discard(folder)
        return None
    if found.st_size != size or found.st_mtime_ns != mtime_ns or not stat.S_ISREG(found.st_mode):
        say(f"the stored archive of {name} was changed in place; it is thrown away")
        layout.discard(folder)
        return None
    note_use(folder)
    return Archive(digest, folder / _BYTES, size, name)


def has_its_bytes(layout: Layout, digest: str) -> bool:
    """Tell whether an archive is stored whose bytes have this SHA-256; what has not is left to ``is_sound``."""
    try:
        return sha256_of(layout.archive(digest) / _BYTES) == digest
    except OSError:
        return False


def is_sound(layout: Layout, archive: Archive) -> bool:
    """Tell whether a stored archive's bytes have its SHA-256; one whose bytes have not is thrown away.

    For handing it to pip, or unpacking it: size and mtime can be put back, a digest can't.
    """
    try:
        if sha256_of(archive.path) == archive.digest:
            return True
    except OSError as error:
        logger.debug("pipfast: stored archive of %s: %r", archive.name, error)
    say(f"the stored archive of {archive.name} is damaged; it is thrown away")
    layout.discard(archive.path.parent)
    return False


def add_archive(layout: Layout, source: Path, digest: str, name: str, *, move: bool) -> Archive | None:
    """Keep the file ``source``, whose SHA-256 the caller has computed while reading it.

    :param move: the caller gives the file up; otherwise it is copied, and the copy is hashed.
    :returns: the stored archive, or None when it could not be kept (a full disk, say).
    """
    kept = find_archive(layout, digest)
    if kept is not None:
        return kept
    try:
        with layout.staging() as staging:
            held = staging / _BYTES
            if move:
                try:
                    os.replace(source, held)
                except OSError:
                    shutil.copyfile(source, held)
            else:
                shutil.copyfile(source, held)
                if sha256_of(held) != digest:
                    return None
            found = held.stat()
            note = json.dumps({"size": found.st_size, "mtime_ns": found.st_mtime_ns, "name": name})
            (staging / _NOTE).write_text(note, encoding="utf-8")
            layout.settle(staging, layout.archive(digest))
    except OSError as error:
        logger.debug("pipfast: cannot keep archive %s: %r", name, error)
        return None
    return find_archive(layout, digest)


def hand_out(archive: Archive, target: Path, umask: int) -> None:
    """Make ``target`` a name of the stored archive: a hard link, else a symbolic link, else a copy.

    pip reads it in a folder of its own; what ``download`` and ``wheel`` leave to the user is pip's copy of that,
    with its mode: what was stored under another umask is copied here.

    :param umask: the user's.
    :raises OSError: none was possible.
    """
    with suppress(FileNotFoundError):
        target.unlink()
    if stat.S_IMODE(archive.path.stat().st_mode) != 0o666 & ~umask:
        _copy(archive.path, target)
        return
    try:
        os.link(archive.path, target)
    except OSError:
        # Another filesystem. The link leads to a name of our own, which `prune` leaves alone while this
        # process lives: pip reads the file much later.
        layout = Layout(archive.path.parents[3])
        try:
            # pip looks where the link leads, and at the suffixes there: `.tar.gz`, `.whl`.
            held = layout.new_path("".join(target.suffixes[-2:]))
            os.link(archive.path, held)
        except OSError:
            # No links at all there, or nothing can be written: a copy where pip wants it needs neither.
            _copy(archive.path, target)
            return
        atexit.register(remove, held)
        target.symlink_to(held)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as read, target.open("xb", buffering=0) as written:
        copy_bytes(read.fileno(), written.fileno(), os.fstat(read.fileno()).st_size)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        # One buffer for all blocks: a new one for each would be new memory to the kernel, too.
        block = memoryview(bytearray(min(os.fstat(file.fileno()).st_size + 1, _HASH_BLOCK)))
        while count := file.readinto(block):
            digest.update(block[:count])
    return digest.hexdigest()
