"""Connection pools that hold early requests back and watch all."""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
from typing import TYPE_CHECKING, Any

from pip._vendor.urllib3.util.connection import is_connection_dropped
from pip._vendor.urllib3.util.retry import Retry

from pipfast.fetch.turns import Turn
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipfast_hooks.network.servers import Servers

ROOM = 16
"""Connections to one host that a pool keeps besides pip's ten, without a warning: two for each thread."""

_LAST_DATA = struct.Struct("=52xI")
"""``tcpi_last_data_recv``, milliseconds, in Linux's ``struct tcp_info``."""


class _Tracked:
    """A connection pool that asks its server for room, and tells it of each answer."""

    def __init__(self: Any, servers: Servers, *args: Any, **kwargs: Any) -> None:
        self._servers = servers
        super().__init__(*args, **kwargs)
        _make_room(self)

    def urlopen(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Send an early request once its turn has come, and once only."""
        turn = here.turn
        if turn is not None:
            here.retries, kwargs["retries"] = kwargs.get("retries"), Retry(0, read=False)
            if turn.server is not None:
                # A redirection of the same request, which pip may be waiting for: where it leads to a server that
                # nobody has heard yet, nobody else is going to ask that one first.
                turn = here.turn = Turn(early=True, url=turn.url, ranged=turn.ranged, first=True)
            self._servers.watch()
            server = self._servers.of_pool(self)
            server.enter(turn)
            try:
                return super().urlopen(*args, **kwargs)  # type: ignore[misc]
            except BaseException:
                (server.failed if turn.answered is None else server.ended)(turn)
                raise
        return super().urlopen(*args, **kwargs)  # type: ignore[misc]

    def _make_request(self: Any, conn: Any, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        turn = here.turn
        server = self._servers.of_pool(self)
        if turn is None:
            turn = Turn(early=False, target=str(url))
            server.enter(turn)
        turn.target = str(url)
        _of_connection(turn, conn)
        try:
            response = super()._make_request(conn, method, url, *args, **kwargs)  # type: ignore[misc]
        except BaseException:
            server.failed(turn)
            here.had_company |= turn.company
            raise
        original = getattr(response, "_original_response", None) or response
        if getattr(original, "will_close", True):
            # The connection has closed its socket by now.
            turn.is_open = lambda: False
        else:
            turn.is_over = lambda: conn.sock is None
        asks, rest_s = False, 0.0
        with contextlib.suppress(Exception):
            asks = response.headers.get("Retry-After") is not None
            # How long pip would have waited after such an answer before it asked again.
            if asks and turn.early and here.retries.is_retry(method, response.status, True):
                rest_s = float(here.retries.get_retry_after(response) or 0.0)
        server.answered(turn, response.status, asks_for_rest=asks, rest_s=rest_s)
        here.had_company |= turn.company
        conn._pipfast_turn = turn
        return response

    def _put_conn(self: Any, conn: Any) -> None:
        turn = vars(conn).pop("_pipfast_turn", None) if conn is not None else None
        if turn is not None:
            if turn.dead or (turn.early and turn.server.left):
                conn.close()
            turn.server.ended(turn)
        super()._put_conn(conn)  # type: ignore[misc]


def track(adapter: Any, servers: Servers) -> None:
    """Have an adapter of ``requests`` send everything through pools that are watched, whatever proxy it takes."""
    _track_pools(adapter.poolmanager, servers)
    for manager in adapter.proxy_manager.values():
        _track_pools(manager, servers)
    adapter.proxy_manager_for = _for_proxies(adapter.proxy_manager_for, servers)


def _for_proxies(made: Callable[..., Any], servers: Servers) -> Callable[..., Any]:
    def proxy_manager_for(*args: Any, **kwargs: Any) -> Any:
        manager = made(*args, **kwargs)
        _track_pools(manager, servers)
        return manager

    return proxy_manager_for


def _track_pools(manager: Any, servers: Servers) -> None:
    if getattr(manager, "_pipfast_servers", None) is servers:
        return
    manager._pipfast_servers = servers
    # The pools of a SOCKS proxy have classes of their own, which make other connections.
    stock = {scheme: getattr(kind, "func", kind) for scheme, kind in manager.pool_classes_by_scheme.items()}
    # pip's messages name the class.
    tracked = {
        scheme: kind if issubclass(kind, _Tracked) else type(kind.__name__, (_Tracked, kind), {})
        for scheme, kind in stock.items()
    }
    manager.pool_classes_by_scheme = {
        scheme: functools.partial(pool, servers) for scheme, pool in tracked.items()
    }
    with manager.pools.lock:
        pools = list(manager.pools._container.values())
    for pool in pools:
        if type(pool) is stock.get(pool.scheme):
            # Its open connections stay open.
            pool.__class__ = tracked[pool.scheme]
            pool._servers = servers
            # pip has had answers from it, and its next request may come before the first early one.
            servers.of_pool(pool).heard |= pool.num_requests > 0
            _make_room(pool)


def _make_room(pool: Any) -> None:
    # A queue's size is looked at when something is put into it.
    with contextlib.suppress(AttributeError):
        pool.pool.maxsize += ROOM


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
        # It is still connecting, which has a time-out of its own.
        return 0.0
    try:
        import select

        if select.select([sock], [], [], 0)[0]:
            return 0.0
        (milliseconds,) = _LAST_DATA.unpack(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA.size))
        return float(milliseconds) / 1000
    except (OSError, ValueError, AttributeError, struct.error):
        return 0.0
