"""Kept answers as bytes: format, place, trust."""

from __future__ import annotations

import os
import stat
import time

from pipfast.memo.facts import changed
from pipfast.memo.question import sha256
from pipfast.store.names import MEMO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipfast.memo.again.elsewhere import Environment
    from pipfast.memo.facts import Fact
    from pipfast.memo.question import Question

_FORMAT = b"4"
_MAGIC = b"pipfast-note-1 "
_HEAD = len(_MAGIC) + 64 + 1
"""Length of the head of a note, see ``pipfast.store.notes``."""

USE_NOTED_S = 86_400
"""Seconds for which a noted use stands: as ``pipfast.store.layout`` has it, which imports more."""

MOST_BYTES = 16 << 20
"""Bytes beyond which a file is none of ours; 400 packages take a quarter of one MB."""


class Entry:
    """What pip answered, and what it had read.

    :param made: the clock's time when it was made, in nanoseconds.
    :param until: that from which it holds no longer; 0: none.
    :param temporary: the folder for temporary files, which pip can write to.
    :param is_proof: pip is to decide all the same, and the two are compared.
    :param facts: in the order in which they are to be looked at.
    :param lines: descriptor (1 or 2) and bytes, in the order in which they were written. The exit code is 0.
    :param told: what is told of the question, see ``pipfast.memo.why``.
    :param installed: what was installed, as ``Installation.fields`` tells it; nothing if nothing was.
    """

    __slots__ = ("facts", "installed", "is_proof", "lines", "made", "temporary", "told", "until")

    def __init__(
        self, made: int, until: int, temporary: str, is_proof: bool, facts: list[Fact],
        lines: list[tuple[int, bytes]], told: bytes = b"", installed: Sequence[bytes] = (),
    ) -> None:
        self.made = made
        self.until = until
        self.temporary = temporary
        self.is_proof = is_proof
        self.facts = facts
        self.lines = lines
        self.told = told
        self.installed = installed

    def encoded(self) -> bytes:
        """Return the bytes of a note; ValueError: it holds what the format cannot."""
        parts = [
            _FORMAT, self.told, b"%d" % self.made, b"%d" % self.until, os.fsencode(self.temporary),
            b"%d" % self.is_proof, b"%d" % len(self.facts), b"%d" % len(self.installed),
        ]
        for path, seen in self.facts:
            parts += [os.fsencode(path), seen.encode("ascii")]
        parts += self.installed
        for number, data in self.lines:
            parts += [b"%d" % number, data]
        if any(b"\0" in part for part in parts):
            raise ValueError("a null byte")
        return b"\0".join(parts)


def decoded(payload: bytes) -> Entry:
    """Return the entry of a note's bytes; ValueError, IndexError: they are not those of one."""
    parts = payload.split(b"\0")
    if parts[0] != _FORMAT:
        raise ValueError("another format")
    count, end = int(parts[6]), 8 + 2 * int(parts[6])
    names = list(map(os.fsdecode, parts[8:end:2]))
    seen = [each.decode("ascii") for each in parts[9:end:2]]
    installed = tuple(parts[end : end + int(parts[7])])
    rest = parts[end + int(parts[7]) :]
    if len(names) != count or len(seen) != count or len(rest) % 2:
        raise ValueError("cut short")
    numbers = list(map(int, rest[::2]))
    if not {1, 2}.issuperset(numbers):
        raise ValueError("no stream")
    return Entry(
        int(parts[2]), int(parts[3]), os.fsdecode(parts[4]), parts[5] == b"1",
        list(zip(names, seen, strict=True)), list(zip(numbers, rest[1::2], strict=True)), parts[1],
        installed,
    )


def root(environ: Mapping[str, str]) -> str:
    """Return the folder of the store as the environment alone tells it; empty if it does not."""
    named = environ.get("PIPFAST_STORE", "")
    if named:
        # What else it may be is a matter of the settings.
        return named if os.path.isabs(named) else ""
    named = environ.get("PIP_CACHE_DIR", "")
    if named:
        return os.path.join(named, "pipfast") if os.path.isabs(named) else ""
    named = environ.get("XDG_CACHE_HOME", "").strip()
    if not named:
        home = environ.get("HOME", "")
        named = os.path.join(home, ".cache") if home else ""
    return os.path.join(named, "pipfast") if os.path.isabs(named) else ""


def path_in(root: str, key: str) -> str:
    """Return where the answer to a question is kept."""
    return f"{root}/{MEMO}/{key[:2]}/{key}"


def read(root: str, key: str) -> Entry | None:
    """Return the kept answer to a question; None: there is none, or it cannot be believed."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path_in(root, key), flags)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not _is_ours(found) or not 0 < found.st_size <= MOST_BYTES:
            return None
        bucket = f"{root}/{MEMO}"
        if not all(map(_is_own_folder, (root, bucket, f"{bucket}/{key[:2]}"))):
            return None
        content = _all(descriptor, found.st_size)
        if abs(time.time() - found.st_mtime) > USE_NOTED_S:
            # For `prune --older-than`, and for who makes room here.
            os.utime(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    payload = content[_HEAD:]
    if content[:_HEAD] != _MAGIC + sha256(payload).hexdigest().encode("ascii") + b"\n":
        return None
    try:
        return decoded(payload)
    except (ValueError, IndexError):
        return None


def kept_for(question: Question, store: str) -> tuple[Entry | None, str]:
    """Return the kept answer to a question, and why it is not given; empty: it is."""
    entry = read(store, question.key)
    before = refusal(entry) if entry is not None else "it has not been asked before"
    key = question.key_of_any if before else ""
    # The same into one more environment, perhaps, or into the same one, made anew.
    other = read(store, key) if key else None
    if other is not None:
        why = refusal(other, question.environment)
        if not why or entry is None:
            return other, why
    return entry, before


def refusal(entry: Entry, environment: Environment | None = None) -> str:
    """Return why an entry does not answer now; empty: it does. Only a temporary file is made, and removed.

    :param environment: that for which it is to answer, where it is about any of them.
    """
    now = time.time_ns()
    if now < entry.made:
        return "the clock was set back"
    if entry.until and now >= entry.until:
        return "it was made for a time that is over"
    path = changed(entry.facts, environment)
    if path:
        return f"{path} is not as it was"
    if entry.temporary and not _takes_files(entry.temporary):
        return f"{entry.temporary} takes no temporary files"
    return ""


def _takes_files(folder: str) -> bool:
    """Do what pip does in each run: make a folder and a file there, and remove them."""
    path = f"{folder}/pip-memo-{os.urandom(8).hex()}"
    try:
        os.mkdir(path, 0o700)
        try:
            file = f"{path}/it"
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                return os.write(descriptor, b"blat") == 4
            finally:
                os.close(descriptor)
                os.unlink(file)
        finally:
            os.rmdir(path)
    except OSError:
        return False


def _is_own_folder(path: str) -> bool:
    found = os.lstat(path)
    return stat.S_ISDIR(found.st_mode) and _is_ours(found)


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _all(descriptor: int, size: int) -> bytes:
    blocks, got = [], 0
    while got < size:
        block = os.read(descriptor, size - got)
        if not block:
            break
        blocks.append(block)
        got += len(block)
    return b"".join(blocks)
