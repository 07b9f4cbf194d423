"""Script that makes a line to a server slower: round-trip time, and a cap on each connection.

    python relay.py --to PORT [--rtt MS] [--mbit N]     prints the port it listens on

Half the round trip is added in each direction, and a whole one before a connection's first byte goes out: the
handshake, which the kernel has answered already. Bytes leave no faster than the cap, each direction of each
connection for itself. Slow start, loss and TLS are not imitated.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from types import TracebackType

_READ_BYTES = 64 * 1024
"""What is read at once: 6.5 ms of 80 Mbit/s, fine enough for a smooth flow, coarse enough for few wake-ups."""

_WINDOW_BYTES = 1 << 20
"""Bytes on their way, beside what the round trip itself holds, before the sender has to wait."""


_UNCAPPED = 250e6
"""Bytes per second that a line without a cap can hold on their way."""


@dataclass(frozen=True, slots=True)
class Line:
    """How slow it is."""

    rtt_ms: float = 0.0
    mbit: float = 0.0
    """Cap of each connection in Mbit/s; 0 is none."""

    def __str__(self) -> str:
        if not self.rtt_ms and not self.mbit:
            return "loopback"
        return f"{self.rtt_ms:g}ms" + (f"-{self.mbit:g}Mbit" if self.mbit else "")


class _Lane(asyncio.BufferedProtocol):
    """One direction of one connection: reads here, releases to ``other`` when it is time."""

    def __init__(self, line: Line) -> None:
        self.loop = asyncio.get_running_loop()
        self.delay_s = line.rtt_ms / 2000
        self.bytes_per_s = line.mbit * 1e6 / 8
        self.window = _WINDOW_BYTES + int((self.bytes_per_s or _UNCAPPED) * line.rtt_ms / 1000)
        self.buffer = bytearray(_READ_BYTES)
        self.queue: deque[tuple[float, bytes]] = deque()
        self.queued = 0
        self.free_at = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None
        self.other: _Lane | None = None
        self.paused = self.congested = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._enqueue(bytes(memoryview(self.buffer)[:nbytes]))

    def eof_received(self) -> bool:
        self._enqueue(b"")  # an empty piece is the end
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if error is not None and self.other is not None and self.other.transport is not None:
            self.other.transport.abort()
        elif self.other is not None and not self.queue:
            self._end()

    def pause_writing(self) -> None:
        """Stop releasing into this side: its reader is slower than the line."""
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = False
        if self.other is not None:
            self.other._release()

    def _enqueue(self, data: bytes) -> None:
        now = self.loop.time()
        # While nothing flowed the line was free; credit for that time is not saved up.
        self.free_at = max(self.free_at, now)
        if self.bytes_per_s:
            self.free_at += len(data) / self.bytes_per_s
        self.queue.append((self.free_at + self.delay_s, data))
        self.queued += len(data)
        if self.queued > self.window and not self.paused and self.transport is not None:
            self.paused = True
            self.transport.pause_reading()
        if self.timer is None:
            self._release()

    def _release(self) -> None:
        """Send on what is due, and come back for the next piece."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        now = self.loop.time()
        while self.queue and self.other is not None and not self.other.congested:
            due, data = self.queue[0]
            if due > now:
                self.timer = self.loop.call_at(due, self._release)
                break
            self.queue.popleft()
            self.queued -= len(data)
            if data:
                if self.other.transport is not None:
                    self.other.transport.write(data)
            else:
                self._end()
        if self.paused and self.queued <= self.window // 2 and self.transport is not None:
            self.paused = False
            self.transport.resume_reading()

    def _end(self) -> None:
        """Pass on the end of the stream; close both sides when both directions have ended."""
        other = self.other
        if other is None or other.transport is None or other.transport.is_closing():
            return
        if self.transport is None:
            other.transport.close()
        elif other.transport.can_write_eof():
            other.transport.write_eof()


async def _connect(lane: _Lane, line: Line, port: int) -> None:
    """Join a client's ``lane`` to a new connection to the server."""
    loop = asyncio.get_running_loop()
    try:
        _, upstream = await loop.create_connection(lambda: _Lane(line), "127.0.0.1", port)
    except OSError:
        if lane.transport is not None:
            lane.transport.abort()
        return
    lane.other, upstream.other = upstream, lane
    lane._release()
    if lane.transport is None:
        upstream._end()


async def _serve(line: Line, port: int) -> None:
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    def accept() -> _Lane:
        lane = _Lane(line)
        lane.free_at = loop.time() + line.rtt_ms / 1000  # the handshake
        task = loop.create_task(_connect(lane, line, port))
        running.add(task)
        task.add_done_callback(running.discard)
        return lane

    server = await loop.create_server(accept, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with whoever started it: its standard input closes then.
    await loop.run_in_executor(None, os.read, 0, 1)
    server.close()
    os._exit(0)


class Relay:
    """A relay in its own process; a context manager that gives the port to use."""

    def __init__(self, line: Line, port: int) -> None:
        self.line = line
        self.target = port
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> int:
        """Return the relay's port, or the server's own when there is nothing to slow down."""
        if not self.line.rtt_ms and not self.line.mbit:
            return self.target
        options = ["--to", str(self.target), "--rtt", str(self.line.rtt_ms), "--mbit", str(self.line.mbit)]
        self.process = subprocess.Popen(
            [sys.executable, "-I", __file__, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.process.communicate()  # closes its standard input, at which it ends


def main() -> None:
    """Relay until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=int, required=True, metavar="PORT")
    parser.add_argument("--rtt", type=float, default=0.0, metavar="MS")
    parser.add_argument("--mbit", type=float, default=0.0, metavar="N")
    options = parser.parse_args()
    asyncio.run(_serve(Line(options.rtt, options.mbit), options.to))


if __name__ == "__main__":
    main()
