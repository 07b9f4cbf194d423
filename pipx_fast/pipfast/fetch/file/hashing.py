"""Digests of a file whose parts arrive out of order."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STEP = 1024 * 1024
"""Bytes read back at a time."""

CATCH_UP = 4 * 1024 * 1024
"""Bytes that a worker hashes for others before it reads its own stream again."""


def known_algorithms(names: Iterable[str]) -> list[str]:
    """Return SHA-256, and those of ``names`` that this interpreter computes with a fixed length."""
    algorithms = ["sha256"]
    for name in names:
        try:
            fixed = hashlib.new(name).digest_size > 0
        except ValueError:  # unknown here, or not allowed under FIPS
            continue
        if fixed and name not in algorithms:
            algorithms.append(name)
    return algorithms


class HashFront:
    """Digests that follow the contiguous front of a file.

    Each part is reported after it was written. A part at the front is hashed from memory; the others are read back
    when the front reaches them, by one worker at a time.
    """

    def __init__(self, algorithms: Iterable[str], read: Callable[[int, int], bytes]) -> None:
        """:param read: ``read(offset, count)`` returns reported bytes, at least one."""
        self._hashes = {name: hashlib.new(name) for name in algorithms}
        self._read = read
        self._state = threading.Condition()
        self._busy = False
        self.hashed = 0
        self._front = 0
        self._islands: dict[int, int] = {}

    def arrived(self, offset: int, data: bytes | memoryview) -> None:
        """Report that ``data`` has been written at ``offset``; parts never overlap."""
        with self._state:
            self._note(offset, offset + len(data))
            if self._busy or self._front <= self.hashed:
                return
            self._busy = True
        self._advance(CATCH_UP, data if offset == self.hashed else None)

    def forget_beyond(self, position: int) -> None:
        """Forget the parts from ``position`` on, which come again; nobody reports any meanwhile."""
        with self._state:
            self._state.wait_for(lambda: not self._busy)
            self._islands.clear()
            self._front = min(self._front, position)
            if self.hashed > position:
                # A digest cannot go back: the part before is read again.
                self._hashes = {name: hashlib.new(name) for name in self._hashes}
                self.hashed = 0

    def finish(self) -> dict[str, str]:
        """Hash up to the front, and return hex digests by algorithm."""
        with self._state:
            self._state.wait_for(lambda: not self._busy)
            self._busy = True
        self._advance(self._front, None)
        return {name: digest.hexdigest() for name, digest in self._hashes.items()}

    def _note(self, start: int, end: int) -> None:
        self._islands[start] = end
        while self._front in self._islands:
            self._front = self._islands.pop(self._front)

    def _advance(self, budget: int, data: bytes | memoryview | None) -> None:
        """Hash until nothing is ready or ``budget`` bytes are done; the caller has set ``_busy``."""
        try:
            if data is not None:
                self._update(data)
            while budget > 0:
                with self._state:
                    ready = self._front - self.hashed
                if ready <= 0:
                    return
                block = self._read(self.hashed, min(STEP, ready))
                if not block:
                    raise OSError(f"a download was shortened behind our back at byte {self.hashed}")
                self._update(block)
                budget -= len(block)
        finally:
            with self._state:
                self._busy = False
                self._state.notify_all()

    def _update(self, data: bytes | memoryview) -> None:
        for digest in self._hashes.values():
            digest.update(data)
        self.hashed += len(data)
