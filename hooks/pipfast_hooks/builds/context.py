"""What one run asks for, noted before anything is built: builds are rescued from this."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import logger
from pipfast.store.names import BUILT
from pipfast.store.notes import has_notes
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipfast_hooks.call import Call

VARIABLES = ("PATH", "PYTHONPATH", "PYTHONNOUSERSITE")
"""What pip's isolation changes."""


@dataclass(slots=True)
class Context:
    """One command line and what pip made of it."""

    options: Any
    finder: Any
    requirements: list[Any]
    """pip's own requirements, constraints among them."""
    environ: Mapping[str, str | None]
    """``VARIABLES`` as they were before any isolation."""
    chosen: Any = None
    """pip's requirements as the resolver has decided them, once it is done."""
    _resolved: dict[str, str] | None = None

    def resolved(self) -> dict[str, str]:
        """Return name to version of what the resolver has decided; empty before it is done."""
        if self._resolved is None and self.chosen is not None:
            self._resolved = {}
            for requirement in self.chosen:
                try:
                    found = requirement.satisfied_by or requirement.get_dist()
                    self._resolved[str(requirement.name)] = str(found.version)
                except Exception:
                    logger.debug("pipfast: no version of %s", requirement, exc_info=True)
        return self._resolved or {}

    def hashes(self) -> dict[str, tuple[str, ...]]:
        """Return normalised name to the hashes that the user gives, as ``sha256:…``."""
        return {
            canonicalize_name(each.name): tuple(
                f"{kind}:{digest}" for kind, digests in each.hash_options.items() for digest in digests
            )
            for each in self.requirements if each.name and each.hash_options
        }


_context: Context | None = None


def current() -> Context | None:
    """Return what the run under way asks for; None for commands that ask for nothing."""
    return _context


def forget() -> None:
    """The run is over."""
    global _context
    _context = None


def _around_get_requirements(call: Call) -> Any:
    """Note what is asked for."""
    global _context
    requirements = call.original()
    try:
        environ = {name: os.environ.get(name) for name in VARIABLES}
        _context = Context(call["options"], call["finder"], list(requirements), environ)
    except Exception:
        logger.debug("pipfast: builds will not be rescued", exc_info=True)
        _context = None
    return requirements


def _around_prepare_linked_requirements_more(call: Call) -> Any:
    """Note what the resolver decided, before anything of that is built or fetched."""
    # What is resolved while something is being built is for that build (``inprocess-build-deps``).
    if _context is not None and not getattr(call.instance.build_tracker, "_entries", None):
        _context.chosen, _context._resolved = list(call["reqs"]), None
    return call.original()


def stale_before() -> Iterable[str] | None:
    """Return which installed packages were built against something else, or None if nothing was ever built.

    What this needs later is imported here, before installing begins.
    """
    layout = current_run().store.layout
    if _context is None or getattr(_context.options, "target_dir", None):
        return None
    if not has_notes(layout, BUILT):
        return None
    from pipfast.rescue.stale import stale_here

    return stale_here(layout)


def say_what_is_stale(before: Iterable[str] | None) -> None:
    """Name the packages that this run has left behind."""
    layout = current_run().store.layout
    if before is None or not layout.keeps:
        return
    from pipfast.rescue.stale import stale_here

    known = set(before)
    for line, arguments in stale_here(layout).items():
        if line not in known:
            current_run().say_at_end(line, f"build it again:\n  pipfast {arguments}")
