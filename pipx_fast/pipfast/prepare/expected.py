"""Wheels that a command line installed the last time.

While pip resolves, they are linked aside, on a core that is idle. That is a guess: those that pip does not choose
are removed, and others that it chooses are linked as ever.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from pipfast.store.names import EXPECTED
from pipfast.store.notes import keep_note, load_note, note_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipfast.store.layout import Layout

_DIGEST = re.compile("[0-9a-f]{64}")

_FILE_OPTIONS = ("-c", "-e", "-r", "--constraint", "--editable", "--group", "--requirement")
"""pip's options that name files: a relative name means another file in another folder."""

MAX_EXPECTED = 5_000
"""Wheels; no environment has more."""


class ExpectedWheel(NamedTuple):
    """A wheel that was installed from the store."""

    digest: str
    info_dir: str
    """``<name>-<version>.dist-info``; an environment that has it needs no links."""


def command_key(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the key of a command line: 64 lowercase hex digits. ``arguments``: without the program's name."""
    relative = any(word.startswith(_FILE_OPTIONS) or os.path.exists(word) for word in arguments)
    described = [
        sys.implementation.cache_tag, sys.platform, list(arguments), os.getcwd() if relative else None,
        sorted((name, value) for name, value in environ.items() if name.startswith("PIP_")),
    ]
    return note_key(described)


def find_expected(layout: Layout, key: str) -> list[ExpectedWheel]:
    """Return the wheels that a command line installed the last time, in order; none if that is unknown."""
    return load_note(layout, EXPECTED, key, _read) or []


def _read(payload: bytes) -> list[ExpectedWheel]:
    wheels = [ExpectedWheel(str(digest), str(info_dir)) for digest, info_dir in json.loads(payload)]
    if len(wheels) > MAX_EXPECTED or not all(_DIGEST.fullmatch(wheel.digest) for wheel in wheels):
        raise ValueError("these are no wheels")
    return wheels


def keep_expected(layout: Layout, key: str, wheels: Sequence[ExpectedWheel]) -> None:
    """Keep what ``find_expected`` returns."""
    keep_note(layout, EXPECTED, key, wheels)


def merged(
    before: Sequence[ExpectedWheel], here: frozenset[str], placed: Sequence[ExpectedWheel]
) -> list[ExpectedWheel]:
    """Return the wheels that an empty environment would have got: those placed now, and those there already."""
    now = {wheel.digest for wheel in placed}
    kept = [wheel for wheel in before if wheel.info_dir in here or wheel.digest in now]
    known = {wheel.digest for wheel in kept}
    return [*kept, *(wheel for wheel in placed if wheel.digest not in known)]
