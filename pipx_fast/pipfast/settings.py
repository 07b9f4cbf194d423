"""Settings of one run: the table of ``PIPFAST_*`` variables, and their values."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Family = Literal[
    "builds", "downloads", "index", "install", "installed", "memo", "metadata", "program", "resolution"
]
LinkMode = Literal["auto", "clone", "hardlink", "own-sources", "copy"]
BuildRescue = Literal["on", "named", "off"]
Offline = Literal["off", "prefer", "only"]
Memo = Literal["on", "verify"]

FAMILIES: tuple[Family, ...] = get_args(Family)
"""What ``PIPFAST_DISABLE`` can name: the families of hooks, in the order they are attached, and ``memo``."""

WITHOUT_HOOKS = frozenset(("memo",))
"""Names among these of what is done before pip is imported."""

LINK_MODES: tuple[LinkMode, ...] = get_args(LinkMode)
"""How stored files reach an environment; ``auto`` takes the first that works of clone, hardlink and copy.

``own-sources`` copies what people edit (small text, Python sources above all) and links the rest."""

BUILD_RESCUES: tuple[BuildRescue, ...] = get_args(BuildRescue)
"""What may be put beside a build that failed: ``named`` is what this run, the target or the package names."""

OFFLINES: tuple[Offline, ...] = get_args(Offline)
"""Whether an index is asked as pip asks it, only for what is not kept, or never."""

MEMOS: tuple[Memo, ...] = get_args(Memo)
"""Whether kept answers are given, or pip answers and the two are compared."""

_KEEPERS = frozenset(("builds", "downloads", "index", "metadata"))
"""Families without which pip would ask for what is kept."""

SECTION = "pipfast"
"""The section of pip's configuration files in which our settings stand."""

_PREFIX = "PIPFAST_"

RECORD_VARIABLE = "PIPFAST_BUILD_RECORD"
"""The file in which the processes of a build note what they sought. No setting: only we set it."""

SHELL_VARIABLE = "_PIPFAST_SHELL"
"""The shell whose function runs this. No setting: only the functions set it, and pip's children do not get it."""

SPANS_VARIABLE = "_PIPFAST_SPANS"
"""The folder in which the pips that a run starts tell their events. No setting: only we set it."""

DEFAULT_CONNECTIONS = 8
"""Connections in use at once; more gains nothing on the servers measured and costs them."""

MAX_CONNECTIONS = 64
"""An upper bound on what the user may ask for, so that a slip does not look like an attack."""

NO_BOUND = "none"
"""The value of ``PIPFAST_STORE_SIZE`` with which the store may grow, whatever pip's configuration says."""

DEFAULT_REMOTE_TIMEOUT = 2
"""Seconds; whoever waits for a build anyway does not notice them."""

REMOTE_SCHEMES = ("s3", "gs", "az", "https", "http", "file")
"""Schemes of addresses of a team's store."""

INHERITED = "(inherited)"
"""In place of a child's value: it finds the variable as this process did."""

RESOLVED = "(resolved)"
"""In place of a child's value: it gets this run's, which pip's command line may have set."""


_SIZE_UNITS = MappingProxyType({
    "": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9, "t": 10**12,
    "tb": 10**12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
})


def size_in_bytes(text: str) -> int:
    """Read a size: ``0``, ``500M``, ``1.5G``, in powers of ten as where pip shows sizes; ``2GiB``, of two.

    :raises ValueError: it is none.
    """
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([a-z]*)", text.strip().lower(), re.ASCII)
    if match is None or match[2] not in _SIZE_UNITS:
        raise ValueError(f"{text!r} is no size such as 500M or 5G")
    return int(float(match[1]) * _SIZE_UNITS[match[2]])


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is never shown: not in messages, logs, timings or documents."""

    text: str = field(repr=False)

    def __str__(self) -> str:
        return "(hidden)"


def usable_cores() -> int:
    """Return the number of cores this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


