"""Early requests through pip's own session and connections, and pip's own beside them, as each server bears it.

All of a session's requests go through connection pools of urllib3: that is where each one is held until its server
has room for it (``pipfast.fetch.servers``), and watched while it is under way.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from pip._vendor.urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from pip._vendor.urllib3.util.connection import is_connection_dropped
from pip._vendor.urllib3.util.retry import Retry

from pipfast.fetch.servers import Server
from pipfast.fetch.turns import LeftToPip, Turn
from pipfast.report import logger
from pipfast.system import threads
from pipfast_hooks.network import buffers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from urllib.parse import SplitResult

LOOK_S = 0.05
"""Seconds between two looks at what is under way."""

_LAST_DATA = struct.Struct("=52xI")
"""``tcpi_last_data_recv``, milliseconds, in Linux's ``struct tcp_info``."""

_thread = threading.local()
"""``turn``: the early request that this thread is about to send. ``retries``: how pip would send it again.
``company``: whether a request of pip's own in this thread had any since it was last set."""

_servers: dict[tuple[Any, ...], Server] = {}
"""By scheme, host and port; by those of the proxy where there is one."""

_attached: weakref.WeakSet[Any] = weakref.WeakSet()
_lock = threading.Lock()


ROOM = 16
"""Connections to one host that a pool keeps besides pip's ten, and says nothing of: two times eight threads'."""


