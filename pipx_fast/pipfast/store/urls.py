"""Which addresses a stored archive came from, and how: what pip would say of it the next time depends on that.

A file that came in several ranges is not in pip's HTTP cache, though pip alone would have put it there
and would say ``Using cached`` the next time. A size is said where the server has told it. An entry here is
what lets us say the same.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.report import logger
from pipfast.store.layout import URLS

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout


_UNKEPT, _UNSIZED = "unkept", "unsized"
"""Words after the digest, where these are so."""


@dataclass(frozen=True, slots=True)
class Origin:
    """How an address gave an archive."""

    kept: bool
    """pip's own cache has the answer, or would have kept it."""
    sized: bool
    """It said how long it was."""


def note_url(layout: Layout, url: str, digest: str, origin: Origin) -> None:
    """Note that ``url`` gave the archive of this digest."""
    path = _path(layout, url)
    aside = None
    words = (digest, *(() if origin.kept else (_UNKEPT,)), *(() if origin.sized else (_UNSIZED,)))
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        aside = layout.new_path()
        aside.write_text(" ".join(words), encoding="ascii")
        os.replace(aside, path)
    except OSError as error:
        logger.debug("pipfast: cannot note an address: %r", error)
        if aside is not None:
            with suppress(OSError):
                aside.unlink()


def find_origin(layout: Layout, url: str, digest: str) -> Origin | None:
    """Tell how ``url`` gave the archive of this digest, if that is noted."""
    with suppress(OSError, ValueError):
        words = _path(layout, url).read_text(encoding="ascii").split()
        if words[:1] == [digest]:
            return Origin(_UNKEPT not in words, _UNSIZED not in words)
    return None


def _path(layout: Layout, url: str) -> Path:
    # Only a digest of the address is kept: it may hold a password.
    name = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
    return layout.root / URLS / name[:2] / name
