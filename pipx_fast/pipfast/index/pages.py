"""Evaluated index pages: the installable files of each, best last.

A note's key covers the page's bytes and everything else that the evaluation depends on: a note that is found is
exactly what the evaluation would return.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.store.names import PAGES
from pipfast.store.notes import keep_note, load_note, note_key, write_note

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pipfast.store.layout import Layout


YANKED = 1
WHEEL = 2


@dataclass(frozen=True, slots=True)
class PageTable:
    """The files of one page that can be installed, in ascending order of preference.

    The order is pip's for equal hashes: yanked files first, then by version, then by how well a file fits the
    interpreter, then as on the page.
    """

    versions: tuple[str, ...]
    rows: tuple[tuple[int, int, int], ...]
    """For each file: index into ``versions``, flags, position on the page."""
    files: Sequence[bytes]
    """For each row, the page's entry of the file (JSON)."""
    rejected: tuple[str, ...] = ()
    """Reasons against files for another Python, for pip's error message."""
    base: str | None = None
    """The base address of the links of an HTML page; None for a JSON page."""


def content_digest(content: bytes) -> bytes:
    """Return the SHA-256 of a page's content."""
    return hashlib.sha256(content).digest()


def digest_of_stored(layout: Layout, stored: bytes, inflate: Callable[[bytes], bytes]) -> bytes:
    """Return the SHA-256 of a compressed page's content; a page that was inflated before is not inflated again."""
    key = note_key("gzip ", content_digest(stored))
    known = load_note(layout, PAGES, key, _read_digest)
    if known is None:
        known = content_digest(inflate(stored))
        write_note(layout, PAGES, key, known)
    return known


def _read_digest(payload: bytes) -> bytes:
    if len(payload) != hashlib.sha256().digest_size:
        raise ValueError("no digest")
    return payload


def keep_table(layout: Layout, key: str, table: PageTable) -> None:
    """Keep an evaluation in the store."""
    head = json.dumps([table.versions, table.rows, table.rejected, table.base], separators=(",", ":"))
    write_note(layout, PAGES, key, b"\n".join((head.encode("ascii"), *table.files)))


def find_table(layout: Layout, key: str) -> PageTable | None:
    """Return a kept evaluation, if there is one that can be read."""
    return load_note(layout, PAGES, key, _read_table)


def _read_table(payload: bytes) -> PageTable:
    head, *files = payload.split(b"\n")
    versions, rows, rejected, base = json.loads(head)
    if len(rows) != len(files):
        raise ValueError("rows and files differ")
    return PageTable(tuple(versions), tuple(map(tuple, rows)), files, tuple(rejected), base)


Looks = tuple[tuple[int, int, int, int], ...]
"""Of each file: inode, size in bytes, mtime and ctime in ns."""


@dataclass(frozen=True, slots=True)
class FreshPage:
    """A page in pip's cache."""

    until: float
    """Seconds since the epoch after which pip asks the server."""
    looks: Looks
    url: str
    content_type: str
    encoding: str | None
    digest: bytes
    """SHA-256 of the page's content."""


def looks_of(paths: Sequence[Path]) -> Looks:
    """Return the looks of files. Raises OSError: a file does not exist."""
    found = [path.stat() for path in paths]
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for each in found)


def find_fresh(layout: Layout, key: str, looks: Looks, now: float) -> FreshPage | None:
    """Return the note if the files are the same and the page is fresh."""
    found = load_note(layout, PAGES, key, _read)
    return found if found is not None and found.looks == looks and now < found.until else None


def _read(payload: bytes) -> FreshPage:
    until, kept, url, content_type, encoding, digest = json.loads(payload)
    known = tuple(tuple(each) for each in kept)
    found = FreshPage(float(until), known, str(url), str(content_type), encoding, bytes.fromhex(digest))
    if len(found.digest) != hashlib.sha256().digest_size or not math.isfinite(found.until):
        raise ValueError("no page")
    return found


def keep_fresh(layout: Layout, key: str, page: FreshPage) -> None:
    """Keep a note for ``find_fresh``."""
    row = [page.until, page.looks, page.url, page.content_type, page.encoding, page.digest.hex()]
    keep_note(layout, PAGES, key, row)
