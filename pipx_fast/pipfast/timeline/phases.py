"""Table of phases: the lane of each, and what it is called."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LANES = ("pip", "index", "metadata", "download", "unpack", "compile", "build", "link")
"""In the order of one wheel's way; ``pip`` is pip's own thread, which waits for all the others."""


class Phase(NamedTuple):
    """A kind of event."""

    lane: str
    """Empty: told by the address."""
    words: str
    waits: bool = False
    """Nothing is done in it: a thread waits for what ``on`` names."""
    is_part: bool = False
    """It is a part of another event of its row, and counts nothing by itself."""


PHASES: Mapping[str, Phase] = MappingProxyType({
    "start": Phase("pip", "starting"),
    "resolve": Phase("pip", "resolving"),
    "wait": Phase("pip", "waiting", waits=True),
    "prepare": Phase("pip", "waiting for a wheel to be ready", waits=True),
    "bound": Phase("pip", "keeping the store below its bound"),
    "gather": Phase("pip", "gathering archives"),
    "page": Phase("index", "reading candidates"),
    "request": Phase("", "request"),
    "file": Phase("metadata", "reading metadata"),
    "ranged": Phase("metadata", "ranges of a wheel"),
    "download": Phase("download", "download"),
    "segment": Phase("download", "connection", is_part=True),
    "left": Phase("download", "downloading by pip itself"),
    "check": Phase("download", "checking the stored file"),
    "read": Phase("download", "reading the stored file"),
    "remote": Phase("download", "asking the team's store"),
    "remote-put": Phase("build", "giving to the team's store"),
    "unpack": Phase("unpack", "unpacking"),
    "seal": Phase("unpack", "writing its manifest"),
    "compile": Phase("compile", "compiling"),
    "build": Phase("build", "building beside pip"),
    "hook": Phase("build", "hook"),
    "environment": Phase("build", "filling the build environment"),
    "build-resolve": Phase("build", "choosing what the build misses"),
    "build-overlay": Phase("build", "installing what the build misses"),
    "arrange": Phase("link", "linking aside"),
    "place": Phase("link", "placing"),
})

OTHER = Phase("pip", "something else")
"""For a phase that is not in the table."""


class Cache(NamedTuple):
    """What a cache had of something."""

    outcome: str
    """``hit``, ``miss`` or ``asked again``."""
    words: str


CACHES: Mapping[str, Cache] = MappingProxyType({
    "store": Cache("hit", "store"),
    "prepared": Cache("hit", "prepared before"),
    "page": Cache("hit", "page kept"),
    "pip": Cache("hit", "pip's cache"),
    "again": Cache("asked again", "not modified"),
    "network": Cache("miss", "network"),
    "made": Cache("miss", "prepared now"),
})
