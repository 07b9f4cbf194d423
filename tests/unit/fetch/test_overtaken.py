"""Streams that are overtaken: no byte is lost, and what came in parts and is wrong comes once more."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pipfast.fetch import board, scheduler
from pipfast.fetch.board import Board, Task
from pipfast.fetch.file import segments
from pipfast.fetch.file.assembly import Assembly
from pipfast.fetch.file.ranges import FileIdentity
from pipfast.fetch.job import Download
from pipfast.fetch.streams import Streams
from support.pools import opened
from unit.fetch.fake_transport import BusyError, FakeResponse, FakeTransport, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pipfast.fetch.pool import DownloadPool

BODY = bytes(range(250)) * 4


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 100 bytes, which are not split, and short patience."""
    monkeypatch.setattr(segments, "MIN_BLOCK", 100)
    monkeypatch.setattr(segments, "MAX_BLOCK", 100)
    monkeypatch.setattr(board, "STALLED_AFTER_S", 0.1)
    monkeypatch.setattr(scheduler, "LOOK_AGAIN_S", 0.01)


class Streamed(FakeResponse):
    """An answer whose pieces a function yields."""

    def __init__(self, answer: FakeResponse, pieces: Callable[[FakeResponse], Iterator[bytes]]) -> None:
        super().__init__([], answer.headers, answer.status)
        self._made = pieces

    def chunks(self) -> Iterator[bytes]:
        return self._made(self)


def plain(body: bytes) -> FakeResponse:
    return whole(body, Accept_Ranges="bytes", ETag='"v1"')


def asked_for(headers: Mapping[str, str]) -> tuple[int, int]:
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", headers["Range"])
    assert found is not None
    return int(found[1]), int(found[2]) + 1


def part(headers: Mapping[str, str]) -> FakeResponse:
    start, end = asked_for(headers)
    return FakeResponse(
        [BODY[start:end]], {"Content-Range": f"bytes {start}-{end - 1}/{len(BODY)}", "ETag": '"v1"'}, 206
    )


def check(download: Download) -> None:
    """Wait for a download that would wait for ever if a byte were lost."""
    deadline = time.monotonic() + 10
    while not download.finished and time.monotonic() < deadline:
        time.sleep(0.01)
    assert download.finished, f"{download.arrived} of {download.size} bytes"
    fetched = download.result()
    assert fetched.matches is True
    assert fetched.path.read_bytes() == BODY


def submit(pool: DownloadPool, folder: Path) -> Download:
    digest = hashlib.sha256(BODY).hexdigest()
    return pool.submit("fake:big", folder, name=lambda response: "big", expected={"sha256": digest})


def test_first_stream_that_was_overtaken_takes_no_more(tmp_path: Path) -> None:
    """What it was to bring is free again; its late bytes do not take that with them."""
    over = threading.Event()

    def late(answer: FakeResponse) -> Iterator[bytes]:
        yield BODY[:50]
        assert answer.closed.wait(20)
        try:
            yield BODY[50:]
        finally:
            over.set()

    def slow(answer: FakeResponse) -> Iterator[bytes]:
        (content,) = answer.pieces
        assert isinstance(content, bytes)
        at = 0
        while not over.wait(0.02) and at < len(content) - 1:
            yield content[at : at + 1]
            at += 1
        yield content[at:]

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        if "Range" not in headers:
            return Streamed(plain(BODY), late)
        answered = part(headers)
        if asked_for(headers)[0] != 900:
            return answered
        # Somebody is at work while the first stream is overtaken, so that nobody takes its bytes at once.
        streamed = Streamed(answered, slow)
        streamed.pieces = answered.pieces
        return streamed

    with opened(FakeTransport(answer), connections=3, segment_threshold=500) as pool:
        check(submit(pool, tmp_path))


@pytest.mark.parametrize("offset", [0, 100], ids=["first", "other"])
def test_stream_whose_bytes_are_being_written_is_not_overtaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """A disk that takes long over some bytes does not make them lost."""
    write = Assembly.write

    def slow(self: Assembly, at: int, data: memoryview, *, believed: bool = True) -> None:
        if at == offset:
            time.sleep(0.5)
        write(self, at, data, believed=believed)

    monkeypatch.setattr(Assembly, "write", slow)

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        if "Range" in headers:
            return part(headers)
        answered = plain(BODY)
        answered.pieces = [BODY[:50], BODY[50:]]
        return answered

    with opened(FakeTransport(answer), connections=3, segment_threshold=500) as pool:
        check(submit(pool, tmp_path))


def test_wrong_file_comes_once_more_though_its_parts_were_left(tmp_path: Path) -> None:
    """Its first stream has brought all of it in the end, beside parts that nobody trusts any more."""
    refused = threading.Event()

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        if "Range" not in headers:
            answered = plain(BODY if refused.is_set() else BODY[::-1])
            answered.pieces = [answered.pieces[0][:50], refused, answered.pieces[0][50:]]  # type: ignore[index]
            return answered
        if asked_for(headers)[0] == 900:
            return part(headers)
        refused.set()
        raise LookupError("no range")

    transport = FakeTransport(answer)
    with opened(transport, connections=2, segment_threshold=500) as pool:
        check(submit(pool, tmp_path))
    assert sum("Range" not in headers for _, headers in transport.requests) == 2