class _Reader:
    """Reads single values, from the environment first, and notes those that cannot be read."""

    def __init__(self, environ: Mapping[str, str], section: Mapping[str, str]) -> None:
        self._environ = environ
        self._section = section
        keys = [each.key for each in SETTINGS]
        self.problems = [
            f"[{SECTION}] in pip's configuration has {key!r}, which is no setting{_meant(key, keys)}"
            for key in sorted(set(section) - set(keys))
        ]
        variables = [*(each.variable for each in SETTINGS), RECORD_VARIABLE]
        self.problems += [
            f"{name} is set, which is no setting{_meant(name, variables)}"
            for name in sorted(environ) if name.startswith(_PREFIX) and name not in variables
        ]


    def switch(self, setting: Setting, default: str = "on") -> bool:
        text = self.choice(setting, ("on", "off", "1", "0", "true", "false"), default, "neither on nor off")
        return text not in ("off", "0", "false")

    def number(self, setting: Setting, default: Callable[[], int], highest: int) -> int:
        text = self._text(setting)
        if not text:
            return default()
        if text.isascii() and text.isdigit() and 1 <= int(text) <= highest:
            return int(text)
        wrong = f"{self._label(setting)} is {text!r}, not a number from 1 to {highest}"
        self.problems.append(f"{wrong}; using {default()}")
        return default()

    def size(self, setting: Setting) -> int | None:
        text = self._text(setting)
        if not text or text.lower() == NO_BOUND:
            return None
        try:
            if (size := size_in_bytes(text)) > 0:
                return size
        except ValueError:
            pass
        wrong = f"{self._label(setting)} is {text!r}, no size such as 500MB or 20GB"
        self.problems.append(f"{wrong}; using {NO_BOUND}")
        return None

    def folder(self, setting: Setting) -> Path | None:
        text = self._text(setting)
        path = os.path.expanduser(text)
        if not text or os.path.isabs(path):
            return Path(path) if text else None
        self.problems.append(f"{self._label(setting)} is {text!r}: it must be an absolute path; using the default")
        return None

    def file(self, setting: Setting) -> Path | None:
        text = self._text(setting)
        return Path(text).absolute() if text else None

    def choice(self, setting: Setting, choices: tuple[str, ...], default: str, complaint: str = "") -> str:
        text = self._text(setting).lower() or default
        if text in choices:
            return text
        complaint = complaint or f"none of {', '.join(choices)}"
        self.problems.append(f"{self._label(setting)} is {text!r}, {complaint}; using {default}")
        return default

    def remote(self, setting: Setting) -> str | None:
        text = self._text(setting)
        if text.lower() == "off":
            return None
        scheme, separator, rest = text.partition("://")
        is_whole = bool(separator and rest) and (scheme != "file" or rest.startswith("/"))
        if not text or (scheme in REMOTE_SCHEMES and is_whole):
            return text or None
        known = ", ".join(f"{each}://" for each in REMOTE_SCHEMES)
        from pipfast.address import concealed

        # What is no address may have a password all the same, or a key as its query.
        told = concealed(text)
        self.problems.append(f"{self._label(setting)} is {told!r}: it must begin with one of {known}; using none")
        return None

    def secret(self, setting: Setting) -> Secret | None:
        text = self._text(setting)
        return Secret(text) if text else None

    def families(self, setting: Setting) -> frozenset[str]:
        disabled = {name.strip().lower() for name in self._text(setting).split(",")} - {""}
        for name in sorted(disabled - set(FAMILIES)):
            self.problems.append(f"{self._label(setting)} names {name!r}, which is none of {', '.join(FAMILIES)}")
        return frozenset(disabled & set(FAMILIES))

    def extra_build_dependencies(self, setting: Setting) -> Mapping[str, tuple[str, ...]]:
        text = self._text(setting)
        if not text:
            return {}
        from pipfast.extra_builds import ExtrasUnreadable, read_extras

        try:
            return read_extras(text)
        except ExtrasUnreadable as error:
            self.problems.append(f"{self._label(setting)} {error}; using none")
            return {}

    def _text(self, setting: Setting) -> str:
        return self._environ.get(setting.variable, "").strip() or self._section.get(setting.key, "").strip()

    def _label(self, setting: Setting) -> str:
        given = self._environ.get(setting.variable, "").strip()
        return setting.variable if given else f"[{SECTION}] {setting.key}"


