"""Index pages kept compressed until their content is needed."""

from __future__ import annotations

import copy
import zlib
from typing import TYPE_CHECKING, Any

from pipfast.index.pages import content_digest, find_content_digest, keep_content_digest
from pipfast.system.inflate import inflater
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pipfast.store.layout import Layout


class Compressed(bytes):
    """Placeholder for a page's content: empty, with the compressed bytes as an attribute."""

    stored: bytes
    """A gzip stream."""


def accepted() -> AbstractContextManager[None]:
    """Leave the pages that the block takes out of the cache compressed; the caller inflates those it needs."""
    return here.having(takes_compressed=True)


def content_of(response: Any) -> bytes | None:
    """Return the unread body of an answer out of the cache; None if it is not gzip's.

    It is read at once: piece by piece a page takes hundreds of reads.

    :raises zlib.error: it is damaged.
    """
    if response.headers.get("Content-Encoding", "").lower() != "gzip":
        return None
    stored = response.raw.read(decode_content=False)
    if not here.takes_compressed:
        return _inflate(stored)
    content = Compressed()
    content.stored = stored
    return content


def digest_of(layout: Layout, page: Any) -> bytes:
    """Return the SHA-256 of a page's content.

    :raises zlib.error: it is damaged.
    """
    content = page.content
    if not isinstance(content, Compressed):
        return content_digest(content)
    known = find_content_digest(layout, content.stored)
    if known is None:
        known = content_digest(_inflate(content.stored))
        keep_content_digest(layout, content.stored, known)
    return known


def inflated(page: Any) -> Any:
    """Return a page of pip's with its content in it.

    :raises zlib.error: it is damaged.
    """
    if not isinstance(page.content, Compressed):
        return page
    whole = copy.copy(page)
    # Frozen since pip 24.1.
    object.__setattr__(whole, "content", _inflate(page.content.stored))
    return whole


def _inflate(stored: bytes) -> bytes:
    inflating = inflater.decompressobj(16 + zlib.MAX_WBITS)
    content: bytes = inflating.decompress(stored)
    if not inflating.eof or inflating.unused_data:
        raise zlib.error("not one whole stream")
    return content