class Hanging:
    """A server whose plain answer is slow until an event, and some of whose ranges bring nothing."""

    def __init__(self, hangs: Callable[[int], bool]) -> None:
        """:param hangs: told how many ranges were asked for before."""
        self.goes_on = threading.Event()
        self.ranges: list[tuple[int, int]] = []
        self.hung: list[tuple[int, int]] = []
        self._hangs = hangs
        self._lock = threading.Lock()

    def answer(self, url: str, headers: Mapping[str, str]) -> FakeResponse:
        if "Range" not in headers:
            return Streamed(plain(BODY), self._trickle)
        with self._lock:
            hangs = self._hangs(len(self.ranges))
            self.ranges.append(asked_for(headers))
            if hangs:
                self.hung.append(self.ranges[-1])
        answered = part(headers)
        return Streamed(answered, self._hang) if hangs else answered

    def _trickle(self, _: FakeResponse) -> Iterator[bytes]:
        at = 0
        while at < 90 and not self.goes_on.wait(0.03):
            yield BODY[at : at + 1]
            at += 1
        assert self.goes_on.wait(20)
        yield BODY[at:]

    @staticmethod
    def _hang(answer: FakeResponse) -> Iterator[bytes]:
        assert answer.closed.wait(20)
        yield from ()


def test_first_stream_brings_the_rest_when_ranges_come_no_more(tmp_path: Path) -> None:
    """It is under way until all is there, so that nothing begins again; one second try is made meanwhile."""
    server = Hanging(lambda before: before >= 3)
    transport = FakeTransport(server.answer)
    with opened(transport, connections=4, segment_threshold=500) as pool:
        download = submit(pool, tmp_path)
        deadline = time.monotonic() + 10
        # Three streams hang at once, and one is tried again.
        while len(server.hung) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        server.goes_on.set()
        check(download)
    assert len(server.hung) == 4
    assert sum("Range" not in headers for _, headers in transport.requests) == 1


def test_a_range_that_hangs_once_is_asked_for_again_beside_the_first_stream(tmp_path: Path) -> None:
    """What came is kept, the rest comes by one range at a time."""
    server = Hanging(lambda before: before == 3)
    transport = FakeTransport(server.answer)
    with opened(transport, connections=4, segment_threshold=500) as pool:
        download = submit(pool, tmp_path)
        deadline = time.monotonic() + 10
        # The first stream's own block is all that is missing.
        while download.arrived < len(BODY) - 100 and time.monotonic() < deadline:
            time.sleep(0.01)
        server.goes_on.set()
        check(download)
    assert server.ranges.count(server.hung[0]) == 2
    assert sum("Range" not in headers for _, headers in transport.requests) == 1


class Leaving:
    """A server that sends a plain answer once the test lets it, and ranges as told."""

    def __init__(self, sends: Callable[[tuple[int, int], FakeResponse], FakeResponse]) -> None:
        """:param sends: told the range and its right answer."""
        self.goes_on = threading.Event()
        self.ranges: list[tuple[int, int]] = []
        self.plain = 0
        self.pieces: list[bytes | Exception | threading.Event] = [BODY[:50], self.goes_on, BODY[50:]]
        self._sends = sends

    def answer(self, url: str, headers: Mapping[str, str]) -> FakeResponse:
        if "Range" in headers:
            self.ranges.append(asked_for(headers))
            return self._sends(self.ranges[-1], part(headers))
        self.plain += 1
        answered = plain(BODY)
        answered.pieces = self.pieces
        return answered

    def serve(self, folder: Path, connections: int, ready: Callable[[Download, Assembly], bool]) -> None:
        """Have the file downloaded; its first stream goes on when ``ready``."""
        with opened(FakeTransport(self.answer), connections=connections, segment_threshold=500) as pool:
            download = submit(pool, folder)
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                assembly = download.state.assembly
                if assembly is not None and ready(download, assembly):
                    break
                time.sleep(0.01)
            self.goes_on.set()
            check(download)
        assert self.plain == 1


@pytest.mark.parametrize("error", [BusyError, LookupError], ids=["broken", "refused"])
def test_a_range_that_fails_before_others_come_is_left_to_the_first_stream(
    tmp_path: Path, error: type[Exception]
) -> None:
    """It stays for what is missing behind what others bring afterwards, and no range is asked for again."""
    both, failed = threading.Barrier(2, timeout=10), threading.Event()

    def sends(asked: tuple[int, int], answered: FakeResponse) -> FakeResponse:
        both.wait()
        if asked[1] == len(BODY):
            raise error
        answered.pieces.insert(0, failed)
        return answered

    def ready(download: Download, assembly: Assembly) -> bool:
        if assembly.plan.streams == 1:
            failed.set()
        return download.arrived == 150

    server = Leaving(sends)
    server.serve(tmp_path, 3, ready)
    assert len(server.ranges) == 2