class Setting(NamedTuple):
    """One setting: a row of the table."""

    field: str
    key: str
    """Its name in ``[pipfast]``."""
    variable: str
    """Its environment variable, which wins."""
    meaning: str
    read: Callable[..., Any]
    child: str | None = INHERITED
    """What the pip of a build environment gets: a value, ``INHERITED``, ``RESOLVED``, or None for no variable."""


SETTINGS = (
    Setting("enabled", "enabled", "PIPFAST", "`off`: pip runs alone", _Reader.switch),
    Setting("store", "store", "PIPFAST_STORE", "the store's folder, not a relative one", _Reader.folder, RESOLVED),
    # Whoever fills a build environment leaves that to its parent's end.
    Setting("store_size", "store-size", "PIPFAST_STORE_SIZE",
            "bytes that only the store may hold: `20GB`, `500MB`, `2GiB`; what was not used for longest goes",
            _Reader.size, NO_BOUND),
    Setting("connections", "connections", "PIPFAST_CONNECTIONS",
            f"connections that downloads may use at once, 1 to {MAX_CONNECTIONS}",
            partial(_Reader.number, default=lambda: DEFAULT_CONNECTIONS, highest=MAX_CONNECTIONS)),
    Setting("workers", "workers", "PIPFAST_WORKERS", "processes that unpack and byte-compile",
            partial(_Reader.number, default=usable_cores, highest=256)),
    # A build may edit in place what it is built with: that must be its own.
    Setting("link_mode", "link-mode", "PIPFAST_LINK_MODE",
            "`auto` (the first that works of `clone`, `hardlink`, `copy`), one of those, or `own-sources`",
            partial(_Reader.choice, choices=LINK_MODES, default="auto"), "copy"),
    Setting("builds", "builds", "PIPFAST_BUILDS",
            "source distributions that are built at once, 1 to 64; each build gets `MAX_JOBS` as it is",
            partial(_Reader.number, default=usable_cores, highest=64)),
    Setting("disabled", "disable", "PIPFAST_DISABLE",
            f"families of hooks to leave out: `{'`, `'.join(FAMILIES)}`, with commas", _Reader.families),
    Setting("timings", "timings", "PIPFAST_TIMINGS", "a file that gets the time of each phase, as JSON lines",
            _Reader.file, None),
    Setting("timeline", "timeline", "PIPFAST_TIMELINE",
            "a page, `FILE.html`, that shows what the time went into, and beside it a trace, `FILE.json`",
            _Reader.file, None),
    # What a build needs is not rescued in its turn.
    Setting("build_rescue", "build-rescue", "PIPFAST_BUILD_RESCUE",
            "what may be put beside a build that failed: `on`, `named` (only what this run, the environment or the"
            " package itself names) or `off`",
            partial(_Reader.choice, choices=BUILD_RESCUES, default="on"), "off"),
    Setting("offline", "offline", "PIPFAST_OFFLINE",
            "`prefer`: take what is kept, however old, and ask for the rest; `only`: ask nobody for anything",
            partial(_Reader.choice, choices=OFFLINES, default="off")),
    Setting("memo", "memo", "PIPFAST_MEMO",
            "`verify`: pip decides although its answer is kept, and the command fails if the two differ",
            partial(_Reader.choice, choices=MEMOS, default="on")),
    Setting("extra_build_dependencies", "extra-build-dependencies", "PIPFAST_EXTRA_BUILD_DEPENDENCIES",
            "what a package's build needs and does not declare: `flash-attn: torch, ninja; khoros: requests`, or"
            ' JSON: `{"flash-attn": ["torch>=2"]}`', _Reader.extra_build_dependencies),
    # No build gets any of these: it could put there, or sign, what it likes.
    Setting("remote", "remote", "PIPFAST_REMOTE",
            "the team's store of built wheels: `s3://bucket/prefix`, `gs://`, `az://`, `https://` (WebDAV),"
            " `file:///`, or `off`",
            _Reader.remote, "off"),
    Setting("remote_key", "remote-key", "PIPFAST_REMOTE_KEY",
            "the team's key, with which its wheels are signed, or `@` and the path of a file with it",
            _Reader.secret, None),
    Setting("remote_write", "remote-write", "PIPFAST_REMOTE_WRITE",
            "`on`: what is built here goes there as well; for protected branches alone",
            partial(_Reader.switch, default="off"), None),
    Setting("remote_archives", "remote-archives", "PIPFAST_REMOTE_ARCHIVES",
            "`on`: downloaded archives come from the team's store, too, and go there",
            partial(_Reader.switch, default="off"), None),
    Setting("remote_prepared", "remote-prepared", "PIPFAST_REMOTE_PREPARED",
            "`on`: wheels come from the team's store unpacked and byte-compiled, and go there so",
            partial(_Reader.switch, default="off"), None),
    Setting("remote_timeout", "remote-timeout", "PIPFAST_REMOTE_TIMEOUT",
            "seconds, 1 to 60, that one command waits in all for a team's store that gives nothing",
            partial(_Reader.number, default=lambda: DEFAULT_REMOTE_TIMEOUT, highest=60), None),
)
"""All settings, in the order in which doctor shows them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for; every field has a default that needs no setting."""

    enabled: bool = True
    """False: nothing is attached, pip runs alone."""
    store: Path | None = None
    """Set, or inside pip's cache folder where that was named; None: in the user's cache folder."""
    store_size: int | None = None
    """Bytes that only the store may hold, see ``upkeep.bound``; None: any number."""
    connections: int = DEFAULT_CONNECTIONS
    workers: int = 1
    link_mode: LinkMode = "auto"
    builds: int = 1
    disabled: frozenset[str] = frozenset()
    timings: Path | None = None
    timeline: Path | None = None
    build_rescue: BuildRescue = "on"
    offline: Offline = "off"
    memo: Memo = "on"
    extra_build_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """A package's name, normalised, to requirements."""
    remote: str | None = None
    """Address of the team's store, perhaps with a password."""
    remote_key: Secret | None = None
    remote_write: bool = False
    remote_archives: bool = False
    remote_prepared: bool = False
    remote_timeout: int = DEFAULT_REMOTE_TIMEOUT
    problems: tuple[str, ...] = ()
    """One message per value that could not be read; the default is used in its place."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], section: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; a value that cannot be read is named in ``problems``, never fatal.

        An unreadable setting must not stop an installation that pip alone would have made.

        :param section: keys and values of ``[pipfast]`` in pip's configuration files; the environment wins.
        """
        reader = _Reader(environ, section or {})
        values: dict[str, Any] = {each.field: each.read(reader, each) for each in SETTINGS}
        needed = values["disabled"] & _KEEPERS if values["offline"] != "off" else frozenset()
        if needed:
            values["disabled"] -= needed
            reader.problems.append(
                f"PIPFAST_OFFLINE needs {', '.join(sorted(needed))}, which PIPFAST_DISABLE leaves out; they are on"
            )
        if reader.problems:
            from pipfast.address import redacted

            reader.problems = list(map(redacted, reader.problems))
        return cls(**values, problems=tuple(reader.problems))

    def for_children(self, **others: str) -> dict[str, str | None]:
        """Return the variables of a pip that fills a build environment; None for one that it must not have.

        :param others: values in the place of the table's, by field.
        """
        given: dict[str, str | None] = {}
        for each in SETTINGS:
            value = others.get(each.field, each.child)
            if value == RESOLVED:
                found = getattr(self, each.field)
                value = INHERITED if found is None else os.path.abspath(found)
            if value != INHERITED:
                given[each.variable] = value
        return given


def _meant(name: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, list(names), 1, 0.8)
    return f" (did you mean {near[0]}?)" if near else ""
