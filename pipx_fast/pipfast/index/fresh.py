"""Notes about pages in pip's HTTP cache that are still fresh.

pip reads an entry of its cache, computes its age and makes a response. For a page that was evaluated before, only
the result matters: it is kept with inode, size and times of the entry's files, and holds while these are the same.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.store.names import PAGES
from pipfast.store.notes import keep_note, load_note, note_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipfast.store.layout import Layout

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
    """Return the looks of files.

    :raises OSError: a file does not exist.
    """
    found = [path.stat() for path in paths]
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for each in found)


def fresh_key(context: Sequence[object]) -> str:
    """Return the key of a page in the cache: 64 lowercase hex digits.

    :param context: plain values: the request, and whatever else the cache's answer depends on besides its files.
    """
    return note_key("fresh ", context)


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
