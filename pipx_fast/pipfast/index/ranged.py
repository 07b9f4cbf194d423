"""METADATA of a remote wheel, read in ranges.

Ranged requests (RFC 9110, section 14) bring the wheel's directory, that member and WHEEL; the rest stays there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipfast.wheel.metadata import read_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

TAIL_BYTES = 64 << 10
"""Bytes of the first request, from the end: it has the directory of most wheels, and METADATA is near that."""

MAX_BYTES = 32 << 20
"""Bytes beyond which the wheel is given up: the directory of 50,000 files has some 6 MB."""

MAX_REQUESTS = 16
"""Requests for one wheel; a large one takes three."""


class TooMuch(Exception):
    """More bytes are asked for than a directory and a METADATA file can have."""


class _Sparse:
    def __init__(self, size: int, tail: bytes, fetch: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._pieces = [(size - len(tail), tail)]
        self._fetch = fetch
        self._position = 0
        self._left = MAX_BYTES
        self._requests = MAX_REQUESTS

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            # zipfile expects a real file's error when the file is too short.
            raise OSError(f"before the beginning: {start + offset}")
        self._position = start + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        stop = self._size if size < 0 else min(self._position + size, self._size)
        if stop <= self._position:
            return b""
        content = self._piece(self._position, stop)
        self._position = stop
        return content

    def _piece(self, start: int, stop: int) -> bytes:
        for first, piece in self._pieces:
            if first <= start and stop <= first + len(piece):
                return piece[start - first : stop - first]
        wanted = min(max(stop, start + TAIL_BYTES), self._size)
        self._left -= wanted - start
        self._requests -= 1
        if self._left < 0 or self._requests < 0:
            raise TooMuch
        content = self._fetch(start, wanted)
        if len(content) != wanted - start:
            raise EOFError(f"{len(content)} bytes in the place of {wanted - start}")
        self._pieces.append((start, content))
        return content[: stop - start]


def read_ranged(size: int, tail: bytes, fetch: Callable[[int, int], bytes]) -> bytes | None:
    """Return the METADATA of a wheel; None as ``read_metadata`` does.

    :param size: bytes of the whole archive.
    :param tail: its last bytes.
    :param fetch: ``fetch(start, stop)`` returns the bytes in ``[start, stop)``.
    :raises TooMuch: the archive cannot be read in this way.
    :raises zipfile.BadZipFile: the file is no archive, or the member's check sum is wrong.
    """
    return read_metadata(_Sparse(size, tail, fetch))
