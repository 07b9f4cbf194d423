"""Refusal of all connections."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest

from pipfast.system.unconnected import refuse_connections

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for holder, names in ((socket.socket, ("connect", "connect_ex")), (socket, ("getaddrinfo", "gethostbyname"))):
        for name in names:
            # Put back after the test.
            monkeypatch.setattr(holder, name, getattr(holder, name))
    refuse_connections()


def test_nothing_connects_and_no_name_is_looked_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        with pytest.raises(OSError, match="PIPFAST_OFFLINE=only") as caught:
            client.connect(server.getsockname())
        assert caught.value.errno == errno.ENETUNREACH == client.connect_ex(server.getsockname())
    for look in (lambda: socket.getaddrinfo("127.0.0.1", 80), lambda: socket.gethostbyname("localhost"),
                 lambda: socket.create_connection(("localhost", 80))):
        with pytest.raises(socket.gaierror, match="PIPFAST_OFFLINE=only"):
            look()


def test_sockets_of_this_machine_stay(tmp_path: Path) -> None:
    path = os.fspath(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)
