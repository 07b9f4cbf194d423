"""Client of the fork server, which runs its command line.

It imports nothing of pip's, and takes a few milliseconds where pip takes half a second.
"""

from __future__ import annotations

import marshal
import os
import signal
import socket
import sys
from typing import Any

SOCKET = "socket"
"""The file in the runner's folder that the server listens at."""

STARTED = b"+"
"""The server has begun; nothing else may begin it once more."""

_STREAMS = (0, 1, 2)


def interpreter() -> tuple[Any, ...]:
    """Return what two processes must share for one to do the other's work, their variables aside.

    :raises OSError: there is no current folder any more; paths that are relative would mean something else.
    """
    return sys.version, sys.executable, sys.prefix, tuple(sys.flags), sorted(sys.warnoptions), os.getcwd()


def ask(folder: str) -> int | None:
    """Have the server in ``folder`` run this command line and return its exit code.

    Returns None, and nothing was begun, if there is no server or it may not stand in for this process. Does not
    return where the server's process ended by a signal: this one ends by the same.

    :param folder: absolute; the runner's.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.path.join(folder, SOCKET))
            request = marshal.dumps((interpreter(), dict(os.environb), sys.argv, _umask()))
            socket.send_fds(connection, [len(request).to_bytes(8, "big")], _STREAMS)
            connection.sendall(request)
            if connection.recv(1) != STARTED:
                return None
            # Ctrl-C reaches the whole process group: how that ends is the other one's to say.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return _ended(_waited(connection))
    except OSError:
        # Before it has begun: afterwards nothing of this kind is raised.
        return None


def _waited(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4)
    except OSError:
        return b""


def _ended(answer: bytes) -> int:
    if len(answer) < 4:
        # The server was ended, and its processes with it.
        return 1
    status = int.from_bytes(answer, "big", signed=True)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
