"""The settings of one run, read from ``PIPFAST`` and ``PIPFAST_*`` environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FAMILIES = ("downloads", "install", "installed", "program", "resolution")
"""The hook families that ``PIPFAST_DISABLE`` can name, in the order they are attached."""

LINK_MODES = ("auto", "clone", "hardlink", "copy")
"""How stored files reach an environment; ``auto`` takes the first of the others that works."""

DEFAULT_CONNECTIONS = 8
"""Connections in use at once; more gains nothing on the servers measured and costs them."""

MAX_CONNECTIONS = 64
"""An upper bound on what the user may ask for, so that a slip does not look like an attack."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for; every field has a default that needs no setting."""

    enabled: bool = True
    """False with ``PIPFAST=off``: nothing is attached, pip runs alone."""
    disabled: frozenset[str] = frozenset()
    """Hook families switched off with ``PIPFAST_DISABLE=downloads,install``."""
    store: Path | None = None
    """``PIPFAST_STORE``; None means the user's cache folder."""
    connections: int = DEFAULT_CONNECTIONS
    """``PIPFAST_CONNECTIONS``: how many connections downloads may use at once."""
    workers: int = 1
    """``PIPFAST_WORKERS``: processes that unpack and byte-compile (default: the usable cores)."""
    link_mode: str = "auto"
    """``PIPFAST_LINK_MODE``: one of ``LINK_MODES``."""
    timings: Path | None = None
    """``PIPFAST_TIMINGS``: a file that gets one JSON line per timed phase."""
    problems: tuple[str, ...] = ()
    """One message per value that could not be read; the default is used in its place."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings; a value that cannot be read is named in ``problems``, never fatal.

        An unreadable setting must not stop an installation that pip alone would have made.
        """
        problems: list[str] = []

        def number(name: str, default: int, highest: int) -> int:
            text = environ.get(name, "").strip()
            if not text:
                return default
            if text.isascii() and text.isdigit() and 1 <= int(text) <= highest:
                return int(text)
            problems.append(f"{name} is {text!r}, not a number from 1 to {highest}; using {default}")
            return default

        disabled = {name.strip().lower() for name in environ.get("PIPFAST_DISABLE", "").split(",")} - {""}
        for name in sorted(disabled - set(FAMILIES)):
            problems.append(f"PIPFAST_DISABLE names {name!r}, which is none of {', '.join(FAMILIES)}")
        link_mode = environ.get("PIPFAST_LINK_MODE", "").strip().lower() or "auto"
        if link_mode not in LINK_MODES:
            problems.append(f"PIPFAST_LINK_MODE is {link_mode!r}, none of {', '.join(LINK_MODES)}; using auto")
            link_mode = "auto"
        switch = environ.get("PIPFAST", "").strip().lower()
        if switch not in ("", "on", "off", "1", "0", "true", "false"):
            problems.append(f"PIPFAST is {switch!r}, neither on nor off; using on")
        store = environ.get("PIPFAST_STORE", "")
        timings = environ.get("PIPFAST_TIMINGS", "")
        return cls(
            enabled=switch not in ("off", "0", "false"),
            disabled=frozenset(disabled & set(FAMILIES)),
            store=Path(store).expanduser().absolute() if store else None,
            connections=number("PIPFAST_CONNECTIONS", DEFAULT_CONNECTIONS, MAX_CONNECTIONS),
            workers=number("PIPFAST_WORKERS", usable_cores(), 256),
            link_mode=link_mode,
            timings=Path(timings).absolute() if timings else None,
            problems=tuple(problems),
        )


def usable_cores() -> int:
    """Return the number of cores this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
