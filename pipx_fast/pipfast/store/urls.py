"""Which addresses a stored archive came from, where pip's own cache would have kept the answer.

A file that came in several ranges is not in pip's HTTP cache, though pip alone would have put it there
and would say ``Using cached`` the next time. An entry here is what lets us say the same.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from pipfast.report import logger
from pipfast.store.layout import URLS

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout


def note_url(layout: Layout, url: str, digest: str) -> None:
    """Note that ``url`` gave the archive of this digest, in a way that pip would have cached."""
    path = _path(layout, url)
    aside = path.with_name(f".{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        aside.write_text(digest, encoding="ascii")
        os.replace(aside, path)
    except OSError as error:
        logger.debug("pipfast: cannot note an address: %r", error)
        with suppress(OSError):
            aside.unlink()


def is_noted(layout: Layout, url: str, digest: str) -> bool:
    """Tell whether ``url`` is noted to have given the archive of this digest."""
    with suppress(OSError, ValueError):
        return _path(layout, url).read_text(encoding="ascii") == digest
    return False


def _path(layout: Layout, url: str) -> Path:
    # Only a digest of the address is kept: it may hold a password.
    name = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
    return layout.root / URLS / name[:2] / name
