"""The pool and its handles, on a transport without a network."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pipfast.fetch import limiter
from pipfast.fetch.file import segments
from pipfast.fetch.pool import DownloadPool
from support.pools import opened
from unit.fetch.fake_transport import BusyError, FakeResponse, FakeTransport, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pipfast.fetch.job import Download


def named(response: object) -> str:
    return "file.whl"


def numbered(number: int) -> Callable[[object], str]:
    return lambda response: str(number)


def test_jobs_start_in_submit_order(tmp_path: Path) -> None:
    """With one connection, requests go out in the order of the submits."""
    first = threading.Event()

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        assert first.wait(20)
        return whole(url.encode())

    transport = FakeTransport(answer)
    with opened(transport, connections=1) as pool:
        jobs = [pool.submit(f"fake:{n}", tmp_path, name=numbered(n)) for n in range(20)]
        first.set()
        for job in jobs:
            assert job.result().path.read_bytes() == job.url.encode()
    assert [url for url, _ in transport.requests] == [job.url for job in jobs]


def test_queued_file_comes_before_parts_of_a_large_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that becomes free goes to the file that waits, not to another part."""
    monkeypatch.setattr(segments, "MIN_BLOCK", 100)
    monkeypatch.setattr(segments, "MAX_BLOCK", 100)
    submitted, small_done = threading.Event(), threading.Event()
    body = bytes(1000)

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        if url != "fake:big":
            if url == "fake:2":
                small_done.set()
            return whole(body)
        if "Range" not in headers:
            response = whole(body, Accept_Ranges="bytes", ETag='"v1"')
            response.pieces.insert(0, small_done)
            return response
        start, end = map(int, headers["Range"].removeprefix("bytes=").split("-"))
        content_range = {"Content-Range": f"bytes {start}-{end}/1000"}
        return FakeResponse([submitted, bytes(end + 1 - start)], content_range, 206)

    transport = FakeTransport(answer)
    with opened(transport, connections=2, segment_threshold=500) as pool:
        big = pool.submit("fake:big", tmp_path, name=lambda r: "big")
        big.first_response()
        small = [pool.submit(f"fake:{n}", tmp_path, name=numbered(n)) for n in range(3)]
        submitted.set()
        for job in [big, *small]:
            assert job.result().path.read_bytes() == body
    # The second connection may have begun a part before the small files were known; not another one.
    order = [url for url, headers in transport.requests[1:] if "Range" not in headers]
    assert order == ["fake:0", "fake:1", "fake:2"]
    assert [url for url, _ in transport.requests].index("fake:2") <= 4


def test_same_url_is_one_download(tmp_path: Path) -> None:
    """Submitted twice, before and after its end: one job, one request; in another folder it is another."""
    transport = FakeTransport(lambda url, headers: whole(b"content"))
    other = tmp_path / "other"
    other.mkdir()
    with opened(transport) as pool:
        job = pool.submit("fake:a", tmp_path, name=named)
        assert pool.submit("fake:a", tmp_path, name=named) is job
        job.result()
        assert pool.submit("fake:a", tmp_path, name=named) is job
        assert len(transport.requests) == 1
        assert pool.submit("fake:a", other, name=named) is not job
        job.result().path.unlink()
        again = pool.submit("fake:a", tmp_path, name=named)
        assert again is not job
        assert again.result().path.read_bytes() == b"content"


def test_failed_download_can_be_submitted_again(tmp_path: Path) -> None:
    """A failure is not remembered."""
    errors: list[Exception] = [ValueError("first")]

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        if errors:
            raise errors.pop()
        return whole(b"content")

    with opened(FakeTransport(answer)) as pool:
        with pytest.raises(ValueError, match="first"):
            pool.submit("fake:a", tmp_path, name=named).result()
        assert pool.submit("fake:a", tmp_path, name=named).result().size == 7


def test_answer_from_pips_cache_is_one_stream(tmp_path: Path) -> None:
    """What pip has cached is not asked for in parts."""
    response = whole(bytes(1000), Accept_Ranges="bytes", ETag='"v1"')
    response.from_cache = True
    transport = FakeTransport(lambda url, headers: response)
    with opened(transport, segment_threshold=1) as pool:
        job = pool.submit("fake:a", tmp_path, name=named)
        assert job.first_response() is response
        fetched = job.result()
    assert fetched.from_cache

    assert len(transport.requests) == 1
    assert response.closed.is_set()


def test_digests_and_matches(tmp_path: Path) -> None:
    """Any case of the hex digits is right; an algorithm nobody knows says nothing; one wrong one does."""
    md5 = "9a0364b9e99bb480dd25e1f0284c8555"
    with opened(FakeTransport(lambda url, headers: whole(b"content"))) as pool:

        def matches(**expected: str) -> bool | None:
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            folder.mkdir()
            fetched = pool.submit("fake:a", folder, name=named, expected=expected).result()
            assert fetched.path.read_bytes() == b"content"
            return fetched.matches

        assert matches() is None
        assert matches(unknown="00") is None
        assert matches(md5=md5.upper()) is True
        assert matches(md5=md5, unknown="00") is True
        assert matches(md5=md5, sha256="0" * 64) is False


def test_received_is_live(tmp_path: Path) -> None:
    """Bytes are told while more are still to come, and ``arrived`` is there to be polled."""
    more = threading.Event()
    response = FakeResponse([bytes(10), more, bytes(5)], {"Content-Length": "15"})
    with opened(FakeTransport(lambda url, headers: response)) as pool:
        job = pool.submit("fake:a", tmp_path, name=named)
        received = job.received()
        assert next(received) == 10
        assert (job.arrived, job.size) == (10, 15)
        more.set()
        assert sum(received) == 5


