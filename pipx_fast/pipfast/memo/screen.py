"""Copy of standard output and standard error, byte for byte."""

from __future__ import annotations

import io
import re
import sys

from pipfast.memo.question import oddity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_BYTES = 1 << 20
"""Bytes beyond which nobody needs them faster."""

LEAST_KEPT_BACK = 8192
"""Bytes that Python's streams keep until they are flushed."""


# e.g. hide the cursor, `  ━━━━ 7/7 [flask]` many times, show the cursor, erase the line
_BAR = re.compile(rb"\x1b\[\?25l(.*?)\x1b\[\?25h((?:\r?\x1b\[1A\x1b\[2K)*)", re.DOTALL)
_MOVES = re.compile(rb"\r?\x1b\[\??\d*[AKhl]")
_COLOUR = re.compile(rb"\x1b\[[\d;]*m")
_ROW = re.compile(r" *[━╸╺ ]*(?:\d+/\d+)?(?: \[[\w.-]*\])? *")


def still(data: bytes) -> bytes:
    """Return what remains on a terminal of what was written, in colours: bars that are erased at the end are gone.

    :raises ValueError: something else moves, or text stands between the bars.
    """
    rest = _BAR.sub(_erased, data)
    if b"\x1b" in _COLOUR.sub(b"", rest) or b"\r" in rest:
        raise ValueError("it prints control sequences")
    return rest


def _erased(found: re.Match[bytes]) -> bytes:
    shown = _COLOUR.sub(b"", _MOVES.sub(b"\n", found[1])).decode("utf-8", "replace")
    if not all(map(_ROW.fullmatch, shown.replace("\r", "\n").split("\n"))) or (shown.strip() and not found[2]):
        raise ValueError("it prints beside a progress bar")
    return b""


class _Noting(io.TextIOWrapper):
    """A stream that notes what it has been given, once it passes it on.

    Not a descriptor that notes: Ctrl-C between its writing and its return would have its buffer write again.
    """

    screen: Screen
    number: int
    before: io.TextIOWrapper
    """What it takes the place of."""

    def write(self, text: str) -> int:
        """Write, and note what was written."""
        # What was printed before comes first.
        self.before.flush()
        written = super().write(text)
        self.screen.note(self.number, text.encode(self.encoding, self.errors or "strict"))
        if self.write_through or (self.line_buffering and ("\n" in text or "\r" in text)):
            self.screen.pass_on(self.number)
        return written

    def flush(self) -> None:
        """Pass on what was written."""
        super().flush()
        self.screen.pass_on(self.number)

    @property
    def buffer(self) -> Any:
        """What is written there is not noted."""
        self.screen.give_up()
        return super().buffer


class Screen:
    """Takes the place of ``sys.stdout`` and ``sys.stderr``, made as Python itself makes them."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, bytes]] = []
        """Descriptor and bytes, in order; neighbours of one descriptor are one."""
        self.is_incomplete = False
        """There was too much to note, or something that cannot be."""
        self._noting = True
        self._size = 0
        self._waiting = {1: b"", 2: b""}
        """By descriptor, what has not been passed on."""

    def start(self) -> bool:
        """Take their place; False: they are not what Python has made, and nothing is noted."""
        if oddity():
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
        """Note what a stream has got."""
        if self._noting:
            self._size += len(data)
            self._waiting[number] += data
            if self._size > MOST_BYTES:
                self.give_up()

    def pass_on(self, number: int) -> None:
        """Note that a descriptor has got what its stream had."""
        data = self._waiting[number]
        if not self._noting or not data:
            return
        self._waiting[number] = b""
        if len(self._waiting[3 - number]) > LEAST_KEPT_BACK:
            # Some of it came before this.
            self.give_up()
        elif self.lines and self.lines[-1][0] == number:
            self.lines[-1] = number, self.lines[-1][1] + data
        else:
            self.lines.append((number, data))

    def give_up(self) -> None:
        """Note no more: there will be no answer."""
        self.is_incomplete, self._noting = True, False

    def _instead(self, stream: io.TextIOWrapper, number: int) -> io.TextIOWrapper:
        raw = io.FileIO(number, "wb", closefd=False)
        raw.name = stream.name
        is_raw = isinstance(stream.buffer, io.FileIO)
        # As Python makes it under ``-u``, and as it does otherwise.
        buffer: Any = raw if is_raw else io.BufferedWriter(raw)
        made = _Noting(
            buffer, stream.encoding, stream.errors, "\n", stream.line_buffering, stream.write_through
        )
        made.screen, made.number, made.before = self, number, stream
        made.mode = "w"  # type: ignore[misc]
        return made
