"""From the evidence of a failed build to what was missing. Pure: nothing is read or run here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipfast.build.causes import Cause, NoCause

if TYPE_CHECKING:
    from pipfast.build.evidence import Evidence


def diagnose(evidence: Evidence) -> Cause | None:
    """Return what was missing, or None if nothing that can be installed would mend the build."""
    found = examine(evidence)
    return None if isinstance(found, NoCause) else found


def examine(evidence: Evidence) -> Cause | NoCause:
    """Return what was missing, or why there is no such thing."""
    return NoCause("nothing in the evidence names a missing module")
