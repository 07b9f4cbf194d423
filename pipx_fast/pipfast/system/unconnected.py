"""Refusal of all connections, below a run that asks nobody."""

from __future__ import annotations

import errno
import socket
from typing import Any

_WORDS = "no connection is made (PIPFAST_OFFLINE=only)"


def refuse_connections() -> None:
    """Have every attempt to connect, and to look a name up, fail at once; sockets of this machine's own stay."""
    # Sockets of TLS call these, too. `getaddrinfo` is how every client of Python's comes by an address.
    for name in ("connect", "connect_ex"):
        setattr(socket.socket, name, _refusing(getattr(socket.socket, name), by_number=name == "connect_ex"))
    socket.getaddrinfo = _refused_name
    socket.gethostbyname = _refused_name


def _refusing(stock: Any, *, by_number: bool) -> Any:
    def connect(self: socket.socket, address: Any) -> Any:
        if self.family == getattr(socket, "AF_UNIX", None):
            return stock(self, address)
        if by_number:
            return errno.ENETUNREACH
        raise OSError(errno.ENETUNREACH, _WORDS)

    return connect


def _refused_name(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_FAIL, _WORDS)
