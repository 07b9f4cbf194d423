"""Questions of tests to the diagnosis of builds and to the table of import names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipfast.rescue.diagnosis.causes import NoCause
from pipfast.rescue.diagnosis.diagnosis import examine
from pipfast.rescue.diagnosis.import_names import provides

if TYPE_CHECKING:
    from pipfast.rescue.diagnosis.causes import Cause
    from pipfast.rescue.diagnosis.evidence import Evidence


def diagnose(evidence: Evidence) -> Cause | None:
    """Return what was missing, or None if no installation would mend the build."""
    found = examine(evidence)
    return None if isinstance(found, NoCause) else found


def contradiction(module: str, modules: frozenset[str]) -> str | None:
    """Return the contradiction between an installed distribution's record and a row of the table, or None.

    :param modules: those of ``modules_of`` for the distribution that the row names.
    """
    if not modules or provides(modules, module):
        return None
    return f"no {module}, but {', '.join(sorted(modules))}"
