"""Ranged requests, and the check that parts are of one file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipfast.fetch.transport import Response

# e.g. `bytes 4194304-8388607/199103001`
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)", re.ASCII | re.IGNORECASE)


class Verdict(Enum):
    """A judgement on the answer to a ranged request."""

    PART = "part"
    """It has the bytes that were asked for, or the first of them."""
    REFUSED = "refused"
    """It has no usable part, and no sign that the file has changed."""
    CHANGED = "changed"
    """It is about another file than the first answer."""


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the announced size of a body, or None."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if text.isascii() and text.isdigit() else None


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """The first answer's headers about the file; later answers must agree."""

    size: int | None
    etag: str | None
    last_modified: str | None
    validator: str | None
    """A value for If-Range: a strong ETag, or a date that is strong by RFC 9110, 8.8.2.2."""
    accepts_ranges: bool

    @classmethod
    def of(cls, response: Response) -> FileIdentity:
        """Read the headers of a plain, whole answer."""
        headers = response.headers
        encoded = headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")
        ranges = headers.get("Accept-Ranges", "").strip().lower() == "bytes"
        return cls(
            content_length(headers), headers.get("ETag"), headers.get("Last-Modified"), _strong_validator(headers),
            accepts_ranges=ranges and not encoded and response.status == 200,
        )

    def resumable(self, *, digest_known: bool) -> bool:
        """Whether parts of this file can be asked for, and checked; by a date only if its digest is known."""
        named = self.validator is not None and (digest_known or self.validator == self.etag)
        return self.accepts_ranges and bool(self.size) and named

    def request_headers(self, start: int, end: int) -> dict[str, str]:
        """Return headers that ask for ``[start, end)``."""
        condition = {} if self.validator is None else {"If-Range": self.validator}
        return {"Range": f"bytes={start}-{end - 1}", **condition}

    def judge(self, response: Response, start: int, end: int) -> tuple[Verdict, int]:
        """Judge the answer to a request for ``[start, end)``.

        :returns: the verdict, and for a part the position behind its last byte.
        """
        etag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
        differs = None not in (self.last_modified, modified) and modified != self.last_modified
        if self.etag and etag:
            differs = etag.removeprefix("W/") != self.etag.removeprefix("W/")
        if differs:
            return Verdict.CHANGED, start
        if response.status != 206:
            whole = response.status == 200 and content_length(response.headers) == self.size
            return (Verdict.REFUSED if whole else Verdict.CHANGED), start
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        # RFC 9110, 15.3.7: the answer to If-Range must repeat the tag; it need not repeat the date.
        untold = self.validator is not None and self.validator == self.etag != etag
        if untold or match is None or response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return Verdict.REFUSED, start
        first, last, total = map(int, match.groups())
        if total != self.size or first != start:
            return Verdict.CHANGED, start
        if not start <= last < end:
            return Verdict.REFUSED, start
        length = content_length(response.headers)
        if length is not None and length != last + 1 - first:
            return Verdict.REFUSED, start
        return Verdict.PART, last + 1


def _strong_validator(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("ETag", "")
    if len(etag) >= 2 and etag[0] == etag[-1] == '"':
        return etag
    last_modified = headers.get("Last-Modified")
    if last_modified is None:
        return None
    try:
        age = parsedate_to_datetime(headers.get("Date", "")) - parsedate_to_datetime(last_modified)
    except (TypeError, ValueError):
        return None
    # A file that was written in the second of the answer could change within it and keep its date.
    return last_modified if age.total_seconds() >= 1 else None
