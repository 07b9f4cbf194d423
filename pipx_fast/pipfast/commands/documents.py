"""JSON documents of ``pipfast store``: their keys are the fields.

Keys may be added; what a key says does not change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """One kind of entries."""

    entries: int
    bytes: int
    """On the disk; a file with several names counts once."""
    shared_bytes: int
    """Of these, bytes of files that environments have, too."""
    files: int


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """``store info``: the whole store."""

    path: Path
    entries: int
    """All but leftovers; those of the buckets together."""
    bytes: int
    """On the disk, with leftovers."""
    shared_bytes: int
    buckets: dict[str, BucketInfo]
    """By the name of their folder."""
    leftovers: int
    """What killed commands left in tmp/."""
    leftover_bytes: int
    in_use: int
    """What running commands have in tmp/."""
    format: str
    """Another in each version of pipfast that reads other entries: part of the key of a CI cache."""
    own_bytes: int
    """What only the store holds, with clones, which are not seen as such."""
    bound: int | None
    """What only the store may hold (``PIPFAST_STORE_SIZE``)."""
    in_use_bytes: int
    """Of what only the store holds, what running commands have in tmp/."""


@dataclass(slots=True)
class StoredWheel:
    """``store list``: a list of these, one for each archive."""

    name: str
    """The archive's file name; something in brackets where only its tree is left."""
    sha256: str
    archive: bool = False
    """It is here as it came."""
    bytes: int = 0
    """On the disk, with what was unpacked and compiled."""
    last_use: float = 0.0
    """Seconds since the epoch, noted once a day."""
    unpacked: bool = False
    bytecode: list[str] = field(default_factory=list)
    """Tags of interpreters."""


@dataclass(frozen=True, slots=True)
class DamagedEntry:
    """An entry that is not as it was made."""

    path: Path
    name: str | None
    """Such as ``six 1.17.0``."""
    reason: str
    """A sentence, with paths below ``path``."""
    removed: bool


@dataclass(frozen=True, slots=True)
class Verified:
    """``store verify``: the result of a full check."""

    path: Path
    checked: int
    """Entries."""
    damaged: list[DamagedEntry]


@dataclass(slots=True)
class Count:
    """Entries of one kind that were removed, or that stay."""

    entries: int = 0
    bytes: int = 0
    """Of those that were removed, the bytes that this frees."""

    def add(self, size: int) -> None:
        """Count one entry."""
        self.entries += 1
        self.bytes += size


@dataclass(frozen=True, slots=True)
class Removed:
    """``store prune`` and ``store purge``: what they removed."""

    path: Path
    entries: int = 0
    orphans: int = 0
    """Trees, bytecode and addresses that lack what they belong to."""
    leftovers: int = 0
    leftover_bytes: int = 0
    bytes: int = 0
    """Freed disk space, that of leftovers among it."""
    shared_bytes: int = 0
    """Bytes of files that stay on the disk until environments give them up."""
    in_use: int = 0
    """What running commands have in tmp/, which stays."""
    dry_run: bool = False
    """Nothing was removed: so it would be."""
    removed: dict[str, Count] = field(default_factory=dict)
    """By the name of their folder, orphans too; empty after `purge`, as is ``kept``."""
    kept: dict[str, Count] = field(default_factory=dict)
