"""Guard process that ends sessions of processes when their command is gone.

Run as a script. A process in a session of its own gets neither a terminal's Ctrl-C nor its end, and outlives a
command that is killed. This process has such a session as well, and reads a pipe; the command and the fork server
hold the other end. A line ``+123`` names a session, ``-123`` one that has ended by itself; ``+8:21`` names the
device and the inode of a file that a session about to start will print to, ``-8:21`` one whose session has been
named, or was not started. At the pipe's end it kills what is left, with all that was started there.

It imports what costs least: it starts with each command that builds.
"""

import os
import signal
import sys

_ROUNDS = 100
"""Searches for processes of a session: one that is being killed may just have started another."""


def serve(lines: "object") -> None:
    """Note sessions until the pipe's end, then end those that are left."""
    left: set[bytes] = set()
    for line in lines:  # type: ignore[attr-defined]
        name = line[1:].strip()
        if line[:1] == b"+":
            left.add(name)
        else:
            left.discard(name)
    for name in left:
        if b":" not in name:
            end(int(name))
            continue
        device, _, inode = name.partition(b":")
        for session in _printing_to(int(device), int(inode)):
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
    for name in _processes():
        try:
            if os.getsid(int(name)) == session and not _is_over(name):
                found.append(int(name))
        except OSError:
            pass
    return found


def _printing_to(device: int, inode: int) -> list[int]:
    """Return sessions whose first process has this file for its standard output.

    The command's end of the pipe is closed in a new process only when that has its output and its session.
    """
    found = []
    for name in _processes():
        try:
            output = os.stat(f"/proc/{name}/fd/1")
            if (output.st_dev, output.st_ino) == (device, inode) and os.getsid(int(name)) == int(name):
                found.append(int(name))
        except OSError:
            pass
    return found


def _processes() -> list[str]:
    try:
        return [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _is_over(name: str) -> bool:
    with open(f"/proc/{name}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")


if __name__ == "__main__":
    for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # Whoever sends these also ends the command, and so the pipe.
        signal.signal(_number, signal.SIG_IGN)
    serve(sys.stdin.buffer)