class _Tracked:
    """What a connection pool does besides, for early requests and for pip's own beside them."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _make_room(self)

    def urlopen(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Send an early request once its turn has come, and once only."""
        turn = getattr(_thread, "turn", None)
        if turn is not None:
            _thread.retries, kwargs["retries"] = kwargs.get("retries"), Retry(0, read=False)
            if turn.server is not None:
                # Another hop of the same one.
                turn = _thread.turn = Turn(early=True, url=turn.url, ranged=turn.ranged, first=turn.first)
            _watch.begin()
            server = _server_of(self)
            server.enter(turn)
            try:
                return super().urlopen(*args, **kwargs)  # type: ignore[misc]
            except BaseException:
                (server.failed if turn.answered is None else server.ended)(turn)
                raise
        return super().urlopen(*args, **kwargs)  # type: ignore[misc]

    def _make_request(self: Any, conn: Any, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        turn: Turn | None = getattr(_thread, "turn", None)
        server = _server_of(self)
        if turn is None:
            turn = Turn(early=False, target=str(url))
            server.enter(turn)
        turn.target = str(url)
        _of_connection(turn, conn)
        try:
            response = super()._make_request(conn, method, url, *args, **kwargs)  # type: ignore[misc]
        except BaseException:
            server.failed(turn)
            _thread.company = getattr(_thread, "company", False) or turn.company
            raise
        original = getattr(response, "_original_response", None) or response
        if getattr(original, "will_close", True):
            # The connection has given its socket up by now.
            turn.is_open = lambda: False
        else:
            turn.is_over = lambda: conn.sock is None
        asks = _value(getattr(response, "headers", None) or {}, "Retry-After") is not None
        rest_s = _rest_s(method, response) if asks and turn.early else 0.0
        server.answered(turn, response.status, asks_for_rest=asks, rest_s=rest_s)
        _thread.company = getattr(_thread, "company", False) or turn.company
        conn._pipfast_turn = turn
        return response

    def _put_conn(self: Any, conn: Any) -> None:
        turn = vars(conn).pop("_pipfast_turn", None) if conn is not None else None
        if turn is not None:
            if turn.dead or (turn.early and turn.server.left):
                conn.close()
            turn.server.ended(turn)
        super()._put_conn(conn)  # type: ignore[misc]


class _HTTPPool(_Tracked, HTTPConnectionPool):  # type: ignore[misc]
    pass


class _HTTPSPool(_Tracked, HTTPSConnectionPool):  # type: ignore[misc]
    pass


# pip's messages name them.
_HTTPPool.__name__, _HTTPSPool.__name__ = HTTPConnectionPool.__name__, HTTPSConnectionPool.__name__

_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


def attach(session: Any) -> None:
    """Have a session's requests go through pools that are watched."""
    with _lock:
        if session in _attached:
            return
        _attached.add(session)
    # It needs this module.
    from pipfast_hooks.network.cached import guard

    with contextlib.suppress(AttributeError):
        guard(session)
    with contextlib.suppress(Exception):
        buffers.begin()
    for adapter in session.adapters.values():
        with contextlib.suppress(AttributeError):
            _attach_to_manager(adapter.poolmanager)
            for manager in adapter.proxy_manager.values():
                _attach_to_manager(manager)
            adapter.proxy_manager_for = _for_proxies(adapter.proxy_manager_for)


def _for_proxies(made: Callable[..., Any]) -> Callable[..., Any]:
    def proxy_manager_for(*args: Any, **kwargs: Any) -> Any:
        manager = made(*args, **kwargs)
        if manager.pool_classes_by_scheme is not _POOLS:
            _attach_to_manager(manager)
        return manager

    return proxy_manager_for


def _attach_to_manager(manager: Any) -> None:
    manager.pool_classes_by_scheme = _POOLS
    with manager.pools.lock:
        pools = list(manager.pools._container.values())
    for pool in pools:
        tracked = _POOLS.get(pool.scheme)
        if tracked is not None and type(pool) in (HTTPConnectionPool, HTTPSConnectionPool):
            # What it has open stays open.
            pool.__class__ = tracked
            _make_room(pool)


def _make_room(pool: Any) -> None:
    # A queue's size is looked at when something is put into it.
    with contextlib.suppress(AttributeError):
        pool.pool.maxsize += ROOM


def get(session: Any, url: str, headers: Mapping[str, str], turn: Turn, *, stream: bool = False) -> Any:
    """Send an early request once its server has room for it; nobody is asked for a password.

    :raises LeftToPip: it is not to be sent.
    """
    if session not in _attached:
        attach(session)
    turn.early, turn.url = True, url
    _thread.turn = turn
    try:
        response = session.get(url, headers=dict(headers), stream=stream, auth=Known(session.auth))
        response.turn = _thread.turn
        return response
    finally:
        _thread.turn = None


def turn_of(response: Any) -> Turn | None:
    """Return the request that a response answers, if it was an early one that a server has answered."""
    turn = getattr(response, "turn", None)
    return turn if turn is not None and turn.server is not None else None


def is_answer(response: Any) -> bool:
    """Tell whether pip would have got this response, too."""
    turn = turn_of(response)
    return turn is None or turn.server is None or turn.server.is_answer(turn)


class Known:
    """The credentials that pip's authentication knows without asking; what refuses them is left to pip."""

    def __init__(self, auth: Any) -> None:
        self._auth = auth

    def __call__(self, request: Any) -> Any:
        """Add them to a request."""
        if self._auth is None:
            return request
        request = self._auth(request)
        # Its hook would send a refused request again, with whatever it has.
        ask = getattr(self._auth, "handle_401", None)
        request.hooks["response"] = [hook for hook in request.hooks["response"] if hook != ask]
        return request


def as_pips_first(session: Any, response: Any, *, stream: bool) -> Any:
    """Let pip's authentication see to a refusal, in pip's own thread, as if pip had got it."""
    ask = getattr(session.auth, "handle_401", None)
    if ask is None:
        return response
    url = response.url
    response.connection = session.get_adapter(url)
    proxies = dict(getattr(session, "proxies", None) or {})
    options = session.merge_environment_settings(url, proxies, stream, None, None)
    options["timeout"] = getattr(session, "timeout", None)
    answer = ask(response, **options)
    if answer is not response:
        for each in answer.request.hooks["response"]:
            answer = each(answer, **options) or answer
        if not stream:
            _ = answer.content
    return answer


def over(response: Any, *, broken: bool = False) -> None:
    """Note that nothing more is read of a response."""
    turn = turn_of(response)
    if turn is not None and turn.server is not None:
        (turn.server.broke if broken else turn.server.ended)(turn)


@contextlib.contextmanager
def reading(response: Any) -> Iterator[None]:
    """End the request when its response has been read."""
    broken = True
    try:
        yield
        broken = False
    finally:
        over(response, broken=broken)


@contextlib.contextmanager
def noting_company() -> Iterator[Callable[[], bool]]:
    """Give what tells whether pip's own requests of this thread have had early ones beside them."""
    _thread.company = False
    yield lambda: bool(_thread.company)


def server_at(url: str) -> Server | None:
    """Return the server of an address, if anything was asked of it in this run."""
    from urllib.parse import urlsplit

    parts: SplitResult = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    found = _servers.get((parts.scheme, parts.hostname, port))
    if found is None:
        found = next((server for key, server in _servers.items() if key[0] == "proxy"), None)
    return found


def close() -> None:
    """End all that is early."""
    for server in list(_servers.values()):
        server.close()


def forget() -> None:
    """Forget what is known of servers; nothing asks them any more."""
    close()
    _watch.end()
    _servers.clear()


def _server_of(pool: Any) -> Server:
    proxy = getattr(pool, "proxy", None)
    key = (pool.scheme, pool.host, pool.port) if proxy is None else ("proxy", proxy.host, proxy.port)
    with _lock:
        server = _servers.get(key)
        if server is None:
            pools: weakref.WeakSet[Any] = weakref.WeakSet()
            server = _servers[key] = Server(close_idle=functools.partial(_close_idle, pools))
        # Differing options make differing pools.
        server.close_idle.args[0].add(pool)  # type: ignore[attr-defined]
        return server


def _close_idle(pools: weakref.WeakSet[Any]) -> None:
    """Close the connections that nobody uses; their pools open them again when they need them."""
    for pool in list(pools):
        idle = []
        with contextlib.suppress(Exception):
            while True:
                idle.append(pool.pool.get_nowait())
        for conn in reversed(idle):
            if conn is not None:
                conn.close()
            with contextlib.suppress(Exception):
                pool.pool.put_nowait(conn)


def _of_connection(turn: Turn, conn: Any) -> None:
    def kill() -> None:
        # Closing alone does not wake a thread that waits in recv().
        conn.sock.shutdown(socket.SHUT_RDWR)

    def silence() -> float:
        return _silence(conn.sock)

    def is_open() -> bool:
        return conn.sock is not None and not is_connection_dropped(conn)

    turn.kill, turn.silence, turn.is_open = kill, silence, is_open
    turn_before = vars(conn).pop("_pipfast_turn", None)
    if turn_before is not None:
        turn_before.server.ended(turn_before)


def _silence(sock: Any) -> float:
    """Return the seconds since anything came over a connection that has nothing to be read."""
    if sock is None:
        # It is not there yet: that has a time-out of its own.
        return 0.0
    try:
        import select

        if select.select([sock], [], [], 0)[0]:
            return 0.0
        (milliseconds,) = _LAST_DATA.unpack(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA.size))
        return float(milliseconds) / 1000
    except (OSError, ValueError, AttributeError, struct.error):
        return 0.0


