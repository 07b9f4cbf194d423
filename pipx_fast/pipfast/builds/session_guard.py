"""Guard process that ends sessions of processes when their command is gone.

Run as a script. A process in a session of its own gets neither a terminal's Ctrl-C nor its end, and outlives a
command that is killed. This process has such a session as well, and reads a pipe; the command and the fork server
hold the other end. A line ``+123`` names a session, ``-123`` one that has ended by itself. At the pipe's end it
kills what is left, with all that was started there.

It imports what costs least: it starts with each command that builds.
"""

import os
import signal
import sys

_ROUNDS = 100
"""Searches for processes of a session: one that is being killed may just have started another."""


def serve(lines: "object") -> None:
    """Note sessions until the pipe's end, then end those that are left."""
    left: set[int] = set()
    for line in lines:  # type: ignore[attr-defined]
        number = int(line[1:])
        if line[:1] == b"+":
            left.add(number)
        else:
            left.discard(number)
    for session in left:
        end(session)


def end(session: int) -> None:
    """Kill all processes of a session, whatever groups they are in."""
    for _ in range(_ROUNDS):
        found = _members(session)
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        if not found:
            break
    try:
        # For systems without /proc.
        os.killpg(session, signal.SIGKILL)
    except OSError:
        pass


def _members(session: int) -> list[int]:
    found = []
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if name.isdigit():
            try:
                if os.getsid(int(name)) == session and not _is_over(name):
                    found.append(int(name))
            except OSError:
                pass
    return found


def _is_over(name: str) -> bool:
    with open(f"/proc/{name}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")


if __name__ == "__main__":
    for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # Whoever sends these also ends the command, and so the pipe.
        signal.signal(_number, signal.SIG_IGN)
    serve(sys.stdin.buffer)
