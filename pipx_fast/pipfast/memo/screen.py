"""Copy of standard output and standard error, byte for byte."""

from __future__ import annotations

import io
import sys

from pipfast.memo.question import is_plain_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_BYTES = 1 << 20
"""Bytes beyond which nobody needs them faster."""


class _Noting(io.FileIO):
    """A descriptor that notes what it writes."""

    screen: Screen
    number: int
    before: io.TextIOWrapper
    """What it takes the place of."""

    def write(self, data: Any) -> int:
        """Write, and note what was written."""
        # What was printed before comes first.
        self.before.flush()
        written = super().write(data)
        self.screen.note(self.number, bytes(memoryview(data)[:written]))
        return written


class Screen:
    """Takes the place of ``sys.stdout`` and ``sys.stderr``, made as Python itself makes them."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, bytes]] = []
        """Descriptor and bytes, in order; neighbours of one descriptor are one."""
        self.is_too_much = False
        self._noting = True
        self._size = 0

    def start(self) -> bool:
        """Take their place; False: they are not what Python has made, and nothing is noted."""
        if not is_plain_process():
            return False
        out, err = sys.stdout, sys.stderr
        assert isinstance(out, io.TextIOWrapper) and isinstance(err, io.TextIOWrapper)
        try:
            sys.stdout, sys.stderr = self._instead(out, 1), self._instead(err, 2)
        except (OSError, ValueError):
            return False
        return True

    def stop(self) -> None:
        """Note no more; what is written later goes the same way.

        :raises OSError: something could not be written: the interpreter's end is about to say so.
        """
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        finally:
            self._noting = False

    def note(self, number: int, data: bytes) -> None:
        """Note what a descriptor has got."""
        if not self._noting or not data:
            return
        self._size += len(data)
        if self._size > MOST_BYTES:
            self.is_too_much, self._noting = True, False
        elif self.lines and self.lines[-1][0] == number:
            self.lines[-1] = number, self.lines[-1][1] + data
        else:
            self.lines.append((number, data))

    def _instead(self, stream: io.TextIOWrapper, number: int) -> io.TextIOWrapper:
        raw = _Noting(number, "wb", closefd=False)
        raw.screen, raw.number, raw.before = self, number, stream
        raw.name = stream.name
        is_raw = isinstance(stream.buffer, io.FileIO)
        # As Python makes it under ``-u``, and as it does otherwise.
        buffer: Any = raw if is_raw else io.BufferedWriter(raw)
        made = io.TextIOWrapper(
            buffer, stream.encoding, stream.errors, "\n", stream.line_buffering, stream.write_through
        )
        made.mode = "w"  # type: ignore[misc]
        return made