def _value(headers: Any, name: str) -> Any:
    try:
        return headers.get(name)
    except Exception:
        return None


def _rest_s(method: str, response: Any) -> float:
    """Return how long pip would have waited after such an answer before it asked again; 0 if it would not."""
    with contextlib.suppress(Exception):
        retries = _thread.retries
        if retries.is_retry(method, response.status, True):
            return float(retries.get_retry_after(response) or 0.0)
    return 0.0


class _Watch:
    """One thread that looks at the servers while anything early is under way."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wanted = 0.0
        self._over = False

    def begin(self) -> None:
        """Look from now on.

        :raises LeftToPip: there is no thread to be had.
        """
        with self._change:
            self._wanted = time.monotonic() + 1
            if self._thread is None:
                self._over = False
                self._thread = threads.start(self._run, "pipfast-watch")
                if self._thread is None:
                    raise LeftToPip("a request")

    def end(self) -> None:
        """Look no more."""
        with self._change:
            self._over = True
            self._change.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(1.0)

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait(LOOK_S)
                if self._over:
                    return
                if time.monotonic() > self._wanted and not any(s.is_busy for s in list(_servers.values())):
                    self._thread = None
                    return
            now = time.monotonic()
            for server in list(_servers.values()):
                try:
                    server.look(now)
                except Exception:
                    logger.debug("pipfast: a server is not looked at", exc_info=True)


_watch = _Watch()
