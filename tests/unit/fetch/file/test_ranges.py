"""Answers that are parts of a file, and validators that vouch for them."""

from __future__ import annotations

import pytest

from pipfast.fetch.file.ranges import FileIdentity, Verdict, content_length
from unit.fetch.fake_transport import FakeResponse, whole

DATE = "Mon, 01 Jan 2024 10:00:00 GMT"
EARLIER = "Mon, 01 Jan 2024 09:59:59 GMT"
BODY = bytes(1000)
FIRST = FileIdentity.of(whole(BODY, Accept_Ranges="bytes", ETag='"v1"'))


def part(content_range: str, length: int | None = None, status: int = 206, **headers: str) -> FakeResponse:
    headers = {"ETag": '"v1"', **headers}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if length is not None:
        named["Content-Length"] = str(length)
    return FakeResponse([], {"Content-Range": content_range, **named}, status)


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"strong"'}, '"strong"'),
        ({"ETag": '"strong"', "Last-Modified": EARLIER, "Date": DATE}, '"strong"'),
        ({"ETag": 'W/"weak"'}, None),
        ({"ETag": '"'}, None),
        ({"ETag": "bare"}, None),
        ({"ETag": 'W/"weak"', "Last-Modified": EARLIER, "Date": DATE}, EARLIER),
        ({"Last-Modified": EARLIER, "Date": DATE}, EARLIER),
        ({"Last-Modified": DATE, "Date": DATE}, None),
        ({"Last-Modified": DATE, "Date": EARLIER}, None),
        ({"Last-Modified": EARLIER}, None),
        ({"Last-Modified": "yesterday", "Date": DATE}, None),
        ({"Last-Modified": "Mon, 01 Jan 2024 09:59:59 -0000", "Date": DATE}, None),
        ({}, None),
    ],
)
def test_validator(headers: dict[str, str], validator: str | None) -> None:
    """Strong entity tags, and dates that are strong by RFC 9110, nothing else."""
    assert FileIdentity.of(FakeResponse([], headers)).validator == validator


def test_resumable_needs_all_conditions() -> None:
    """Accept-Ranges, a size, no encoding, and a validator, which has to be a tag where no digest is known."""
    good = {"Content-Length": "10", "Accept-Ranges": "bytes", "ETag": '"v1"'}
    assert FileIdentity.of(FakeResponse([], good)).resumable(digest_known=False)
    for name, value in [
        ("Content-Length", ""),
        ("Content-Length", "0"),
        ("Content-Length", "-5"),
        ("Accept-Ranges", "none"),
        ("Accept-Ranges", ""),
        ("Content-Encoding", "br"),
    ]:
        identity = FileIdentity.of(FakeResponse([], {**good, name: value}))
        assert not identity.resumable(digest_known=True), (name, value)
    without = FileIdentity.of(FakeResponse([], {**good, "ETag": ""}))
    assert not without.resumable(digest_known=False)
    assert not without.resumable(digest_known=True)
    dated = {**good, "ETag": "", "Last-Modified": EARLIER, "Date": DATE}
    assert not FileIdentity.of(FakeResponse([], dated)).resumable(digest_known=False)
    assert FileIdentity.of(FakeResponse([], dated)).resumable(digest_known=True)


def test_request_headers() -> None:
    """The last byte of a range is inclusive on the wire."""
    assert FIRST.request_headers(100, 200) == {"Range": "bytes=100-199", "If-Range": '"v1"'}


@pytest.mark.parametrize(
    ("response", "verdict", "limit"),
    [
        (part("bytes 100-199/1000", 100), Verdict.PART, 200),
        (part("BYTES 100-199/1000"), Verdict.PART, 200),
        (part("bytes 100-100/1000"), Verdict.PART, 101),
        (part("bytes 100-199/1000", ETag=""), Verdict.REFUSED, 100),
        (part("bytes 100-200/1000"), Verdict.REFUSED, 100),
        (part("bytes 100-199/*"), Verdict.REFUSED, 100),
        (part("bytes */1000"), Verdict.REFUSED, 100),
        (part("bytes 100-99/1000"), Verdict.REFUSED, 100),
        (part("bytes 100-199/1000", 99), Verdict.REFUSED, 100),
        (part("bytes \u0661-199/1000"), Verdict.REFUSED, 100),
        (part(""), Verdict.REFUSED, 100),
        (part("bytes 100-199/1000", Content_Encoding="gzip"), Verdict.REFUSED, 100),
        (part("bytes 101-199/1000"), Verdict.CHANGED, 100),
        (part("bytes 100-199/1001"), Verdict.CHANGED, 100),
        (part("bytes 100-199/1000", ETag='"v2"'), Verdict.CHANGED, 100),
        (whole(BODY), Verdict.REFUSED, 100),
        (whole(BODY, ETag='"v1"'), Verdict.REFUSED, 100),
        (whole(BODY, ETag='"v2"'), Verdict.CHANGED, 100),
        (whole(BODY + b"!", ETag='"v1"'), Verdict.CHANGED, 100),
    ],
)
def test_judge(response: FakeResponse, verdict: Verdict, limit: int) -> None:
    """Exactly the bytes that were asked for, of the same file, or nothing."""
    assert FIRST.judge(response, 100, 200) == (verdict, limit)


def test_dates_are_compared_where_there_are_no_tags() -> None:
    """Another Last-Modified is another file."""
    first = FileIdentity.of(whole(BODY, Accept_Ranges="bytes", Last_Modified=EARLIER, Date=DATE))
    same, other = (part("bytes 0-9/1000", ETag="", Last_Modified=date) for date in (EARLIER, DATE))
    assert first.judge(same, 0, 10)[0] is Verdict.PART
    assert first.judge(other, 0, 10)[0] is Verdict.CHANGED


@pytest.mark.parametrize(("text", "size"), [("12", 12), (" 12 ", 12), ("", None), ("-1", None), ("1e3", None)])
def test_content_length(text: str, size: int | None) -> None:
    """Digits only; anything else is no length."""
    assert content_length({"Content-Length": text}) == size
