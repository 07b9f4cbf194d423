"""Which page pip's HTTP cache holds, and until when it answers without asking the server.

pip reads an entry of its cache, works out how old it is, and makes a response of it: for a page that has been
evaluated before, only the outcome is of interest. It is kept with what the entry's files looked like, and is
worth nothing as soon as one of them is another.
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
    """A page as pip's cache gives it."""

    until: float
    """Seconds since the epoch: from then on pip asks the server."""
    looks: Looks
    url: str
    content_type: str
    encoding: str | None
    digest: bytes
    """SHA-256 of the page's content."""


def looks_of(paths: Sequence[Path]) -> Looks:
    """Return what tells files from others in their places.

    :raises OSError: one is not there.
    """
    found = [path.stat() for path in paths]
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for each in found)


def fresh_key(context: Sequence[object]) -> str:
    """Return the key of a page in the cache: 64 lowercase hex digits.

    :param context: plain values: the request, and all else that the cache's answer depends on besides its files.
    """
    return note_key("fresh ", context)


def find_fresh(layout: Layout, key: str, looks: Looks, now: float) -> FreshPage | None:
    """Return what is kept, if the files are the same and it is not too old."""
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
    """Keep in the store what ``find_fresh`` returns."""
    row = [page.until, page.looks, page.url, page.content_type, page.encoding, page.digest.hex()]
    keep_note(layout, PAGES, key, row)

