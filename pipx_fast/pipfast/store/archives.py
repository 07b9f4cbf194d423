"""Archives in the store, found by their SHA-256."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.report import logger, say
from pipfast.store.layout import note_use, remove
from pipfast.store.reading import opened, read_file, sha256_of_open
from pipfast.system.copying import copy_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout

_BYTES = "bytes"
_NOTE = "note.json"

_DIGEST = re.compile("[0-9a-f]{64}")
"""What an index calls a digest can be anything, a path among others: pip doesn't look at it either."""

MOST_NOTE_BYTES = 1 << 16
"""Bytes beyond which a note about an archive cannot be one of ours: a file name has some hundred."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive in the store whose size is as it was; before it is used, it is hashed again."""

    layout: Layout
    digest: str
    path: Path
    size: int
    name: str
    """The file name under which it was first read."""


def find_archive(layout: Layout, digest: str) -> Archive | None:
    """Return the stored archive, or None; what can't be it is thrown away first.

    Its time is not looked at: a store that was restored from an archive has others.
    """
    if _DIGEST.fullmatch(digest) is None:
        return None
    folder = layout.archive(digest)
    try:
        noted = json.loads(read_file(folder / _NOTE, MOST_NOTE_BYTES))
        size, name = int(noted["size"]), str(noted["name"])
        found = (folder / _BYTES).lstat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        logger.debug("pipfast: stored archive %s is not readable: %r", digest, error)
        layout.discard(folder)
        return None
    if not stat.S_ISREG(found.st_mode):
        say(f"the stored archive of {name} is no regular file any more; it is thrown away")
        layout.discard(folder)
        return None
    if found.st_size != size:
        say(f"the stored archive of {name} was changed in place; it is thrown away")
        layout.discard(folder)
        return None
    note_use(folder)
    return Archive(layout, digest, folder / _BYTES, size, name)


def archive_name(entry: Path) -> str | None:
    """Return the file name under which a stored archive was first read, if its note can be read."""
    try:
        noted = json.loads(read_file(entry / _NOTE, MOST_NOTE_BYTES))
        return str(noted["name"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def has_its_bytes(layout: Layout, digest: str) -> bool:
    """Tell whether an archive is stored whose bytes have this SHA-256; what has not is left to ``is_sound``."""
    try:
        return stored_sha256(layout.archive(digest) / _BYTES) == digest
    except OSError:
        return False


def is_sound(layout: Layout, archive: Archive) -> bool:
    """Tell whether a stored archive's bytes have its SHA-256; one whose bytes have not is thrown away.

    For handing it to pip, or unpacking it: size and mtime can be put back, a digest can't.
    """
    try:
        if stored_sha256(archive.path) == archive.digest:
            return True
    except FileNotFoundError:
        # Taken away by another process, which prunes.
        return False
    except OSError as error:
        say(f"the stored archive of {archive.name} cannot be read ({error.strerror or error}); it is thrown away")
        layout.discard(archive.path.parent)
        return False
    say(f"the stored archive of {archive.name} is damaged; it is thrown away")
    layout.discard(archive.path.parent)
    return False


def add_archive(layout: Layout, source: Path, digest: str, name: str, *, move: bool) -> Archive | None:
    """Keep the file ``source``, whose SHA-256 the caller has computed while reading it.

    :param move: the caller gives the file up; otherwise it is copied, and the copy is hashed.
    :returns: the stored archive, or None when it could not be kept (a full disk, say).
    """
    kept = find_archive(layout, digest)
    if kept is not None or not layout.keeps:
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
        layout.note_refusal(error.errno)
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
        try:
            # pip looks where the link leads, and at the suffixes there: `.tar.gz`, `.whl`.
            held = archive.layout.new_path("".join(target.suffixes[-2:]))
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
    # Through links: pip may have been handed one.
    with open(path, "rb", buffering=0) as file:
        return sha256_of_open(file.fileno())


def stored_sha256(path: Path) -> str:
    """Return the SHA-256 of a file of the store; raises as ``reading.opened`` does."""
    with opened(path) as descriptor:
        return sha256_of_open(descriptor)
