"""One file being put together on disk, from one stream or several."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

from pipfast.fetch.file.hashing import HashFront, known_algorithms
from pipfast.fetch.file.segments import Claim, SegmentPlan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipfast.fetch.file.ranges import FileIdentity
    from pipfast.fetch.transport import Response


class Assembly:
    """A partial file, the plan of its missing bytes, and its digests so far.

    The board's lock guards everything but ``write`` and ``hashes``, which need none. A dead assembly takes no more
    bytes: its file is removed at once, its descriptor is closed by the last worker that may write.
    """

    def __init__(
        self, directory: Path, name: str, first: Response, identity: FileIdentity, *, streams: int,
        algorithms: Iterable[str],
    ) -> None:
        """Create the partial file; ``streams`` is how many may bring parts of it at once."""
        self.first = first
        self.identity = identity
        self.target = directory / name
        self.partial = directory / f".pipfast-{secrets.token_hex(8)}.part"
        # As open() would: pip copies the mode from here to the user's folders.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        self._file: int | None = os.open(self.partial, flags, 0o666)
        self.plan = SegmentPlan(identity.size, streams)
        self.hashes = HashFront(known_algorithms(algorithms), self._read)
        self.front: Claim | None = None
        """The claim of the first, plain answer while that is being read."""
        self.streams: dict[Claim, Response] = {}
        self.received = 0
        self.ranged = 0
        """Bytes that came, or are coming, as answers to ranged requests, and are believed."""
        self.in_parts = False
        """Whether an answer to a ranged request has ever brought bytes, believed or not."""
        self.by_front = 0
        self.writing = 0
        """Pieces of ranged answers that are being written."""
        self.passed_over = False
        """Whether the first answer was read past bytes that others brought: it cannot bring them any more."""
        self.pace = 0.0
        """Seconds that the first answer took for a byte, until it first met what others bring."""
        self.collapsed = False
        """The first answer brings everything from its position on; bytes from ranges are not believed."""
        self.size = identity.size
        self.users = 0
        self.finishing = False
        self.dead = False

    @property
    def first_is_read(self) -> bool:
        """Whether the first, plain answer is being read."""
        return self.front is not None and self.front in self.streams

    @property
    def is_over(self) -> bool:
        """Whether nobody brings any more of it."""
        return self.dead or self.finishing

    def write(self, offset: int, data: memoryview, *, believed: bool = True) -> None:
        """Put ``data`` into the file and, in its turn, into the digests; not if it comes again."""
        if not believed:
            return
        file = self._descriptor()
        written = 0
        while written < len(data):
            written += os.pwrite(file, data[written:], offset + written)
        self.hashes.arrived(offset, data)

    def publish(self) -> Path:
        """Give the whole file its name."""
        self.partial.replace(self.target)
        return self.target

    def remove(self) -> None:
        """Unlink the partial file."""
        with contextlib.suppress(FileNotFoundError):
            self.partial.unlink()

    def enter(self) -> None:
        """Count a worker in."""
        self.users += 1

    def leave(self) -> None:
        """Count a worker out; the last one closes a dead file."""
        self.users -= 1
        self.close_if_unused()

    def close_if_unused(self) -> None:
        """Close the descriptor of a dead assembly that no worker is using."""
        if self.dead and not self.users and self._file is not None:
            os.close(self._file)
            self._file = None

    def _read(self, offset: int, count: int) -> bytes:
        return os.pread(self._descriptor(), count, offset)

    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError(f"{self.partial} is closed")
        return self._file
