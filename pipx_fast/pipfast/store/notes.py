"""Notes of the store: small files with checksums, each under a key.

A note holds a result that can be worked out again. One that is damaged, truncated or in another
version's format is removed; that is never an error. It is written aside and renamed into place.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipfast.report import logger
from pipfast.store.layout import USE_NOTED_S, Layout
from pipfast.store.reading import NotAFile, read_with_time

if TYPE_CHECKING:
    from collections.abc import Callable


T = TypeVar("T")

_MAGIC = b"pipfast-note-1 "
_HEAD = len(_MAGIC) + 64 + 1

_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors of readers at a note with another content than theirs."""

MAX_NOTE_BYTES = 256 << 20
"""Bytes beyond which a file cannot be one of ours: the largest index pages have some 30 MB."""


def note_key(*parts: object) -> str:
    """Return the key of a note: the SHA-256 of its subject, as 64 lowercase hex digits.

    :param parts: bytes count as they are, text in UTF-8, anything else as JSON.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            part = part.encode("utf-8", "surrogateescape")
        elif not isinstance(part, bytes):
            part = json.dumps(part, sort_keys=True).encode("ascii")
        digest.update(part)
    return digest.hexdigest()


def keep_note(layout: Layout, bucket: str, key: str, document: object) -> None:
    """Keep a document as JSON under ``key``, as ``write_note`` does."""
    write_note(layout, bucket, key, json.dumps(document, separators=(",", ":")).encode("ascii"))


def load_note(layout: Layout, bucket: str, key: str, read: Callable[[bytes], T]) -> T | None:
    """Return the note under ``key`` as ``read`` makes it, or None; an unreadable note is removed."""
    payload = read_note(layout, bucket, key)
    if payload is None:
        return None
    try:
        return read(payload)
    except _UNREADABLE as error:
        logger.debug("pipfast: %s of %s cannot be read: thrown away (%r)", key, bucket, error)
        drop_note(layout, bucket, key)
        return None


def write_note(layout: Layout, bucket: str, key: str, payload: bytes) -> None:
    """Keep ``payload`` under ``key``, as ``note_key`` returns it, in the place of an earlier note; never fails."""
    if not layout.keeps:
        return
    digest = hashlib.sha256(payload).hexdigest().encode("ascii")
    try:
        layout.replace_file(f"{layout.root}/{bucket}/{key[:2]}/{key}", _MAGIC, digest, b"\n", payload)
    except OSError as error:
        logger.debug("pipfast: cannot keep %s in %s: %r", key, bucket, error)
        layout.note_refusal(error.errno)


def read_note(layout: Layout, bucket: str, key: str) -> bytes | None:
    """Return the bytes that are kept under ``key``, or None; a damaged note is removed."""
    path = f"{layout.root}/{bucket}/{key[:2]}/{key}"
    try:
        content, used = read_with_time(path, MAX_NOTE_BYTES)
    except FileNotFoundError:
        return None
    except NotAFile:
        # A folder would stand in the way of the next one for ever.
        layout.discard(Path(path))
        return None
    except OSError as error:
        logger.debug("pipfast: cannot read %s of %s: %r", key, bucket, error)
        return None
    if not is_whole(content):
        logger.debug("pipfast: %s of %s is damaged: thrown away", key, bucket)
        drop_note(layout, bucket, key)
        return None
    if abs(time.time() - used) > USE_NOTED_S:
        # For `prune --older-than`.
        with suppress(OSError):
            os.utime(path)
    return content[_HEAD:]


def is_noted(root: Path, bucket: str, key: str) -> bool:
    """Tell whether something may be kept under ``key``; the store below ``root`` need not be there."""
    return os.path.exists(f"{root}/{bucket}/{key[:2]}/{key}")


def has_notes(layout: Layout, bucket: str) -> bool:
    """Tell whether anything is kept in a bucket."""
    try:
        with os.scandir(layout.root / bucket) as entries:
            return any(entries)
    except OSError:
        return False


def drop_note(layout: Layout, bucket: str, key: str) -> None:
    """Remove the note under ``key``."""
    with suppress(OSError):
        os.unlink(f"{layout.root}/{bucket}/{key[:2]}/{key}")


def is_whole(content: bytes) -> bool:
    """Tell whether the bytes of a note's file agree with its checksum."""
    digest = hashlib.sha256(memoryview(content)[_HEAD:]).hexdigest().encode("ascii")
    return content[:_HEAD] == _MAGIC + digest + b"\n"
