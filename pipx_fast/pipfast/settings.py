"""The settings of one run: ``PIPFAST`` and ``PIPFAST_*`` environment variables, over pip.conf's ``[pipfast]``."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FAMILIES = ("builds", "downloads", "index", "install", "installed", "metadata", "program", "resolution")
"""The hook families that ``PIPFAST_DISABLE`` can name, in the order they are attached."""

LINK_MODES = ("auto", "clone", "hardlink", "own-sources", "copy")
"""How stored files reach an environment; ``auto`` takes the first that works of clone, hardlink and copy.

``own-sources`` copies what people edit (small text, Python sources above all) and links the rest."""

BUILD_RESCUES = ("on", "named", "off")
"""What may be put beside a build that failed: ``named`` is what this run, the target or the package names."""

SECTION = "pipfast"
"""The section of pip's configuration files in which our settings stand."""

_VARIABLES = {
    "enabled": "PIPFAST",
    "disable": "PIPFAST_DISABLE",
    "store": "PIPFAST_STORE",
    "connections": "PIPFAST_CONNECTIONS",
    "workers": "PIPFAST_WORKERS",
    "builds": "PIPFAST_BUILDS",
    "link-mode": "PIPFAST_LINK_MODE",
    "timings": "PIPFAST_TIMINGS",
    "build-rescue": "PIPFAST_BUILD_RESCUE",
    "extra-build-dependencies": "PIPFAST_EXTRA_BUILD_DEPENDENCIES",
}
"""A setting's key in ``[pipfast]``, and the variable that wins over it."""

_PREFIX = "PIPFAST_"

RECORD_VARIABLE = "PIPFAST_BUILD_RECORD"
"""The file that the processes of a build note in what they sought. No setting; ours, for children."""

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
    """``PIPFAST_STORE``, or inside pip's cache folder where that was named; None: in the user's cache folder."""
    connections: int = DEFAULT_CONNECTIONS
    """``PIPFAST_CONNECTIONS``: how many connections downloads may use at once."""
    workers: int = 1
    """``PIPFAST_WORKERS``: processes that unpack and byte-compile (default: the usable cores)."""
    builds: int = 1
    """``PIPFAST_BUILDS``: how many source distributions are built at once (default: the usable cores)."""
    link_mode: str = "auto"
    """``PIPFAST_LINK_MODE``: one of ``LINK_MODES``."""
    timings: Path | None = None
    """``PIPFAST_TIMINGS``: a file that gets one JSON line per timed phase."""
    build_rescue: Literal["on", "named", "off"] = "on"
    """``PIPFAST_BUILD_RESCUE``: one of ``BUILD_RESCUES``."""
    extra_build_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """``PIPFAST_EXTRA_BUILD_DEPENDENCIES``: a package's name, normalised, to requirements."""
    problems: tuple[str, ...] = ()
    """One message per value that could not be read; the default is used in its place."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], section: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; a value that cannot be read is named in ``problems``, never fatal.

        An unreadable setting must not stop an installation that pip alone would have made.

        :param section: keys and values of ``[pipfast]`` in pip's configuration files; the environment wins.
        """
        read = _Reader(environ, section or {})
        timings = read.text("timings")
        return cls(
            enabled=read.choice("enabled", ("on", "off", "1", "0", "true", "false"), "on", "neither on nor off")
            not in ("off", "0", "false"),
            disabled=read.families(),
            store=read.folder("store"),
            connections=read.number("connections", DEFAULT_CONNECTIONS, MAX_CONNECTIONS),
            workers=read.number("workers", usable_cores(), 256),
            builds=read.number("builds", usable_cores(), 64),
            link_mode=read.choice("link-mode", LINK_MODES, "auto"),
            timings=Path(timings).absolute() if timings else None,
            build_rescue=cast("Literal['on', 'named', 'off']", read.choice("build-rescue", BUILD_RESCUES, "on")),
            extra_build_dependencies=read.extra_build_dependencies(),
            problems=read.shown_problems(),
        )


class _Reader:
    """Reads single values, from the environment first, and notes those that cannot be read."""

    def __init__(self, environ: Mapping[str, str], section: Mapping[str, str]) -> None:
        self._environ = environ
        self._section = section
        self.problems = [
            f"[{SECTION}] in pip's configuration has {key!r}, which is no setting{_meant(key, _VARIABLES)}"
            for key in sorted(set(section) - set(_VARIABLES))
        ]
        variables = [*_VARIABLES.values(), RECORD_VARIABLE]
        self.problems += [
            f"{name} is set, which is no setting{_meant(name, variables)}"
            for name in sorted(environ) if name.startswith(_PREFIX) and name not in variables
        ]

    def text(self, key: str) -> str:
        """Return a value as it stands; an empty one is none."""
        return self._environ.get(_VARIABLES[key], "").strip() or self._section.get(key, "").strip()

    def _label(self, key: str) -> str:
        variable = _VARIABLES[key]
        return variable if self._environ.get(variable, "").strip() else f"[{SECTION}] {key}"

    def number(self, key: str, default: int, highest: int) -> int:
        text = self.text(key)
        if not text:
            return default
        if text.isascii() and text.isdigit() and 1 <= int(text) <= highest:
            return int(text)
        label = self._label(key)
        self.problems.append(f"{label} is {text!r}, not a number from 1 to {highest}; using {default}")
        return default

    def shown_problems(self) -> tuple[str, ...]:
        if not self.problems:
            return ()
        from pipfast.address import redacted

        return tuple(map(redacted, self.problems))

    def folder(self, key: str) -> Path | None:
        text = self.text(key)
        path = os.path.expanduser(text)
        if not text or os.path.isabs(path):
            return Path(path) if text else None
        self.problems.append(f"{self._label(key)} is {text!r}: it must be an absolute path; using the default")
        return None

    def choice(self, key: str, choices: tuple[str, ...], default: str, complaint: str = "") -> str:
        text = self.text(key).lower() or default
        if text in choices:
            return text
        complaint = complaint or f"none of {', '.join(choices)}"
        self.problems.append(f"{self._label(key)} is {text!r}, {complaint}; using {default}")
        return default

    def families(self) -> frozenset[str]:
        disabled = {name.strip().lower() for name in self.text("disable").split(",")} - {""}
        for name in sorted(disabled - set(FAMILIES)):
            label = self._label("disable")
            self.problems.append(f"{label} names {name!r}, which is none of {', '.join(FAMILIES)}")
        return frozenset(disabled & set(FAMILIES))

    def extra_build_dependencies(self) -> Mapping[str, tuple[str, ...]]:
        text = self.text("extra-build-dependencies")
        if not text:
            return {}
        from pipfast.extra_builds import ExtrasUnreadable, read_extras

        try:
            return read_extras(text)
        except ExtrasUnreadable as error:
            self.problems.append(f"{self._label('extra-build-dependencies')} {error}; using none")
            return {}


def _meant(name: str, names: Iterable[str]) -> str:
    """Return ``(did you mean …?)`` where one of the names is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(names), 1, 0.8)
    return f" (did you mean {near[0]}?)" if near else ""


def usable_cores() -> int:
    """Return the number of cores this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
