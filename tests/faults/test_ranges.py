"""Large files in segments, and servers that do ranges badly or not at all."""

from __future__ import annotations

import threading
import zipfile
from typing import TYPE_CHECKING

import pytest

from faults.fault_server import LARGE, THRESHOLD, Exchange, FaultServer, content, named, sha256
from pipfast.fetch import endings
from pipfast.wheel import soundness
from support.plain_transport import PlainTransport
from support.pools import opened
from support.wheels import Member, zip_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipfast.fetch.job import Download

BIG = content(LARGE)


def hold_front(exchange: Exchange, until: threading.Event) -> None:
    """Answer the plain request, all but its beginning not before ``until``."""
    exchange.head_for(0, len(exchange.body), partial=False)
    exchange.send(exchange.body[:1000])
    until.wait(20)
    exchange.send(exchange.body[1000:])


def with_ranges(spoil: Callable[[Exchange], None] = lambda _: None) -> Callable[[Exchange], None]:
    """Answer plain requests, but for their beginning, not before the answer to a ranged one was read.

    Without that the first stream may bring all before another connection has brought anything.

    :param spoil: is given every exchange before it is answered.
    """
    answered = threading.Event()

    def answer(exchange: Exchange) -> None:
        spoil(exchange)
        if exchange.range is None:
            hold_front(exchange, answered)
            return
        try:
            exchange.serve()
            exchange.stall()
        finally:
            answered.set()

    return answer


def test_small_file_is_one_plain_request(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A file below the threshold is fetched by what pip would send: one GET without a range."""
    body = content(THRESHOLD - 1)
    fetched = fetch("/small.whl", body).result()
    assert fetched.path.read_bytes() == body
    assert (fetched.sha256, fetched.size, fetched.matches) == (sha256(body), len(body), None)
    assert server.log == [("/small.whl", None)]
    assert not {"Range", "If-Range"} & set(server.received_headers[0])


def test_all_connections_work_on_one_large_file(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """The first stream is held up until seven ranged ones are being answered at the same moment."""
    together = threading.Barrier(8, timeout=20)

    def answer(exchange: Exchange) -> None:
        start, end = exchange.span()
        exchange.head_for(start, end, partial=exchange.range is not None)
        exchange.send(exchange.body[start : start + 1000])
        if exchange.number < 8:
            together.wait()
        exchange.send(exchange.body[start + 1000 : end])

    server.behaviours["/big.whl"] = answer
    download = fetch("/big.whl", BIG, sha256=sha256(BIG))
    assert sum(download.received()) == download.size == LARGE
    fetched = download.result()
    assert fetched.path.read_bytes() == BIG
    assert fetched.matches is True
    assert server.most_concurrent == 8
    asked = server.ranges("/big.whl")
    assert asked[0] is None
    assert None not in asked[1:]


def test_slow_first_stream_is_overtaken(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A first stream that gives 1000 bytes and then waits for all the others brings next to nothing."""
    others = threading.Event()
    brought = 0

    def answer(exchange: Exchange) -> None:
        nonlocal brought
        if exchange.range is None:
            exchange.head_for(0, LARGE, partial=False)
            exchange.send(BIG[:1000])
            others.wait(20)
            exchange.send(BIG[1000:])
            return
        exchange.serve()
        start, end = exchange.range
        brought += end - start
        if brought > LARGE // 2:
            others.set()

    server.behaviours["/big.whl"] = answer
    fetched = fetch("/big.whl", BIG).result()
    assert fetched.path.read_bytes() == BIG
    assert others.is_set()


def test_if_range_names_the_strong_etag(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """Every ranged request carries the validator of the first answer."""
    server.behaviours["/big.whl"] = with_ranges()
    fetch("/big.whl", BIG).result()
    ranged = [headers for headers in server.received_headers if "Range" in headers]
    assert ranged
    assert {headers["If-Range"] for headers in ranged} == {'"v1"'}


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept-Ranges": "none"},
        {"ETag": 'W/"weak"'},
        {"ETag": ""},
        {"Content-Encoding": "gzip"},
    ],
    ids=["none", "weak", "no-validator", "encoded"],
)
def test_no_ranges_without_grounds(
    server: FaultServer, fetch: Callable[..., Download], headers: dict[str, str]
) -> None:
    """Where a part could not be asked for or be checked, there is one plain request."""

    def answer(exchange: Exchange) -> None:
        exchange.more = headers
        exchange.serve()

    server.behaviours["/big.whl"] = answer
    assert fetch("/big.whl", BIG).result().path.read_bytes() == BIG
    assert server.ranges("/big.whl") == [None]


