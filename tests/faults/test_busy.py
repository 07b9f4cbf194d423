"""Servers that are overloaded, slow or broken get fewer connections, and the run goes on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from faults.fault_server import LARGE, THRESHOLD, Exchange, FaultServer, content, named, sha256
from pipfast.fetch import board, limiter, scheduler
from pipfast.fetch.errors import TruncatedBody
from support.plain_transport import HttpStatusError, PlainTransport
from support.pools import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipfast.fetch.job import Download
    from pipfast.fetch.pool import DownloadPool

BIG = content(LARGE)


def small_files(count: int) -> dict[str, bytes]:
    return {f"/small-{n}.whl": content(3000 + n, seed=n) for n in range(count)}


def check(downloads: dict[str, Download], bodies: dict[str, bytes]) -> None:
    for path, download in downloads.items():
        fetched = download.result()
        assert fetched.path.read_bytes() == bodies[path]
        assert fetched.sha256 == sha256(bodies[path])


def test_fifty_small_files_and_a_large_one(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """Everything arrives; small files cost one request each; never more than eight at once."""
    bodies = {"/big.whl": BIG, **small_files(50)}
    check({path: fetch(path, body) for path, body in bodies.items()}, bodies)
    assert all(server.ranges(path) == [None] for path in bodies if path != "/big.whl")
    assert server.most_concurrent <= 8


def test_small_files_do_not_wait_for_a_large_one(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """No part of a large file but its first stream is answered until the small files are there."""
    small_done = threading.Event()

    def answer(exchange: Exchange) -> None:
        if exchange.range is not None:
            assert small_done.wait(20)
        exchange.serve()

    server.behaviours["/big.whl"] = answer
    bodies = small_files(50)
    # Seven of eight connections are taken by files that are held, so that the queue is not empty.
    big = fetch("/big.whl", BIG)
    check({path: fetch(path, body) for path, body in bodies.items()}, bodies)
    small_done.set()
    assert big.result().path.read_bytes() == BIG


@pytest.mark.parametrize("most", [1, 2, 3])
def test_503_above_some_connections(
    server: FaultServer, fetch: Callable[..., Download], pool: DownloadPool, most: int
) -> None:
    """A server that refuses more than a few connections serves all files in the end."""

    def answer(exchange: Exchange) -> None:
        if exchange.concurrent > most:
            exchange.head(503, {"Content-Length": "0"})
        else:
            exchange.serve()

    bodies = {"/big.whl": BIG, **small_files(20)}
    server.behaviours.update(dict.fromkeys(bodies, answer))
    check({path: fetch(path, body) for path, body in bodies.items()}, bodies)


def test_server_that_answers_one_request_at_a_time(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """Requests that queue up at the server are no error, and no deadlock."""
    turn = threading.Lock()

    def answer(exchange: Exchange) -> None:
        with turn:
            exchange.serve()

    bodies = {"/big.whl": BIG, **small_files(10)}
    server.behaviours.update(dict.fromkeys(bodies, answer))
    check({path: fetch(path, body) for path, body in bodies.items()}, bodies)


@pytest.fixture
def single_threaded() -> Iterator[FaultServer]:
    server = FaultServer(threads=False)
    yield server
    server.close()


def test_server_with_a_single_thread(single_threaded: FaultServer, tmp_path: Path) -> None:
    """A server that does not accept the second connection before the first has ended serves the run."""
    bodies = {"/big.whl": BIG, **small_files(10)}
    single_threaded.bodies.update(bodies)
    with opened(PlainTransport(), segment_threshold=THRESHOLD) as pool:
        check({p: pool.submit(single_threaded.url(p), tmp_path, name=named) for p in bodies}, bodies)
    assert single_threaded.most_concurrent == 1


def test_resets_before_the_headers(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """Connections that are reset before any answer are tried again."""

    def answer(exchange: Exchange) -> None:
        if exchange.number < 3:
            exchange.reset()
        else:
            exchange.serve()

    bodies = small_files(12)
    server.behaviours.update(dict.fromkeys(bodies, answer))
    check({path: fetch(path, body) for path, body in bodies.items()}, bodies)


def test_break_without_ranges_starts_again(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A body that breaks off and cannot be resumed is fetched again from its beginning."""

    def answer(exchange: Exchange) -> None:
        exchange.serve(ranges=False, stop_after=100_000 * (exchange.number + 1))

    server.behaviours["/a.tar.gz"] = answer
    body = content(250_000)
    download = fetch("/a.tar.gz", body)
    assert sum(download.received()) == len(body)
    assert download.result().path.read_bytes() == body
    assert server.ranges("/a.tar.gz") == [None] * 3


def test_body_that_is_always_truncated(
    server: FaultServer, fetch: Callable[..., Download], tmp_path: Path
) -> None:
    """Attempts without progress are bounded, and nothing is left of the file."""

    def answer(exchange: Exchange) -> None:
        exchange.serve(ranges=False, stop_after=100_000)

    server.behaviours["/a.tar.gz"] = answer
    with pytest.raises(TruncatedBody, match="byte 100000 of 250000"):
        fetch("/a.tar.gz", content(250_000)).result()
    assert len(server.log) <= limiter.MAX_ATTEMPTS + 1
    assert list(tmp_path.iterdir()) == []


