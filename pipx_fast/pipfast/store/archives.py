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
from pipfast.store.layout import Layout, note_use, remove
from pipfast.store.names import ARCHIVES
from pipfast.store.reading import opened, read_file, sha256_of_open
from pipfast.system.copying import copy_bytes

if TYPE_CHECKING:
    from pathlib import Path


_BYTES = "bytes"
_NOTE = "note.json"

_DIGEST = re.compile("[0-9a-f]{64}")
"""An index can call anything a digest, even a path; pip does not check it."""

_MOST_NOTE_BYTES = 1 << 16
"""Bytes beyond which a note cannot be one of ours: a file name has some hundred."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A stored archive of the right size; whoever uses it hashes it again."""

    layout: Layout
    digest: str
    path: Path
    size: int
    name: str
    """The file name under which it was first read."""


def is_digest(text: str) -> bool:
    """Tell whether what an index calls a SHA-256 can be one."""
    return _DIGEST.fullmatch(text) is not None


def find_archive(layout: Layout, digest: str) -> Archive | None:
    """Return the stored archive, or None; a damaged one is removed.

    Its time is not compared: a store that was restored from a backup has others.
    """
    if not is_digest(digest):
        return None
    folder = layout.archive(digest)
    try:
        size, name = read_note(folder)
        found = (folder / _BYTES).lstat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        logger.debug("pipfast: stored archive %s is not readable: %r", digest, error)
        layout.discard(folder)
        return None
    is_file = stat.S_ISREG(found.st_mode)
    if not is_file or found.st_size != size:
        wrong = "was changed in place" if is_file else "is no regular file any more"
        say(f"the stored archive of {name} {wrong}; it is thrown away")
        layout.discard(folder)
        return None
    note_use(folder)
    return Archive(layout, digest, folder / _BYTES, size, name)


def stored_bytes(layout: Layout, digest: str) -> Path:
    """Return the path of an archive's bytes, which need not be there."""
    return layout.archive(digest) / _BYTES


def stored_digests(layout: Layout) -> set[str]:
    """Return the digests of all stored archives."""
    found: set[str] = set()
    root = f"{layout.root}/{ARCHIVES}"
    with suppress(OSError):
        for fan in os.listdir(root):
            with suppress(OSError):
                found.update(filter(_DIGEST.fullmatch, os.listdir(f"{root}/{fan}")))
    return found


def archive_name(entry: Path) -> str | None:
    """Return the file name under which a stored archive was first read, if its note can be read."""
    try:
        return read_note(entry)[1]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def read_note(entry: Path) -> tuple[int, str]:
    """Return a stored archive's size in bytes, and the file name under which it was first read.

    :raises OSError: the note cannot be read. ValueError, TypeError, KeyError, RecursionError: it is none of ours.
    """
    noted = json.loads(read_file(entry / _NOTE, _MOST_NOTE_BYTES))
    return int(noted["size"]), str(noted["name"])


def has_its_bytes(layout: Layout, digest: str) -> bool:
    """Tell whether a stored archive's bytes have its SHA-256; ``is_sound`` removes one that has not."""
    try:
        return stored_sha256(layout.archive(digest) / _BYTES) == digest
    except OSError:
        return False


def is_sound(layout: Layout, archive: Archive) -> bool:
    """Tell whether a stored archive's bytes have its SHA-256; a damaged one is removed.

    Asked before pip gets it or it is unpacked: size and mtime can be forged, a digest cannot.
    """
    try:
        if stored_sha256(archive.path) == archive.digest:
            return True
        wrong = "is damaged"
    except FileNotFoundError:
        # Another process has pruned it.
        return False
    except OSError as error:
        wrong = f"cannot be read ({error.strerror or error})"
    say(f"the stored archive of {archive.name} {wrong}; it is thrown away")
    layout.discard(archive.path.parent)
    return False


def add_archive(layout: Layout, source: Path, digest: str, name: str, *, move: bool) -> Archive | None:
    """Store the file ``source``; a stored archive that is damaged gives way to it.

    :param digest: its SHA-256, which the caller has computed while reading it.
    :param move: move the file; otherwise copy it, and hash the copy.
    :returns: the stored archive, or None if it could not be stored (a full disk, say).
    """
    kept = find_archive(layout, digest)
    if kept is not None and is_sound(layout, kept):
        return kept
    if not layout.keeps:
        return None
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
    """Make ``target`` a hard link to a stored archive, else a symbolic link, else a copy.

    ``download`` and ``wheel`` give the user pip's copy of ``target``, with its mode; so an archive that was stored
    under another umask is copied here.

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
        # Another filesystem. pip reads the file much later, so the link leads to a name in tmp/, which `prune`
        # leaves alone while this process lives.
        try:
            # pip resolves the link and reads the suffixes there: `.tar.gz`, `.whl`.
            held = archive.layout.new_path("".join(target.suffixes[-2:]))
            os.link(archive.path, held)
        except OSError:
            # No links there, or no right to write: a copy needs neither.
            _copy(archive.path, target)
            return
        atexit.register(remove, held)
        target.symlink_to(held)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as read, target.open("xb", buffering=0) as written:
        copy_bytes(read.fileno(), written.fileno(), os.fstat(read.fileno()).st_size)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of a link's target, as 64 hex digits."""
    with open(path, "rb", buffering=0) as file:
        return sha256_of_open(file.fileno())


def stored_sha256(path: Path) -> str:
    """Return the SHA-256 of a file of the store; raises as ``reading.opened`` does."""
    with opened(path) as descriptor:
        return sha256_of_open(descriptor)