def test_received_does_not_go_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is fetched again from its beginning is not counted twice."""
    monkeypatch.setattr(limiter, "BACKOFF_START_S", 0.001)
    length = {"Content-Length": "1000"}
    answers = [
        FakeResponse([bytes(800), BusyError()], length),
        FakeResponse([bytes(300), BusyError()], length),
        FakeResponse([bytes(1000)], length),
    ]
    transport = FakeTransport(lambda url, headers: answers.pop(0))
    with opened(transport) as pool:
        job = pool.submit("fake:a", tmp_path, name=named)
        steps = list(job.received())
    assert sum(steps) == 1000
    assert min(steps) > 0
    assert len(transport.requests) == 3


def test_callbacks_run_in_the_worker_before_the_result_is_out(tmp_path: Path) -> None:
    """A callback finds the whole file, and may move it before anybody else sees the result."""
    called: list[tuple[str, bytes]] = []

    def move(job: Download) -> None:
        assert job.fetched is job.result() is not None
        path = job.result().path
        called.append((threading.current_thread().name, path.read_bytes()))
        path.rename(tmp_path / "moved")

    with opened(FakeTransport(lambda url, headers: whole(b"content"))) as pool:
        go = threading.Event()
        job = pool.submit("fake:a", tmp_path, name=lambda r: (go.wait(20) and "file.whl") or "")
        job.add_done_callback(move)
        go.set()
        job.result()
        assert called == [("pipfast-fetch-0", b"content")]
        assert (tmp_path / "moved").read_bytes() == b"content"
        late: list[Download] = []
        job.add_done_callback(late.append)
        assert late == [job]


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_callback_that_fails(tmp_path: Path, error: type[BaseException]) -> None:
    """What a callback raises spoils neither the download nor the worker nor the next callback."""

    def fail(job: Download) -> None:
        raise error

    go = threading.Event()
    seen: list[Download] = []
    with opened(FakeTransport(lambda url, headers: whole(b"content")), connections=1) as pool:
        job = pool.submit("fake:a", tmp_path, name=lambda r: (go.wait(20) and "a") or "")
        job.add_done_callback(fail)
        job.add_done_callback(seen.append)
        go.set()
        assert job.result().size == 7
        assert seen == [job]
        assert pool.submit("fake:b", tmp_path, name=lambda r: "b").result().size == 7


def test_no_callback_after_a_failure(tmp_path: Path) -> None:
    """Callbacks are for files."""

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        raise ValueError

    called: list[Download] = []
    with opened(FakeTransport(answer)) as pool:
        job = pool.submit("fake:a", tmp_path, name=named)
        job.add_done_callback(called.append)
        with pytest.raises(ValueError):
            job.result()
    assert called == []


def test_context_around_the_work(tmp_path: Path) -> None:
    """The caller's context manager is entered in the worker thread, around request and callbacks."""
    seen: list[str] = []

    @contextlib.contextmanager
    def around(job: Download) -> Iterator[None]:
        seen.append(f"enter {job.url} {threading.current_thread().name}")
        yield
        seen.append("leave")

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        seen.append("get")
        return whole(b"content")

    with opened(FakeTransport(answer), on_thread_start=around) as pool:
        pool.submit("fake:a", tmp_path, name=named).result()
    assert seen == ["enter fake:a pipfast-fetch-0", "get", "leave"]


def test_failing_context_fails_the_download(tmp_path: Path) -> None:
    """An error in the caller's context manager reaches the caller; the worker lives on."""

    def around(job: Download) -> contextlib.AbstractContextManager[object]:
        if job.url == "fake:bad":
            raise ValueError(job.url)
        return contextlib.nullcontext()

    transport = FakeTransport(lambda url, headers: whole(b"content"))
    with opened(transport, connections=1, on_thread_start=around) as pool:
        with pytest.raises(ValueError, match="fake:bad"):
            pool.submit("fake:bad", tmp_path, name=named).result()
        assert pool.submit("fake:good", tmp_path, name=named).result().size == 7


def test_a_pool_that_does_nothing_starts_no_thread() -> None:
    """Threads are made when there is something to do."""
    before = threading.active_count()
    with opened(FakeTransport(lambda url, headers: whole(b""))):
        assert threading.active_count() == before


def test_a_few_files_start_a_few_threads(tmp_path: Path) -> None:
    """Files that come one after the other are fetched by the same thread, or by the two that take turns."""
    transport = FakeTransport(lambda url, headers: whole(b"content"))
    with opened(transport) as pool:
        for number in range(5):
            pool.submit(f"fake:{number}", tmp_path, name=numbered(number)).result()
    # A thread may still be tidying up when the next file is asked for.
    assert set(transport.threads) <= {"pipfast-fetch-0", "pipfast-fetch-1"}


def test_closing_does_not_wait_long_for_a_connection_that_never_comes(tmp_path: Path) -> None:
    """Nothing ends a request that is still connecting; Ctrl-C must not feel as if it had not been heard."""
    asked, over = threading.Event(), threading.Event()

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        asked.set()
        assert over.wait(20)
        return whole(b"late")

    pool = DownloadPool(FakeTransport(answer), connections=1)
    pool.submit("fake:late", tmp_path, name=named)
    assert asked.wait(20)
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 3
    over.set()
    for thread in pool._threads:
        thread.join(20)
    assert list(tmp_path.iterdir()) == []
