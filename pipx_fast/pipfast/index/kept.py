"""Answers of indexes, and metadata files, kept for times without network.

pip's own cache has them for a while, and only of servers that it trusts. An answer is a note of its own, which
names its content by digest: pages that did not change are written once.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from pipfast.report import logger
from pipfast.store.names import ANSWERS
from pipfast.store.notes import drop_note, is_noted, keep_note, load_note, note_key, read_note, write_note
from pipfast.system.inflate import inflater

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipfast.store.layout import Layout

CONFIRMED_S = 3600.0
"""Seconds for which the noted time of an answer stands: finer would cost a write for each page of each run."""

_WBITS = 16 + zlib.MAX_WBITS
"""zlib's word for the gzip format."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server has said about an address."""

    status: int
    url: str
    """Where redirections led, without user and password; empty: to where it was asked."""
    content_type: str
    digest: bytes
    """SHA-256 of the content; empty where there is none."""
    asked: float
    """Seconds since the epoch, noted once an hour."""


def without_user(url: str) -> str:
    """Return an address as it is sent: pip sends user and password in a header. Raises ValueError: it is none."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def answer_key(url: str, accept: str) -> str:
    """Return the key of the answers to a request; the address is not kept in the clear.

    :param accept: the request's header of that name.
    """
    return note_key(f"answer {accept} {without_user(url)}")


def keep_answer(layout: Layout, key: str, answer: Answer, content: Callable[[], bytes]) -> None:
    """Keep an answer; nothing is written of one that was kept within the last hour.

    :param answer: without its digest.
    :param content: returns the content; not called where a later answer is kept.
    """
    known = find_answer(layout, key)
    if known is not None and known.asked >= answer.asked:
        return
    if answer.status == 200:
        body = content()
        answer = replace(answer, digest=hashlib.sha256(body).digest())
        content_key = _content_key(answer.digest)
        if not is_noted(layout.root, ANSWERS, content_key):
            deflating = inflater.compressobj(1, zlib.DEFLATED, _WBITS)
            write_note(layout, ANSWERS, content_key, deflating.compress(body) + deflating.flush())
    if known is None or replace(known, asked=answer.asked) != answer or answer.asked - known.asked > CONFIRMED_S:
        row = [answer.status, answer.url, answer.content_type, answer.digest.hex(), answer.asked]
        keep_note(layout, ANSWERS, key, row)


def find_answer(layout: Layout, key: str) -> Answer | None:
    """Return what is kept under a key."""
    return load_note(layout, ANSWERS, key, _read)


def _read(payload: bytes) -> Answer:
    status, url, content_type, digest, asked = json.loads(payload)
    answer = Answer(int(status), str(url), str(content_type), bytes.fromhex(digest), float(asked))
    if not math.isfinite(answer.asked) or len(answer.digest) != (32 if answer.status == 200 else 0):
        raise ValueError("no answer")
    return answer


def content_of(layout: Layout, answer: Answer) -> bytes | None:
    """Return an answer's content; None if it is not there any more."""
    if answer.status != 200:
        return b""
    stored = read_note(layout, ANSWERS, _content_key(answer.digest))
    if stored is None:
        return None
    try:
        content: bytes = inflater.decompress(stored, _WBITS)
    except (zlib.error, EOFError, ValueError, inflater.error) as error:
        logger.debug("pipfast: a kept page is damaged: %r", error)
        content = b""
    if hashlib.sha256(content).digest() != answer.digest:
        drop_note(layout, ANSWERS, _content_key(answer.digest))
        return None
    return content


def keep_metadata(layout: Layout, digest: str, content: bytes) -> None:
    """Keep a metadata file that has the SHA-256 which the index has given."""
    if hashlib.sha256(content).hexdigest() == digest:
        write_note(layout, ANSWERS, _metadata_key(digest), content)


def has_metadata(layout: Layout, digest: str) -> bool:
    """Tell whether a metadata file may be kept."""
    return is_noted(layout.root, ANSWERS, _metadata_key(digest))


def find_metadata(layout: Layout, digest: str) -> bytes | None:
    """Return the metadata file of a SHA-256, if it is kept and has that."""
    content = read_note(layout, ANSWERS, _metadata_key(digest))
    return content if content is not None and hashlib.sha256(content).hexdigest() == digest else None


def _content_key(digest: bytes) -> str:
    return note_key(b"content ", digest)


def _metadata_key(digest: str) -> str:
    return note_key(f"metadata {digest}")
