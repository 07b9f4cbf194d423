"""Jobs for worker processes, and their answers, as lines of JSON.

Each is a JSON array: its type's name, then its fields. A job has one answer; before that, some jobs tell of each
part in a note. Paths are strings, since JSON has no other.
"""

from __future__ import annotations

import json
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from pipfast.prepare.bytecode import BytecodeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipfast.settings import LinkMode


class Priority(IntEnum):
    """Order of jobs in the queue, the first ones first."""

    AWAITED = 0
    UNPACK = 1
    """Before compiling, which needs the tree; two workers can share one tree's sources."""
    COMPILE = 2
    ASIDE = 9
    """pip's own thread can make links, too, but nothing else that workers do."""


class Terms(NamedTuple):
    """The facts that all jobs of one run share; a worker's first line."""

    root: str
    umask: int
    kind: BytecodeKind | None
    timed: bool = False
    """Tell when each step began and ended."""


class Plan(NamedTuple):
    """Prepare a small archive at once, or divide a larger one.

    Answered by ``Done``, by ``Sources`` where only compiling is left, or by ``Shares``.
    """

    digest: str
    archive: str
    hashed: bool
    staging: str
    code: str
    """The folder in which its bytecode is made; empty for none."""


class Unpack(NamedTuple):
    """Unpack the members ``begin:end``; answered by ``Sources``."""

    digest: str
    archive: str
    staging: str
    share: int
    begin: int
    end: int
    second: int
    """The time of all files, see ``making``."""


class Seal(NamedTuple):
    """Write the manifests of an unpacked archive and of its bytecode, and rename both into place."""

    digest: str
    archive: str
    staging: str
    code: str


class PlanCompile(NamedTuple):
    """Divide the sources of a stored tree; answered by ``Sources``."""

    digest: str
    tree_id: str


class Compile(NamedTuple):
    """Compile the sources ``begin:end`` of a stored tree, or of one share of a tree in the making."""

    digest: str
    tree_id: str
    """Empty for a tree in the making."""
    staging: str
    code: str
    share: int
    part: int
    begin: int
    end: int


class SealBytecode(NamedTuple):
    """Write the manifest of a stored tree's bytecode, and rename it into place."""

    digest: str
    tree_id: str
    code: str


class Prove(NamedTuple):
    """Compare the tree of an archive, and its bytecode, with their digests; remove a damaged one."""

    digest: str


class Mend(NamedTuple):
    """Put a stored wheel's files right; answered by ``Unmendable`` where that is impossible."""

    digest: str


class Arrange(NamedTuple):
    """Link stored wheels into one folder each, below ``folder``; each is told of by ``Arranged``."""

    folder: str
    mode: LinkMode
    digests: Sequence[str]


class Read(NamedTuple):
    """Hash stored archives; each is told of by ``Checked``, twice."""

    digests: Sequence[str]


class Done(NamedTuple):
    """The job is done."""


class Failed(NamedTuple):
    """The job is not done."""

    reason: str
    vanished: bool = False
    """An entry of the store went away meanwhile: pruned, or made again by another process."""
    number: int | None = None


class Shares(NamedTuple):
    """The shares into which an archive is divided for unpacking, the largest first."""

    shares: Sequence[Sequence[int]]
    """Number, begin and end of each."""
    second: int


class Sources(NamedTuple):
    """The parts into which the sources of one share are divided for compiling."""

    share: int
    parts: Sequence[Sequence[int]]
    """Begin and end of each."""


class Unmendable(NamedTuple):
    """A stored file that cannot be put right; its entry is removed."""

    path: str
    how: str
    vanished: bool = False
    """Another process has removed the entry: it was pruned, or is made again."""


class Arranged(NamedTuple):
    """A wheel's links."""

    digest: str
    tree_id: str
    """The tree whose files are linked; empty if not all of them could be."""
    reason: str


class Checked(NamedTuple):
    """An archive's bytes."""

    digest: str
    sound: bool | None
    """They have the archive's digest; None while they are being read."""


class Spans(NamedTuple):
    """The events of the job, as ``timeline.events`` has them."""

    told: Sequence[Sequence[Any]]


ArchiveJob = Plan | Unpack | Seal | PlanCompile | Compile | SealBytecode | Prove
Job = ArchiveJob | Mend | Arrange | Read
Answer = Done | Failed | Shares | Sources | Unmendable
Note = Arranged | Checked | Spans

_KINDS: Mapping[str, Callable[..., Any]] = MappingProxyType({
    kind.__name__: kind for kind in (*get_args(Job), *get_args(Answer), *get_args(Note))
})


def encode(message: Job | Answer | Note | Terms) -> bytes:
    """Return a message as a line."""
    return json.dumps((type(message).__name__, *message)).encode("ascii") + b"\n"


def decode_terms(line: bytes) -> Terms:
    """Return the terms that ``encode`` made a line of."""
    _, root, umask, kind, timed = json.loads(line)
    return Terms(root, umask, BytecodeKind(*kind) if kind else None, timed)


def decode(line: bytes) -> Any:
    """Return the job, answer or note that ``encode`` made a line of.

    :raises ValueError: it is none; or LookupError, or TypeError.
    """
    name, *fields = json.loads(line)
    return _KINDS[name](*fields)
