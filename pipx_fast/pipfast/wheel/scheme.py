"""Folders of an environment, and members of a wheel that go there.

Binary distribution format, "The .data directory".
"""

from __future__ import annotations

from pipfast.errors import PipfastError

SCHEME_KEYS = ("purelib", "platlib", "headers", "scripts", "data")
"""Folders in a wheel's ``.data`` folder."""


class NotStorable(PipfastError):
    """The archive is not kept unpacked, for this reason."""


def split_data_path(path: str) -> tuple[str, str] | None:
    """Return (scheme key, path below) of a ``.data`` folder's member, or None; NotStorable: there is no such."""
    first, _, rest = path.partition("/")
    if not first.endswith(".data"):
        return None
    key, _, below = rest.partition("/")
    if key not in SCHEME_KEYS or not below:
        raise NotStorable(f"unknown .data member {path!r}")
    return key, below
