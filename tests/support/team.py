"""Team's stores of tests: their settings, their objects, and servers that behave badly."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.remote.built import TeamWheel
from pipfast.remote.prepared import PreparedRemote
from pipfast.rescue.wheels import Visible
from pipfast.settings import Secret, Settings
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast.settings import Offline
    from pipfast.store.layout import Layout

KEY = "the key of a team in tests"
PLACE = "ab" * 32
MAKER = Visible("maker", "1.0", archive="11" * 32, record="22" * 32, needed=False)


def settings_for(
    address: str, key: str | None = KEY, *, writes: bool = True, timeout: int = 1,
    archives: bool = False, offline: Offline = "off",
) -> Settings:
    """Return the settings of a member of the team."""
    return Settings(
        remote=address, remote_key=Secret(key) if key is not None else None, remote_write=writes,
        remote_timeout=timeout, remote_archives=archives, offline=offline,
    )


@contextmanager
def member(
    address: str, layout: Layout, key: str | None = KEY, *, writes: bool = True, archives: bool = False,
    timeout: int = 1, offline: Offline = "off",
) -> Iterator[PreparedRemote]:
    """Yield the team's store as one command sees it."""
    remote = PreparedRemote(settings_for(
        address, key, writes=writes, archives=archives, timeout=timeout, offline=offline
    ), layout)
    try:
        yield remote
    finally:
        remote.close()


def wheel_file(folder: Path, name: str = "plain", code: str = "") -> Path:
    """Write a wheel and return its path."""
    folder.mkdir(exist_ok=True)
    archive = Wheel(name, "1.0", files={f"{name}.py": code}).build()
    path = folder / archive.filename
    path.write_bytes(archive.data)
    return path


def team_wheel(*visible: Visible, name: str = "plain") -> TeamWheel:
    """Return the facts of a wheel that was built beside these."""
    return TeamWheel(
        f"{name}-1.0-py3-none-any.whl", name, "1.0", "33" * 32, f"sha256:{'44' * 32}", 1.7e9, True,
        visible or (MAKER,), {"maker": ">=1"}, ("maker>=1",), made={"host": "ci-7"},
    )


_MEMBER = """
import sys
from dataclasses import replace
from pathlib import Path
from pipfast.store.layout import open_layout
from support.team import MAKER, PLACE, member, team_wheel, wheel_file
address, root, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
layout = open_layout(root / f"store{number}")
for version in ("1.0", "2.0"):
    wheel = team_wheel(replace(MAKER, version=version))
    path = wheel_file(root / f"built{number}-{version}", code=f"{number}, {version!r}")
    with member(address, layout, timeout=60) as remote:
        made = remote.keep(PLACE, wheel, path)
        found = [(name, head, each) for name, head, each in remote.wheels(PLACE) if each.is_as(wheel)]
        assert len(found) == 1, found
        archive = remote.fetch(*found[0][:2], found[0][2].filename)
        assert archive is not None
        print(int(made), archive.digest)
"""


def all_put_and_take_the_same(address: str, root: Path, count: int = 16) -> None:
    """Have processes put two wheels each into one place: one of them puts each, and all get that one, whole."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environ = {**os.environ, "PYTHONPATH": path}
    started = [
        subprocess.Popen([sys.executable, "-c", _MEMBER, address, str(root), str(number)], text=True, env=environ,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(count)
    ]
    ended = [process.communicate() for process in started]
    errors = [err for _, err in ended if err]
    assert not errors, errors
    rows = [[line.split() for line in out.splitlines()] for out, _ in ended]
    for wheel in (0, 1):
        assert sum(int(row[wheel][0]) for row in rows) == 1
        assert len({row[wheel][1] for row in rows}) == 1


class Silent(BaseHTTPRequestHandler):
    """Handler that logs nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def answer(self, status: int, body: bytes = b"", length: int | None = None) -> None:
        """Send an answer that says it is so long."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Last-Modified", "Sun, 02 Feb 2020 02:02:02 GMT")
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone: the tests read what is said."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve with a handler on loopback, and yield the address."""
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/team"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