def test_digest_is_no_grounds_without_a_validator(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A digest tells in the end that parts were of two files; a validator tells before."""

    def without_validator(exchange: Exchange) -> None:
        exchange.etag = None
        exchange.serve()

    server.behaviours["/big.whl"] = without_validator
    assert fetch("/big.whl", BIG, sha256=sha256(BIG)).result().matches is True
    assert server.ranges("/big.whl") == [None]


def test_lying_accept_ranges_keeps_the_first_stream(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A server that answers 200 to ranges is asked no second time for what the first stream brings."""
    refused = threading.Event()

    def answer(exchange: Exchange) -> None:
        if exchange.range is None:
            hold_front(exchange, refused)
        else:
            exchange.range = None
            try:
                exchange.serve(stop_after=1000)
                exchange.stall()
            finally:
                # The client has read the headers, and hung up.
                refused.set()

    server.behaviours["/big.whl"] = answer
    assert fetch("/big.whl", BIG).result().path.read_bytes() == BIG
    assert server.ranges("/big.whl").count(None) == 1


def test_refused_range_is_no_failure(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """403 or 416 to a ranged request leads back to one stream."""
    refused = threading.Event()

    def answer(exchange: Exchange) -> None:
        if exchange.range is None:
            hold_front(exchange, refused)
        else:
            exchange.head(416 if exchange.number % 2 else 403, {"Content-Length": "0"})
            refused.set()

    server.behaviours["/big.whl"] = answer
    assert fetch("/big.whl", BIG, sha256=sha256(BIG)).result().matches is True
    assert server.ranges("/big.whl").count(None) <= 2


def wrong_start(exchange: Exchange) -> dict[str, str]:
    start, end = exchange.span()
    return {"Content-Range": f"bytes {start + 1}-{end}/{LARGE}"}


def wrong_total(exchange: Exchange) -> dict[str, str]:
    start, end = exchange.span()
    return {"Content-Range": f"bytes {start}-{end - 1}/{LARGE + 1}"}


def unknown_total(exchange: Exchange) -> dict[str, str]:
    start, end = exchange.span()
    return {"Content-Range": f"bytes {start}-{end - 1}/*"}


def beyond_the_end(exchange: Exchange) -> dict[str, str]:
    start, end = exchange.span()
    return {"Content-Range": f"bytes {start}-{end}/{LARGE}"}


def backwards(exchange: Exchange) -> dict[str, str]:
    start, _ = exchange.span()
    return {"Content-Range": f"bytes {start}-{start - 1}/{LARGE}"}


def missing(exchange: Exchange) -> dict[str, str]:
    return {"Content-Range": "", "Content-Type": "multipart/byteranges; boundary=x"}


def other_etag(exchange: Exchange) -> dict[str, str]:
    return {"ETag": '"v2"'}


def encoded(exchange: Exchange) -> dict[str, str]:
    return {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    "spoil",
    [wrong_start, wrong_total, unknown_total, beyond_the_end, backwards, missing, other_etag, encoded],
)
def test_spoilt_partial_answer_is_not_used(
    server: FaultServer, fetch: Callable[..., Download], spoil: Callable[[Exchange], dict[str, str]]
) -> None:
    """A 206 that is not exactly what was asked for contributes no byte, and the file is right."""

    def spoil_parts(exchange: Exchange) -> None:
        if exchange.range is not None:
            exchange.more = spoil(exchange)
            exchange.body = bytes(len(exchange.body))

    server.behaviours["/big.whl"] = with_ranges(spoil_parts)
    fetched = fetch("/big.whl", BIG).result()
    assert fetched.path.read_bytes() == BIG
    asked = server.ranges("/big.whl")
    assert asked.count(None) <= 2
    assert len(asked) > asked.count(None)


def test_shorter_parts_than_asked_for(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A server may send less than the whole range; the first stream brings the rest."""

    def shorten(exchange: Exchange) -> None:
        if exchange.range is not None:
            start, end = exchange.range
            exchange.range = (start, min(end, start + 100_000))

    server.behaviours["/big.whl"] = with_ranges(shorten)
    assert fetch("/big.whl", BIG).result().path.read_bytes() == BIG
    asked = server.ranges("/big.whl")
    assert asked.count(None) == 1
    assert len(asked) > 1


def test_file_changed_between_requests(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """If-Range fails when the file is another by now: what arrives is the one file or the other, whole."""
    after = content(LARGE - 4321, seed=2)

    def change(exchange: Exchange) -> None:
        if exchange.number:
            exchange.body, exchange.etag = after, '"v2"'

    server.behaviours["/big.whl"] = with_ranges(change)
    fetched = fetch("/big.whl", BIG).result()
    data = fetched.path.read_bytes()
    assert data in (BIG, after)
    assert (fetched.sha256, fetched.size) == (sha256(data), len(data))
    assert server.ranges("/big.whl").count(None) <= 2


def test_file_changed_late(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A change that shows after parts were taken throws them away."""
    after = content(LARGE, seed=2)

    def answer(exchange: Exchange) -> None:
        if exchange.number > 4:
            exchange.body, exchange.etag = after, '"v2"'
        exchange.serve()

    server.behaviours["/big.whl"] = answer
    assert fetch("/big.whl", BIG).result().path.read_bytes() in (BIG, after)


def test_silently_different_parts_are_caught_by_the_digest(
    server: FaultServer, fetch: Callable[..., Download]
) -> None:
    """Parts of another file under the same validator: the mismatch leads to one plain request."""

    def replace_parts(exchange: Exchange) -> None:
        if exchange.range is not None:
            exchange.body = bytes(LARGE)

    server.behaviours["/big.whl"] = with_ranges(replace_parts)
    fetched = fetch("/big.whl", BIG, sha256=sha256(BIG)).result()
    assert fetched.matches is True
    assert fetched.path.read_bytes() == BIG
    assert server.ranges("/big.whl").count(None) == 2


@pytest.mark.parametrize("expected", [{}, {"unheard_of": "0" * 64}], ids=["none", "unknown"])
def test_unsound_archive_is_fetched_in_one_stream(
    server: FaultServer,
    fetch: Callable[..., Download],
    monkeypatch: pytest.MonkeyPatch,
    expected: dict[str, str],
) -> None:
    """Without a digest that can be computed, the check sums in a zip show that parts are of another file."""
    monkeypatch.setattr(endings, "is_sound", soundness.is_sound)
    archives = [
        zip_bytes([Member("data", content(LARGE, seed), compression=zipfile.ZIP_STORED)]) for seed in (1, 2)
    ]

    def replace_parts(exchange: Exchange) -> None:
        if exchange.range is not None:
            exchange.body = archives[1]

    server.behaviours["/big.whl"] = with_ranges(replace_parts)
    fetched = fetch("/big.whl", archives[0], **expected).result()
    assert fetched.matches is None
    assert fetched.path.read_bytes() == archives[0]
    assert server.ranges("/big.whl").count(None) == 2


def test_digest_that_cannot_be_computed_is_no_grounds(
    server: FaultServer, fetch: Callable[..., Download]
) -> None:
    """A date, then, is not enough: nothing would tell in the end."""

    def dated(exchange: Exchange) -> None:
        exchange.etag, exchange.more = None, {"Last-Modified": "Sun, 02 Feb 2020 02:02:02 GMT"}
        exchange.serve()

    server.behaviours["/big.whl"] = dated
    assert fetch("/big.whl", BIG, unheard_of="0" * 64).result().path.read_bytes() == BIG
    assert server.ranges("/big.whl") == [None]


def test_mismatch_keeps_the_file(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A wrong digest is the caller's to report; the file is there and the digests are told."""
    fetched = fetch("/small.whl", b"content", sha256="0" * 64, md5="0" * 32).result()
    assert fetched.matches is False
    assert fetched.path.read_bytes() == b"content"
    assert set(fetched.digests) == {"sha256", "md5"}


def test_resumes_where_a_stream_broke(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A small file that breaks off is continued by a range from exactly there."""
    body = content(200_000)

    def answer(exchange: Exchange) -> None:
        exchange.serve(stop_after=None if exchange.range else 70_000)

    server.behaviours["/small.whl"] = answer
    assert fetch("/small.whl", body).result().path.read_bytes() == body
    assert server.ranges("/small.whl") == [None, (70_000, 200_000)]


def test_broken_segments_resume(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """Every segment breaks off after 50 kB, by an early end or a reset; no byte is lost or doubled."""

    def answer(exchange: Exchange) -> None:
        if exchange.range is None:
            exchange.serve()
            return
        exchange.serve(stop_after=50_000)
        if exchange.number % 2:
            exchange.reset()

    server.behaviours["/big.whl"] = answer
    download = fetch("/big.whl", BIG, sha256=sha256(BIG))
    assert sum(download.received()) == LARGE
    assert download.result().matches is True


def test_ranges_that_always_break(server: FaultServer, fetch: Callable[..., Download]) -> None:
    """A server that resets every ranged request still serves the file, in one stream."""

    def answer(exchange: Exchange) -> None:
        if exchange.range is None:
            exchange.serve()
        else:
            exchange.reset()

    server.behaviours["/big.whl"] = answer
    assert fetch("/big.whl", BIG, sha256=sha256(BIG)).result().matches is True


def test_threshold_is_the_callers(server: FaultServer, tmp_path: Path) -> None:
    """A pool with a high threshold sends plain requests only; one connection as well."""
    server.bodies["/big.whl"] = BIG
    for options in ({"segment_threshold": LARGE + 1}, {"connections": 1, "segment_threshold": THRESHOLD}):
        with opened(PlainTransport(), **options) as pool:
            fetched = pool.submit(server.url("/big.whl"), tmp_path, name=named).result()
            assert fetched.path.read_bytes() == BIG
    assert server.ranges("/big.whl") == [None, None]
