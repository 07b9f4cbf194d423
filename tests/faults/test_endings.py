"""However a download ends, no thread is left running and no half file left lying."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest

from faults.fault_server import LARGE, THRESHOLD, Exchange, FaultServer, content, named, sha256
from pipfast.fetch.errors import DownloadCancelled, UnsafeName
from support.plain_transport import PlainTransport
from support.pools import opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipfast.fetch.job import Download
    from pipfast.fetch.pool import DownloadPool

BIG = content(LARGE)


def workers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("pipfast-fetch")]


@pytest.mark.parametrize("sent", ["nothing", "headers", "half"])
def test_interrupt_with_requests_under_way(
    server: FaultServer, tmp_path: Path, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the main thread while servers are silent: threads end, files go, at once."""
    asked = threading.Semaphore(0)

    def answer(exchange: Exchange) -> None:
        if sent == "headers":
            exchange.serve(stop_after=0)
        elif sent == "half":
            exchange.serve(stop_after=1000)
        asked.release()
        exchange.stall()

    server.bodies.update({"/big.whl": BIG, "/small.whl": b"content" * 1000})
    server.behaviours.update({"/big.whl": answer, "/small.whl": answer})
    downloads: list[Download] = []
    with (
        pytest.raises(KeyboardInterrupt),
        opened(PlainTransport(timeout=300), segment_threshold=THRESHOLD) as pool,
    ):
        downloads += [pool.submit(server.url(p), tmp_path, name=named) for p in server.bodies]
        for _ in range(2 if sent == "nothing" else 8):
            assert asked.acquire(timeout=20)
        raise KeyboardInterrupt
    assert workers() == []
    assert list(tmp_path.iterdir()) == []
    for download in downloads:
        with pytest.raises(DownloadCancelled):
            download.result()


def test_closing_twice_and_submitting_after(pool: DownloadPool, tmp_path: Path) -> None:
    """A closed pool stays closed."""
    pool.close()
    pool.close()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit("http://127.0.0.1:9/a", tmp_path, name=named)


def test_queued_downloads_are_cancelled(server: FaultServer, tmp_path: Path) -> None:
    """Files whose turn had not come end as cancelled, without a request."""
    asked = threading.Event()

    def answer(exchange: Exchange) -> None:
        asked.set()
        exchange.stall()

    server.behaviours["/a.whl"] = answer
    with opened(PlainTransport(), connections=1) as pool:
        pool.submit(server.url("/a.whl"), tmp_path, name=named)
        queued = pool.submit(server.url("/b.whl"), tmp_path, name=named)
        assert asked.wait(20)
    with pytest.raises(DownloadCancelled):
        queued.result()
    assert server.ranges("/b.whl") == []


def test_full_disk(
    server: FaultServer,
    fetch: Callable[..., Download],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error of the disk is raised as it is, at once, and leaves no file."""

    def full(file: int, data: object, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        fetch("/big.whl", BIG).result()
    assert list(tmp_path.iterdir()) == []
    assert server.ranges("/big.whl").count(None) == 1


@pytest.mark.parametrize("name", ["", ".", "..", "../up.whl", "a/b.whl", "/etc/passwd", "a\\b.whl", "a\0b"])
def test_unsafe_name_is_refused(pool: DownloadPool, server: FaultServer, tmp_path: Path, name: str) -> None:
    """A server cannot choose where its file goes."""
    server.bodies["/a.whl"] = b"content"
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(UnsafeName):
        pool.submit(server.url("/a.whl"), inside, name=lambda response: name).result()
    assert list(tmp_path.rglob("*")) == [inside]


def test_error_of_the_name_function(pool: DownloadPool, server: FaultServer, tmp_path: Path) -> None:
    """What the caller's function raises is what the caller gets."""
    server.bodies["/a.whl"] = b"content"
    with pytest.raises(ZeroDivisionError):
        pool.submit(server.url("/a.whl"), tmp_path, name=lambda response: str(1 // 0)).result()


def test_missing_directory(pool: DownloadPool, server: FaultServer, tmp_path: Path) -> None:
    """A folder that is not there is the caller's error, not the network's."""
    server.bodies["/a.whl"] = b"content"
    with pytest.raises(FileNotFoundError):
        pool.submit(server.url("/a.whl"), tmp_path / "missing", name=named).result()


def test_body_without_a_length(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A body that ends with its connection is one stream, its size known at the end."""

    def answer(exchange: Exchange) -> None:
        exchange.head(200, {"Accept-Ranges": "bytes", "ETag": '"v1"'})
        exchange.send(exchange.body)

    server.behaviours["/big.whl"] = answer
    download = fetch("/big.whl", BIG)
    download.first_response()
    assert sum(download.received()) == LARGE
    assert download.result().path.read_bytes() == BIG
    assert download.size == download.arrived == LARGE
    assert server.ranges("/big.whl") == [None]


def test_empty_file(fetch: Callable[..., Download]) -> None:
    """No bytes are a file too."""
    download = fetch("/empty.txt", b"")
    assert list(download.received()) == []
    fetched = download.result()
    assert (fetched.size, fetched.sha256, fetched.path.read_bytes()) == (0, sha256(b""), b"")


def test_file_mode_is_that_of_open(fetch: Callable[..., Download], tmp_path: Path) -> None:
    """As pip copies modes along with files, a download has the mode that open() would give it."""
    (tmp_path / "plain").write_bytes(b"")
    fetched = fetch("/a.whl", b"content").result()
    assert fetched.path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_existing_file_is_replaced(fetch: Callable[..., Download], tmp_path: Path) -> None:
    """As by pip's own download."""
    (tmp_path / "a.whl").write_bytes(b"something longer than that")
    assert fetch("/a.whl", b"content").result().path.read_bytes() == b"content"
