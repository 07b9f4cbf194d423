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

STARTED = b"+"
"""The server's first answer: it runs the command line, and the client must not."""

_STREAMS = (0, 1, 2)


def interpreter() -> tuple[Any, ...]:
    """Return what must be equal in two processes, besides variables, for one to do the other's work.

    :raises OSError: the current folder was removed; relative paths would mean something else.
    """
    return sys.version, sys.executable, sys.prefix, tuple(sys.flags), sorted(sys.warnoptions), os.getcwd()


def ask(folder: str) -> int | None:
    """Have the server in ``folder`` run this command line; return the exit code.

    Return None, with nothing begun, if there is no server or it cannot do this process's work. If the fork ends by
    a signal, this process ends by the same.

    :param folder: absolute path of the runner's folder.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.path.join(folder, SOCKET))
            request = marshal.dumps((interpreter(), dict(os.environb), sys.argv, _umask()))
            socket.send_fds(connection, [len(request).to_bytes(8, "big")], _STREAMS)
            connection.sendall(request)
            if connection.recv(1) != STARTED:
                return None
            # Ctrl-C reaches the whole process group: the fork decides how it ends.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return _ended(connection)
    except OSError:
        # The server has not begun: afterwards no OSError is raised.
        return None


def _ended(connection: socket.socket) -> int:
    try:
        answer = connection.recv(4)
    except OSError:
        answer = b""
    if len(answer) < 4:
        # The server was ended, and its forks.
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
