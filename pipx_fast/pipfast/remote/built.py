"""Wheels of the team's store: their place, and what their builds saw."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import sysconfig
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipfast.rescue.diagnosis.causes import Cause, read_cause, to_json
from pipfast.rescue.wheels import Visible, key_of
from pipfast.store.notes import note_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KIND = "wheel"

SLOTS = 8
"""Wheels of one place, each built against something else. The first that is free is taken, none is replaced."""

_FILE_NAME = re.compile(r"[A-Za-z0-9._+!-]+\.whl")


@dataclass(frozen=True, slots=True)
class TeamWheel:
    """One wheel, and all that its build depended on but for what is in its place's name."""

    filename: str
    name: str
    version: str
    record: str
    """``record_digest`` of its own RECORD."""
    source: str
    built: float
    """Seconds since the epoch."""
    isolated: bool
    """It was built in pip's isolated environment, which had ``visible`` and nothing else."""
    visible: tuple[Visible, ...]
    """The distributions that the build saw."""
    wanted: Mapping[str, str] = field(default_factory=dict)
    """Of an isolated build: normalised name to the specifiers by which pip chose."""
    declared: tuple[str, ...] = ()
    """The build's requirements, by its files and by its hooks."""
    causes: tuple[Cause, ...] = ()
    """Of a rescued build: what it missed."""
    processor: str = ""
    """The ``processor`` that it was built for, where its source asks for the machine's own."""
    made: Mapping[str, str] = field(default_factory=dict)
    """How, to be shown: host, Python, pip, pipfast, tools."""

    def is_beside(self, visible: Sequence[Visible]) -> bool:
        """Tell whether its build saw exactly these."""
        return len(self.visible) == len(visible) and all(
            any(each.is_as(one) for one in visible) for each in self.visible
        )

    def is_as(self, other: TeamWheel) -> bool:
        """Tell whether both were built in the same way, against the same."""
        mine, others = (self.isolated, self.processor), (other.isolated, other.processor)
        return mine == others and self.is_beside(other.visible)

    def to_json(self) -> dict[str, Any]:
        """Return it as the head of an object has it."""
        return {**{name: getattr(self, name) for name in (
            "filename", "name", "version", "record", "source", "built", "isolated", "processor",
        )}, "visible": [asdict(each) for each in self.visible], "wanted": dict(self.wanted),
            "declared": list(self.declared),
            "causes": list(map(to_json, self.causes)), "made": dict(self.made)}


def read_wheel(info: Mapping[str, Any]) -> TeamWheel:
    """Return a wheel's facts from the head of an object; raises ValueError, TypeError or KeyError: it has none."""
    texts = {name: str(info[name]) for name in ("filename", "name", "version", "record", "source", "processor")}
    if _FILE_NAME.fullmatch(texts["filename"]) is None:
        raise ValueError(f"{texts['filename']!r} is no wheel's name")
    return TeamWheel(
        **texts, built=float(info["built"]), isolated=bool(info["isolated"]),
        visible=tuple(Visible(**each) for each in info["visible"]),
        wanted={str(name): str(each) for name, each in info["wanted"].items()},
        declared=tuple(map(str, info["declared"])),
        causes=tuple(map(read_cause, info["causes"])),
        made={str(name): str(each) for name, each in info["made"].items()},
    )


def place_of(
    source: str, config_settings: object, environ: Mapping[str, str], tools: Mapping[str, str]
) -> str:
    """Return the place of a source's wheels: 64 hex digits of all that is known before the build environment is.

    :param source: as ``learnt.source_key`` has it.
    :param tools: as ``tool_versions`` returns them; not where they are.
    """
    return note_key({
        "key": key_of(source, config_settings, environ),
        "python": [
            sys.implementation.name, getattr(sys, "abiflags", ""), sysconfig.get_config_var("EXT_SUFFIX") or "",
        ],
        # A wheel is linked with libraries of the system's, whose versions go with its release.
        "system": _system(),
        "tools": dict(tools),
    })


def object_of(place: str, slot: int) -> str:
    """Return the name of one of a place's objects."""
    return f"v1/wheels/{place[:2]}/{place}/{slot}"


def processor() -> str:
    """Return what names this machine's kind of processor, for builds with e.g. ``-march=native``."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = [line for line in file if line.startswith(("flags", "Features", "model name", "CPU part"))]
    except OSError:
        lines = [platform.processor()]
    return hashlib.sha256("".join(sorted(set(lines))).encode("utf-8")).hexdigest()


def _system() -> list[str]:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return [platform.system(), platform.release()]
    return [release.get("ID", ""), release.get("VERSION_ID", "")]
