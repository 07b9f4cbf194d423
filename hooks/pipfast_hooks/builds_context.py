"""What one run asks for, noted before anything is built: builds are rescued from this."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipfast.report import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    """pip's set of requirements, once the resolver is done."""
    _resolved: dict[str, str] | None = None

    def resolved(self) -> dict[str, str]:
        """Return name to version of what the resolver has decided; empty before it is done."""
        if self._resolved is None and self.chosen is not None:
            self._resolved = {}
            for requirement in self.chosen.all_requirements:
                try:
                    found = requirement.satisfied_by or requirement.get_dist()
                    self._resolved[str(requirement.name)] = str(found.version)
                except Exception:
                    logger.debug("pipfast: no version of %s", requirement, exc_info=True)
        return self._resolved or {}


_context: Context | None = None


def current() -> Context | None:
    """Return what the run under way asks for; None for commands that ask for nothing."""
    return _context


def forget() -> None:
    """The run is over."""
    global _context
    _context = None


def _around_get_requirements(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Note what is asked for."""
    global _context
    requirements = wrapped(*args, **kwargs)
    try:
        values = dict(zip(("args", "options", "finder", "session"), args, strict=False)) | kwargs
        environ = {name: os.environ.get(name) for name in VARIABLES}
        _context = Context(values["options"], values["finder"], list(requirements), environ)
    except Exception:
        logger.debug("pipfast: builds will not be rescued", exc_info=True)
        _context = None
    return requirements


def _around_resolve(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Note what the resolver decided: builds of wheels come after it."""
    result = wrapped(*args, **kwargs)
    if _context is not None:
        _context.chosen, _context._resolved = result, None
    return result
