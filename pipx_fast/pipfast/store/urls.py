"""Addresses that stored archives came from.

pip says ``Using cached`` of a file in its HTTP cache, and a size where the server has told one. A file that we
fetched in ranges is not in that cache, so the entry of its address says how pip would have got it.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.report import logger
from pipfast.store.layout import note_use
from pipfast.store.names import URLS
from pipfast.store.reading import read_file

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout


_UNKEPT, _UNSIZED = "unkept", "unsized"
"""Words behind the digest for an ``Origin`` that is false in these."""

_MOST_BYTES = 256
"""Bytes beyond which a file cannot be one of ours."""


@dataclass(frozen=True, slots=True)
class Origin:
    """How the server of an address answered with an archive."""

    kept: bool
    """pip's own cache has the answer, or would have it."""
    sized: bool


def note_url(layout: Layout, url: str, digest: str, origin: Origin) -> None:
    """Note that the archive of this digest came from ``url``."""
    path = _path(layout, url)
    words = (digest, *(() if origin.kept else (_UNKEPT,)), *(() if origin.sized else (_UNSIZED,)))
    try:
        layout.replace_file(path, " ".join(words).encode("ascii"))
    except OSError as error:
        logger.debug("pipfast: cannot note an address: %r", error)
        layout.note_refusal(error.errno)


def find_origin(layout: Layout, url: str, digest: str) -> Origin | None:
    """Return how the archive of this digest came from ``url``, if that is noted."""
    path = _path(layout, url)
    with suppress(OSError, ValueError):
        noted, origin = read_address(path)
        if noted == digest:
            note_use(path)
            return origin
    return None


def find_digest(layout: Layout, url: str) -> str | None:
    """Return the digest of the archive that came from ``url`` the last time, if that is noted."""
    path = _path(layout, url)
    with suppress(OSError, ValueError):
        digest, _ = read_address(path)
        note_use(path)
        return digest
    return None


def read_address(path: Path) -> tuple[str, Origin]:
    """Return the digest of an address's archive, and how it came."""
    digest, *words = read_file(path, _MOST_BYTES).decode("ascii").split(" ")
    if re.fullmatch("[0-9a-f]{64}", digest) is None or not {_UNKEPT, _UNSIZED}.issuperset(words):
        raise ValueError("it holds no digest")
    return digest, Origin(_UNKEPT not in words, _UNSIZED not in words)


def _path(layout: Layout, url: str) -> Path:
    # Only a digest of the address is kept: it may hold a password.
    name = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
    return layout.root / URLS / name[:2] / name
