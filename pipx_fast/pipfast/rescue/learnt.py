"""Causes of a source's failed builds, remembered for its next build.

Causes are kept, not grants: each run decides anew who may name a distribution, and at which version.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pipfast.rescue.diagnosis.causes import Cause, read_cause, to_json
from pipfast.store.names import LEARNT
from pipfast.store.notes import drop_note, keep_note, load_note, note_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast.store.layout import Layout

MAX_CAUSES = 32
"""Causes of one note; a note with more is damaged, as a build has far fewer rounds."""


def source_key(source: str) -> str:
    """Return the key of a source for this interpreter; a build with another Python may miss something else.

    :param source: ``sha256:<digest>`` of an archive, or ``git+<address>@<commit>``: it cannot change.
    """
    version = f"{sys.implementation.cache_tag}-{sys.platform}"
    return note_key(f"{version}\n{source}")


def remember(layout: Layout, source: str, causes: Iterable[Cause]) -> None:
    """Keep the causes of a build that has succeeded, in the place of earlier ones."""
    document = list(map(to_json, causes))
    if document and len(document) <= MAX_CAUSES:
        keep_note(layout, LEARNT, source_key(source), document)


def recall(layout: Layout, source: str) -> tuple[Cause, ...]:
    """Return the causes of a source's earlier builds."""
    return load_note(layout, LEARNT, source_key(source), _read) or ()


def forget(layout: Layout, source: str) -> None:
    """Forget the causes of a source: a build that began with them failed."""
    drop_note(layout, LEARNT, source_key(source))


def _read(payload: bytes) -> tuple[Cause, ...]:
    document = json.loads(payload)
    if not isinstance(document, list) or len(document) > MAX_CAUSES:
        raise ValueError("not a short list")
    return tuple(map(read_cause, document))
