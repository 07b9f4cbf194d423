"""Fork server of the pips that fill build environments.

Half of the time of such a pip goes into its start. This process has started, and forks for each. pip starts the
client (``fork_client``) and waits for it; the client goes on alone where there is no server, or where that runs
with another interpreter, variables or folder. Linux only: elsewhere system libraries do not survive a fork.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import marshal
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipfast.builds import session_guard
from pipfast_hooks.builds import guard as builds_guard
from pipfast_hooks.builds.environments.fork_client import SOCKET, STARTED, interpreter
from pipfast_hooks.run import hand_down

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENT = "--fork-server"
"""Argument with which the runner becomes the server; the server's descriptors follow."""

_IMPORTED = (
    "encodings.ascii", "encodings.cp437", "netrc", "ctypes", "pipfast.launch", "pipfast.rescue.installed",
    "pipfast.install.linker", "pipfast.prepare.preparer", "pipfast.prepare.worker", "pipfast.prepare.workers",
    "pipfast.store.condition", "pipfast_hooks.attach", "pipfast_hooks.startup.configuration",
)
"""Modules that such a pip has imported when it ends, besides pip's own and those of our seams."""

_OWN = ("PIP_", "_PIP_", "PIPFAST_")
"""Variables that may differ from the server's, as TMPDIR may: they are read when needed, not at import."""

_RECEIVE_S = 5.0
"""Seconds for a request to arrive after its first byte."""


@dataclass(frozen=True, slots=True)
class RunnerFile:
    """The server's runner, for the runs of its forks."""

    path: str


@dataclass(frozen=True, slots=True)
class _Request:
    environ: dict[bytes, bytes]
    argv: list[str]
    umask: int
    streams: list[int]


@dataclass(slots=True)
class _Child:
    pid: int
    pidfd: int
    connection: socket.socket
    has_session: bool
    """The client is in another session than the server, and the process has one of its own."""

    def kill(self) -> None:
        """Kill the process, and all that it has started in a session of its own."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        if self.has_session:
            session_guard.end(self.pid)


class Server:
    """The command's side of the server."""

    def __init__(self, runner: str, guard: int | None = None) -> None:
        """Start the server.

        :param runner: path of the runner, in a folder of its own.
        :param guard: descriptor of the guard's pipe; without it, no client in another session is served.
        :raises OSError: it cannot be started.
        """
        path = os.path.join(os.path.dirname(runner), SOCKET)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen(64)
            ours, self._lifeline = os.pipe()
            try:
                passed = [listening.fileno(), ours, *([] if guard is None else [guard])]
                self._process = subprocess.Popen(
                    [sys.executable, runner, ARGUMENT, *map(str, passed)], pass_fds=passed,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    # As pip starts its processes. By default, variables that a library has set would be there,
                    # too: readline sets LINES, and `os.environ` does not have it.
                    env=dict(os.environ),
                )
            except BaseException:
                os.close(self._lifeline)
                raise
            finally:
                os.close(ours)

    def close(self) -> None:
        """End the server and all its forks."""
        os.close(self._lifeline)
        # It may be importing, and reads nothing.
        self._process.terminate()
        self._process.wait()


