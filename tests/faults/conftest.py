"""Server and pool of each test; afterwards nothing is left running or lying."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from faults.fault_server import THRESHOLD, FaultServer, named
from pipfast.fetch import endings, limiter
from pipfast.fetch.file import segments
from support.plain_transport import PlainTransport
from support.pools import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipfast.fetch.job import Download
    from pipfast.fetch.pool import DownloadPool


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a size that lets small files show what large ones do."""
    monkeypatch.setattr(segments, "MIN_BLOCK", 128 * 1024)
    monkeypatch.setattr(segments, "MAX_BLOCK", 512 * 1024)
    monkeypatch.setattr(segments, "MIN_SPLIT", 64 * 1024)
    monkeypatch.setattr(segments, "STEP", 16 * 1024)


@pytest.fixture(autouse=True)
def random_bytes_are_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these servers send is no archive; that is looked at where a test says so."""
    monkeypatch.setattr(endings, "is_sound", lambda path, name: True)


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many failures in little time."""
    monkeypatch.setattr(limiter, "BACKOFF_START_S", 0.005)
    monkeypatch.setattr(limiter, "BACKOFF_CAP_S", 0.05)


@pytest.fixture
def fetch(server: FaultServer, pool: DownloadPool, tmp_path: Path) -> Callable[..., Download]:
    """Submit a file that the server has."""

    def fetch(path: str, body: bytes, **expected: str) -> Download:
        server.bodies.setdefault(path, body)
        return pool.submit(server.url(path), tmp_path, name=named, expected=expected)

    return fetch


@pytest.fixture
def server() -> Iterator[FaultServer]:
    server = FaultServer()
    yield server
    server.close()


@pytest.fixture
def transport() -> PlainTransport:
    return PlainTransport()


@pytest.fixture
def pool(transport: PlainTransport, server: FaultServer) -> Iterator[DownloadPool]:
    with opened(transport, segment_threshold=THRESHOLD) as pool:
        yield pool


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """After each test, its pool closed, no worker runs and no partial file lies about."""
    yield
    assert [t.name for t in threading.enumerate() if t.name.startswith("pipfast-fetch")] == []
    assert list(tmp_path.rglob("*.part")) == []
