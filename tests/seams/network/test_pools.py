"""Connection pools that make connections of their own, as those of a SOCKS proxy do, when they are watched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pip._vendor.urllib3 import PoolManager
from pip._vendor.urllib3.connection import HTTPConnection
from pip._vendor.urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from pipfast.settings import Settings
from pipfast_hooks.network.pools import track
from pipfast_hooks.network.servers import Servers
from pipfast_hooks.run import Run


class Connection(HTTPConnection):  # type: ignore[misc]
    """Takes an argument that others do not, as ``SOCKSConnection`` does."""

    def __init__(self, *args: Any, _options: str, **kwargs: Any) -> None:
        self.options = _options
        super().__init__(*args, **kwargs)


class Pool(HTTPConnectionPool):  # type: ignore[misc]
    """Makes such connections."""

    ConnectionCls = Connection


def _manager() -> Any:
    manager = PoolManager()
    manager.pool_classes_by_scheme = {"http": Pool, "https": HTTPSConnectionPool}
    return manager


def _pool(manager: Any, host: str) -> Any:
    return manager.pool_classes_by_scheme["http"](host, 80, _options="by way of a proxy")


def test_a_pool_that_connects_in_its_own_way_goes_on_doing_so() -> None:
    manager = _manager()
    before = manager.pools["before"] = _pool(manager, "before.example")
    adapter = SimpleNamespace(poolmanager=PoolManager(), proxy_manager={}, proxy_manager_for=lambda: manager)
    first, second = Run(Settings(), 0o022), Run(Settings(), 0o022)
    for run in (first, second):
        servers = run.part(Servers)
        track(adapter, servers)
        assert adapter.proxy_manager_for() is manager
        for pool in (before, _pool(manager, "after.example")):
            assert isinstance(pool, Pool) and type(pool).__name__ == "Pool"
            assert pool._new_conn().options == "by way of a proxy"
            assert servers.of_pool(pool) is servers.at(f"http://{pool.host}/")


def test_a_server_that_pip_has_asked_before_is_known_at_once() -> None:
    """Else a request of pip's that comes before the first early one would not be asked again alone."""
    manager = PoolManager()
    asked, new = manager.connection_from_url("http://asked.example"), manager.connection_from_url("http://new.example")
    asked.num_requests = 1
    servers = Run(Settings(), 0o022).part(Servers)
    track(SimpleNamespace(poolmanager=manager, proxy_manager={}, proxy_manager_for=lambda: manager), servers)
    for pool in (asked, new):
        server = servers.at(f"http://{pool.host}/simple/")
        assert server is not None and server.takes_early is (pool is asked)
