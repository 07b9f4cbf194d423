"""The servers that a run asks, and the thread that watches them."""

from __future__ import annotations

import contextlib
import functools
import time
import weakref
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipfast.fetch.servers import Server
from pipfast.fetch.turns import LeftToPip
from pipfast.system import threads
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    import threading


LOOK_S = 0.05
"""Seconds between two looks at what is under way."""


class Servers(Part):
    """Knows servers by connection pool and by address; watches them while anything early is under way."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._known: dict[tuple[Any, ...], tuple[Server, weakref.WeakSet[Any]]] = {}
        """Each server and its pools, by scheme, host and port; by those of the proxy where there is one."""
        self._change = threads.Condition()
        self._thread: threading.Thread | None = None
        self._wanted = 0.0
        """When there may be nothing left to look at."""
        self._over = False

    def of_pool(self, pool: Any) -> Server:
        """Return the server of a connection pool."""
        proxy = getattr(pool, "proxy", None)
        key = (pool.scheme, pool.host, pool.port) if proxy is None else ("proxy", proxy.host, proxy.port)
        with self._change:
            if key not in self._known:
                pools: weakref.WeakSet[Any] = weakref.WeakSet()
                self._known[key] = Server(close_idle=functools.partial(_close_idle, pools)), pools
            server, pools = self._known[key]
            # Requests with other options go through another pool.
            pools.add(pool)
            return server

    def at(self, url: str) -> Server | None:
        """Return the server of an address, if anything was asked of it in this run."""
        try:
            parts = urlsplit(url)
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        except ValueError:
            # e.g. a port of six digits: pip has words for it.
            return None
        found = self._known.get((parts.scheme, parts.hostname, port))
        if found is None:
            found = next((known for key, known in self._known.items() if key[0] == "proxy"), None)
        return found[0] if found is not None else None

    def watch(self) -> None:
        """Look at the servers from now on. Raises LeftToPip: there is no thread to be had."""
        with self._change:
            self._wanted = time.monotonic() + 1
            if self._thread is None:
                self._over = False
                self._thread = threads.start(self._look, "pipfast-watch")
                if self._thread is None:
                    raise LeftToPip("a request")

    def stop(self) -> None:
        """End all early requests."""
        for server in self._all():
            server.close()

    def close(self, wait_s: float) -> None:
        """End the watching thread and forget the servers: nothing asks them any more."""
        self.stop()
        with self._change:
            self._over = True
            self._change.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(wait_s)
        self._known.clear()

    def _all(self) -> list[Server]:
        return [server for server, _ in list(self._known.values())]

    def _look(self) -> None:
        while True:
            with self._change:
                self._change.wait(LOOK_S)
                if self._over:
                    return
                if time.monotonic() > self._wanted and not any(server.is_busy for server in self._all()):
                    self._thread = None
                    return
            now = time.monotonic()
            for server in self._all():
                with guarded("a server is not looked at"):
                    server.look(now)


def _close_idle(pools: weakref.WeakSet[Any]) -> None:
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
