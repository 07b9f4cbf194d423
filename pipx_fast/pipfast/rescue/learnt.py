"""Causes of a source's failed builds, remembered for its next build.

Causes are kept, not grants: each run decides anew who may name a distribution, and at which version.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from pipfast.rescue.diagnosis.causes import MissingDistribution, MissingModule, NeedsOlderSetuptools
from pipfast.store.names import LEARNT
from pipfast.store.notes import drop_note, keep_note, load_note, note_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast.rescue.diagnosis.causes import Cause
    from pipfast.store.layout import Layout

FROM_EARLIER = "an earlier build of the same source"
"""``said_by`` of causes that were kept."""

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
    document = [_to_json(cause) for cause in causes]
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
    return tuple(_from_json(each) for each in document)


def _to_json(cause: Cause) -> dict[str, Any]:
    if isinstance(cause, MissingModule):
        return {"missing": "module", "module": cause.module, "backend": cause.backend}
    if isinstance(cause, MissingDistribution):
        return {"missing": "distribution", "requirement": cause.requirement, "by": cause.by}
    return {"missing": "setuptools", "module": cause.module, "below": cause.below}


def _from_json(each: dict[str, Any]) -> Cause:
    if each["missing"] == "module":
        return MissingModule(_text(each["module"]), FROM_EARLIER, backend=bool(each["backend"]))
    if each["missing"] == "distribution":
        return MissingDistribution(_text(each["requirement"]), FROM_EARLIER, str(each.get("by", "")))
    if each["missing"] == "setuptools":
        return NeedsOlderSetuptools(_text(each["module"]), _text(each["below"]), FROM_EARLIER)
    raise ValueError(each["missing"])


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is no text")
    return value