def test_first_stream_goes_past_one_that_is_slow_to_one_that_hangs(tmp_path: Path) -> None:
    """Where it meets what is just being brought it brings that itself, for more is missing behind."""

    def sends(asked: tuple[int, int], answered: FakeResponse) -> FakeResponse:
        if asked[1] == len(BODY):
            return Streamed(answered, Hanging._hang)
        return Streamed(answered, lambda _: trickle(asked[0], answered))

    def trickle(at: int, answered: FakeResponse) -> Iterator[bytes]:
        while not answered.closed.wait(0.02) and at < 900:
            yield BODY[at : at + 1]
            at += 1

    server = Leaving(sends)
    server.serve(tmp_path, 3, lambda download, _: download.arrived > 55)
    assert len(server.ranges) == 2


def test_many_ranges_that_break_at_once_do_not_begin_the_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are: the first stream is under way."""
    monkeypatch.setattr(segments, "MIN_BLOCK", 40)
    monkeypatch.setattr(segments, "MAX_BLOCK", 40)
    monkeypatch.setattr(board, "STALLED_AFTER_S", 10)
    under_way = threading.Barrier(14, timeout=10)

    def sends(asked: tuple[int, int], answered: FakeResponse) -> FakeResponse:
        if asked[1] == len(BODY):
            return answered
        with suppress(threading.BrokenBarrierError):  # those that are asked for again
            under_way.wait()
        under_way.abort()
        raise BusyError

    def ready(download: Download, assembly: Assembly) -> bool:
        return len(server.ranges) > 14 and assembly.plan.streams == 1

    server = Leaving(sends)
    server.serve(tmp_path, 15, ready)


def test_first_stream_that_was_read_past_what_came_brings_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole answer to a request for a range says nothing against what is there."""
    monkeypatch.setattr(board, "STALLED_AFTER_S", 10)
    refused, assemblies = plain(BODY), list[Assembly]()
    refused.pieces = [LookupError()]

    def sends(asked: tuple[int, int], answered: FakeResponse) -> FakeResponse:
        if asked[1] < len(BODY):
            return answered
        while not (assemblies and assemblies[0].passed_over):
            time.sleep(0.01)
        return refused

    def ready(download: Download, assembly: Assembly) -> bool:
        assemblies[:] = [assembly]
        return download.arrived == 850

    server = Leaving(sends)
    server.pieces = [BODY[:50], server.goes_on, BODY[50:850], refused.closed, BODY[850:]]
    server.serve(tmp_path, 3, ready)


def test_file_comes_in_one_stream_where_the_body_of_a_range_is_an_error(tmp_path: Path) -> None:
    """The first stream is broken off by then; the plain answer may come the second time."""

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        answered = part(headers) if "Range" in headers else plain(BODY)
        if "Range" in headers:
            answered.pieces = [LookupError()]
        elif len(transport.requests) == 1:
            answered.pieces = [BODY[:50], BusyError()]
        return answered

    transport = FakeTransport(answer)
    with opened(transport, connections=1, segment_threshold=500) as pool:
        check(submit(pool, tmp_path))
    assert ["Range" in headers for _, headers in transport.requests] == [False, True, False]


def test_first_stream_that_waited_does_not_stall(tmp_path: Path) -> None:
    """It brings nothing while nothing is its to bring."""
    shared, response = Board(3, lambda: None), plain(BODY)
    download = Download("fake:big", tmp_path, lambda response: "big", {}, shared.lock)
    assembly = Assembly(tmp_path, "big", response, FileIdentity.of(response), streams=3, algorithms=[])
    task, streams = Task(download, None, None, 0.0, ranged=False), Streams(shared)
    with shared:
        shared.begin(task)
        assert streams.begin(task, assembly, response)
        front = task.claim
        assert front is not None
        assembly.plan.take(front, front.remaining, len(BODY), 0.0)
        assert not streams.is_cut_short(task, assembly, front, front.position, len(BODY))
        assert front.remaining
        assert assembly.plan.stalled(shared.stalled_before()) is None
        shared.discard(assembly)


def test_ranges_that_come_more_slowly_than_the_rest_of_the_first_stream_are_not_waited_for(tmp_path: Path) -> None:
    """They bring a byte now and then, so that none is quiet."""
    came_to_its_end: list[int] = []
    begun = threading.Event()

    def slow(answer: FakeResponse) -> Iterator[bytes]:
        (content,) = answer.pieces
        assert isinstance(content, bytes)
        for at in range(len(content)):
            if answer.closed.wait(0.05):
                return
            yield content[at : at + 1]
            begun.set()
        came_to_its_end.append(len(content))

    def answer(url: str, headers: Mapping[str, str]) -> FakeResponse:
        if "Range" not in headers:
            answered = plain(BODY)
            answered.pieces = [begun, *(BODY[at : at + 50] for at in range(0, len(BODY), 50))]
            return answered
        answered = part(headers)
        streamed = Streamed(answered, slow)
        streamed.pieces = answered.pieces
        return streamed

    transport = FakeTransport(answer)
    with opened(transport, connections=4, segment_threshold=500) as pool:
        check(submit(pool, tmp_path))
        assert not came_to_its_end
    assert sum("Range" not in headers for _, headers in transport.requests) == 1
