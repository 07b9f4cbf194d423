"""A command on a terminal, and that terminal's screen."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.program import Box

PATIENCE_S = 30.0
"""Seconds to wait for something that comes within one."""

_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|[^\x1b]")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Screen:
    """A terminal of a given width. Lines that reach its edge are counted: a real one would wrap them."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.too_wide: list[str] = []
        self.lines = [""]
        self._row = self._column = 0

    def write(self, text: str) -> None:
        """Show text, as far as pip and pipfast use a terminal."""
        for match in _TOKEN.finditer(text):
            number, command = match.groups()
            if command is None:
                self._character(match[0])
            elif command == "A":
                self._row = max(self._row - int(number or 1), 0)
            elif command == "J":
                del self.lines[self._row + 1 :]
                self.lines[self._row] = self.lines[self._row][: self._column]
            elif command == "K":
                self.lines[self._row] = "" if number == "2" else self.lines[self._row][: self._column]

    def _character(self, character: str) -> None:
        if character == "\n":
            self._row += 1
            self._column = 0
            if self._row == len(self.lines):
                self.lines.append("")
        elif character == "\r":
            self._column = 0
        elif character == "\b":
            self._column = max(self._column - 1, 0)
        else:
            line = self.lines[self._row]
            self.lines[self._row] = line[: self._column].ljust(self._column) + character + line[self._column + 1 :]
            self._column += 1
            if self._column >= self.width and "MB/s" in self.lines[self._row]:
                self.too_wide.append(self.lines[self._row])

    def text(self) -> str:
        """Return what stands there."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip()


class Session:
    """A command that runs on a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, width: int) -> None:
        self.process = process
        self.screen = Screen(width)
        self.written = ""
        """Since the terminal was last resized."""
        self._master = master
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def resize(self, width: int) -> None:
        """Change the terminal's width, as dragging the window's corner does."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
        self.screen.width = width
        self.written = ""

    def read(self) -> bool:
        """Take in some output; return whether there may be more."""
        if not select.select([self._master], [], [], PATIENCE_S)[0]:
            raise AssertionError(f"nothing more came after:\n{self.screen.text()}")
        try:
            block = self._decode(os.read(self._master, 1 << 16))
        except OSError:
            # Linux' way to say that nobody has the terminal open any more.
            return False
        self.written += block
        self.screen.write(block)
        return True

    def until(self, pattern: str, times: int = 1) -> None:
        """Read until ``pattern`` has come so often since the last resize; colours are passed over."""
        deadline = time.monotonic() + PATIENCE_S
        while len(re.findall(pattern, _COLOUR.sub("", self.written))) < times:
            assert time.monotonic() < deadline and self.read(), f"no {pattern!r} in:\n{self.screen.text()}"

    def end(self) -> int:
        """Read to the end and return the exit status."""
        while self.read():
            pass
        return self.process.wait()


@contextmanager
def on_terminal(
    box: Box, module: str, *arguments: str, width: int = 80, variables: Mapping[str, str] | None = None
) -> Iterator[Session]:
    """Run ``python -m module arguments`` on a terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    environ = box.environ(**{"COLUMNS": "", "TERM": "xterm-256color", **(variables or {})})
    process = subprocess.Popen(
        [str(box.python), "-m", module, *arguments], cwd=box.work, env=environ,
        stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, start_new_session=True,
    )
    os.close(slave)
    try:
        yield Session(process, master, width)
    finally:
        process.kill()
        process.wait()
        os.close(master)