def test_last_exception_is_the_transports(
    server: FaultServer, fetch: Callable[..., Download], transport: PlainTransport, tmp_path: Path
) -> None:
    """A server that is never ready: the exception is the one of the last attempt, itself."""
    server.behaviours["/a.whl"] = lambda exchange: exchange.head(503, {"Content-Length": "0"})
    download = fetch("/a.whl", b"content")
    with pytest.raises(HttpStatusError) as first:
        download.first_response()
    with pytest.raises(HttpStatusError) as second:
        download.result()
    with pytest.raises(HttpStatusError):
        list(download.received())
    assert first.value is second.value is transport.errors[-1]
    assert len(server.log) == limiter.MAX_ATTEMPTS
    assert list(tmp_path.iterdir()) == []


def test_fatal_error_ends_one_download(
    server: FaultServer, fetch: Callable[..., Download], tmp_path: Path
) -> None:
    """404 is not tried again, and the other files arrive."""
    server.behaviours["/gone.whl"] = lambda exchange: exchange.head(404, {"Content-Length": "0"})
    gone = fetch("/gone.whl", b"")
    bodies = small_files(5)
    check({path: fetch(path, body) for path, body in bodies.items()}, bodies)
    with pytest.raises(HttpStatusError, match="404"):
        gone.result()
    assert server.ranges("/gone.whl") == [None]
    assert len(list(tmp_path.iterdir())) == 5


def test_nobody_listens(pool: DownloadPool, server: FaultServer, tmp_path: Path) -> None:
    """A refused connection is final: the transport has tried as often as it wants to."""
    address = server.url("/a.whl")
    server.close()
    with pytest.raises(ConnectionRefusedError):
        pool.submit(address, tmp_path, name=named).first_response()


def test_stalled_read_is_tried_again(server: FaultServer, tmp_path: Path) -> None:
    """The transport's own timeout ends a stall; the download goes on from there."""

    def answer(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.serve(stop_after=70_000)
            exchange.stall()
        else:
            exchange.serve()

    body = content(200_000)
    server.bodies["/a.whl"] = body
    server.behaviours["/a.whl"] = answer
    with opened(PlainTransport(timeout=0.2)) as pool:
        assert pool.submit(server.url("/a.whl"), tmp_path, name=named).result().path.read_bytes() == body
    assert server.ranges("/a.whl") == [None, (70_000, 200_000)]


@pytest.mark.parametrize("sent", ["nothing", "headers", "half"])
@pytest.mark.parametrize("files", [1, 2])
def test_plain_answers_bring_what_ranges_do_not(
    server: FaultServer, fetch: Callable[..., Download], monkeypatch: pytest.MonkeyPatch, sent: str, files: int
) -> None:
    """One plain request for each file, whose answer goes on when no range comes to its end; then no range more."""
    monkeypatch.setattr(board, "STALLED_AFTER_S", 0.5)
    monkeypatch.setattr(scheduler, "LOOK_AGAIN_S", 0.05)
    hangs, given_up = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        start, end = exchange.span()
        if exchange.range is None:
            exchange.head_for(start, end, partial=False)
            at = 0
            while at < 1_000_000 and not (given_up if sent == "half" else hangs).wait(0.01):
                exchange.send(exchange.body[at : at + 1000])
                at += 1000
            exchange.send(exchange.body[at:])
            return
        if sent != "nothing":
            exchange.head_for(start, end, partial=True)
        if sent == "half":
            exchange.send(exchange.body[start : (start + end) // 2])
        hangs.set()
        exchange.stall()
        given_up.set()

    bodies = {f"/big-{number}.whl": content(LARGE, number) for number in range(files)}
    server.behaviours.update(dict.fromkeys([*bodies, "/later.whl"], answer))
    check({path: fetch(path, body, sha256=sha256(body)) for path, body in bodies.items()}, bodies)
    assert all(server.ranges(path).count(None) == 1 for path in bodies)
    assert len(server.log) > files
    if sent == "half":
        # They were given up before the first streams ended.
        check({"/later.whl": fetch("/later.whl", BIG)}, {"/later.whl": BIG})
        assert server.ranges("/later.whl") == [None]


@pytest.mark.parametrize("after_headers", [True, False])
def test_stalled_segment_is_taken_over(
    server: FaultServer,
    fetch: Callable[..., Download],
    monkeypatch: pytest.MonkeyPatch,
    after_headers: bool,
) -> None:
    """Idle workers take a stretch that brings nothing, long before the transport's timeout of 20 s."""
    monkeypatch.setattr(board, "STALLED_AFTER_S", 0.1)
    monkeypatch.setattr(scheduler, "LOOK_AGAIN_S", 0.05)

    def answer(exchange: Exchange) -> None:
        if exchange.number == 2:
            if after_headers:
                exchange.serve(stop_after=40_000)
            exchange.stall()
        else:
            exchange.serve()

    server.behaviours["/big.whl"] = answer
    started = time.monotonic()
    assert fetch("/big.whl", BIG, sha256=sha256(BIG)).result().matches is True
    assert time.monotonic() - started < 15