def is_possible() -> bool:
    """Tell whether system and interpreter can have a fork server."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


def serve(listening: int, lifeline: int, guard: int | None = None) -> None:
    """Fork for each request; return in the forked processes only, each of which then runs its command line.

    When the other end of ``lifeline`` is closed, the server ends, and all its forks.
    """
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop = _Loop(socket.socket(fileno=listening), lifeline, guard)
    _prepare()
    ending = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda *_: loop.end()) for number in ending]
    request = loop.run()
    for number, handler in zip(ending, before, strict=True):
        signal.signal(number, handler)
    signal.signal(signal.SIGINT, interrupted)
    _become(request)


def _prepare() -> None:
    import pip
    from pip._vendor import distro

    from pipfast_hooks.seams import IMPORTED_TO_INSTALL, seams_of
    from pipfast_hooks.startup import agent

    asked = agent.start()
    wrappers = {f"pipfast_hooks.{each.wrapper.partition(':')[0]}" for each in seams_of(pip.__version__)}
    for name in (*IMPORTED_TO_INSTALL, *_IMPORTED, *sorted(wrappers)):
        # A fork that needs the module meets the error again.
        with contextlib.suppress(Exception):
            importlib.import_module(name)

    # distro keeps the answers; pip asks for them in every session.
    distro.name(), distro.version(), distro.codename()
    agent.hand_down_answers(asked)
    # The garbage collector of a fork does not touch, and so not copy, what was imported here.
    gc.freeze()


class _Loop:
    """Forks for each request, sends the client the exit code, and kills forks that no client waits for."""

    def __init__(self, listening: socket.socket, lifeline: int, guard: int | None = None) -> None:
        self._listening, self._lifeline, self._guard = listening, lifeline, guard
        self._interpreter = interpreter()
        self._environ = _essential(dict(os.environb))
        self._selector = selectors.DefaultSelector()
        self._children: list[_Child] = []

    def run(self) -> _Request:
        """Serve; return a request in the process that was forked for it."""
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(self._lifeline, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj == self._lifeline:
                    self.end()
                if key.fileobj is self._listening:
                    request = self._accept()
                    if request is not None:
                        return request
                elif key.data is not None and key.data in self._children:
                    self._over(key.data)

    def _accept(self) -> _Request | None:
        connection, _ = self._listening.accept()
        try:
            connection.settimeout(_RECEIVE_S)
            request = self._receive(connection)
        except (OSError, EOFError, ValueError, TypeError):
            request = None
        if request is None:
            # Closed without an answer: the client goes on alone.
            connection.close()
            return None
        pipe: tuple[int, ...] = ()
        try:
            pipe = os.pipe()
            if self._fork(connection, *pipe):
                return request
        except OSError:
            # No process or descriptor to be had: the client goes on alone, and a fork does nothing.
            connection.close()
        _close([*pipe, *request.streams])
        return None

    def _fork(self, connection: socket.socket, waiting: int, go: int) -> bool:
        """Fork, and tell the client; return True in the forked process, once it may begin."""
        # struct ucred: process, user, group.
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        has_session = os.getsid(struct.unpack("3i", peer)[0]) != os.getsid(0)
        if has_session and self._guard is None:
            raise OSError("nobody would end what is started in a session of its own")
        pid = os.fork()
        if pid == 0:
            if has_session:
                os.setsid()
            os.close(go)
            self._forget(connection)
            if os.read(waiting, 1) != STARTED:
                os._exit(1)
            os.close(waiting)
            return True
        child = _Child(pid, -1, connection, has_session)
        try:
            if self._guard is not None and has_session:
                builds_guard.tell(self._guard, b"+%d" % pid)
            child.pidfd = os.pidfd_open(pid)
            self._selector.register(child.pidfd, selectors.EVENT_READ, child)
            self._selector.register(connection, selectors.EVENT_READ, child)
            connection.sendall(STARTED)
            os.write(go, STARTED)
        except OSError:
            # It has done nothing yet, and may not have its session.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            for each in (child.pidfd, connection):
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(each)
            if child.pidfd >= 0:
                os.close(child.pidfd)
            raise
        self._children.append(child)
        return False

    def _receive(self, connection: socket.socket) -> _Request | None:
        header, streams, _, _ = socket.recv_fds(connection, 8, 3)
        try:
            length = int.from_bytes(header, "big")
            received = bytearray()
            while len(received) < length:
                part = connection.recv(length - len(received))
                if not part:
                    raise EOFError
                received += part
            theirs, environ, argv, umask = marshal.loads(received)
            if len(streams) == 3 and theirs == self._interpreter and _essential(environ) == self._environ:
                return _Request(environ, argv, umask, streams)
        except BaseException:
            _close(streams)
            raise
        _close(streams)
        return None

    def _over(self, child: _Child) -> None:
        """Reap a process that has ended; kill one whose client is gone."""
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid == 0:
            child.kill()
            _, status = os.waitpid(child.pid, 0)
        if self._guard is not None and child.has_session:
            with contextlib.suppress(OSError):
                builds_guard.tell(self._guard, b"-%d" % child.pid)
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(OSError):
            child.connection.sendall(code.to_bytes(4, "big", signed=True))
        self._selector.unregister(child.pidfd)
        self._selector.unregister(child.connection)
        os.close(child.pidfd)
        child.connection.close()
        self._children.remove(child)

    def end(self) -> None:
        """End this process and all its forks."""
        for child in self._children:
            with contextlib.suppress(OSError):
                child.kill()
        for child in self._children:
            with contextlib.suppress(OSError):
                os.waitpid(child.pid, 0)
        os._exit(0)

    def _forget(self, connection: socket.socket) -> None:
        self._selector.close()
        self._listening.close()
        os.close(self._lifeline)
        if self._guard is not None:
            os.close(self._guard)
        connection.close()
        for child in self._children:
            os.close(child.pidfd)
            child.connection.close()


def _essential(environ: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    own = tuple(os.fsencode(each) for each in _OWN)
    return {name: value for name, value in environ.items() if not name.startswith(own) and name != b"TMPDIR"}


def _become(request: _Request) -> None:
    os.umask(request.umask)
    for theirs, here in zip(request.streams, range(3), strict=True):
        os.dup2(theirs, here)
    _close([each for each in request.streams if each > 2])
    os.environb.clear()
    os.environb.update(request.environ)
    sys.argv[:] = request.argv
    # tempfile has read TMPDIR once and kept the folder.
    tempfile.tempdir = None
    hand_down(RunnerFile(sys.argv[0]))


def _close(streams: list[Any]) -> None:
    for each in streams:
        os.close(each)
