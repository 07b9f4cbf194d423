"""An evaluated index page: which of its files an interpreter could install, best last, kept by content.

The entry's key names the page's bytes and everything that the evaluation depends on, so that an entry
is either exactly what the evaluation would say again, or is not found.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.store.names import PAGES
from pipfast.store.notes import load_note, note_key, write_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipfast.store.layout import Layout

YANKED = 1
WHEEL = 2
"""Flags of a row."""


@dataclass(frozen=True, slots=True)
class PageTable:
    """The files of one page that can be installed, in ascending order of preference.

    The order is pip's for equal hashes: yanked files first, then by version, then by how well a file
    fits the interpreter; files that are alike in the page's order.
    """

    versions: tuple[str, ...]
    """The different versions, each once."""
    rows: tuple[tuple[int, int, int], ...]
    """For each file: index into ``versions``, flags, position on the page."""
    files: Sequence[bytes]
    """For each row, what the page says of the file (JSON)."""
    rejected: tuple[str, ...] = ()
    """Reasons against files for another Python, which an error message repeats."""
    base: str | None = None
    """For an HTML page the address that its links start from; None for a JSON page."""


def content_digest(content: bytes) -> bytes:
    """Return the SHA-256 of a page's content."""
    return hashlib.sha256(content).digest()


def find_content_digest(layout: Layout, stored: bytes) -> bytes | None:
    """Return the SHA-256 of what a compressed page inflates to, if that has been seen before."""
    return load_note(layout, PAGES, _stored_key(stored), _read_digest)


def _read_digest(payload: bytes) -> bytes:
    if len(payload) != hashlib.sha256().digest_size:
        raise ValueError("no digest")
    return payload


def keep_content_digest(layout: Layout, stored: bytes, digest: bytes) -> None:
    """Keep in the store what ``find_content_digest`` returns."""
    write_note(layout, PAGES, _stored_key(stored), digest)


def _stored_key(stored: bytes) -> str:
    return note_key("gzip ", content_digest(stored))


def page_key(digest: bytes, context: Sequence[object]) -> str:
    """Return the key of a page's evaluation: 64 lowercase hex digits.

    :param digest: the SHA-256 of the page's content.
    :param context: plain values: all that the evaluation depends on besides the page's bytes.
    """
    return note_key(digest, context)


def keep_table(layout: Layout, key: str, table: PageTable) -> None:
    """Keep an evaluation in the store."""
    head = json.dumps([table.versions, table.rows, table.rejected, table.base], separators=(",", ":"))
    write_note(layout, PAGES, key, b"\n".join((head.encode("ascii"), *table.files)))


def find_table(layout: Layout, key: str) -> PageTable | None:
    """Return a kept evaluation; None if there is none, or none that can be read."""
    return load_note(layout, PAGES, key, _read_table)


def _read_table(payload: bytes) -> PageTable:
    head, *files = payload.split(b"\n")
    versions, rows, rejected, base = json.loads(head)
    if len(rows) != len(files):
        raise ValueError("rows and files differ")
    return PageTable(tuple(versions), tuple(map(tuple, rows)), files, tuple(rejected), base)
