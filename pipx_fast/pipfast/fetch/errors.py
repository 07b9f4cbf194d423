"""Errors of downloads, besides the transport's own."""

from __future__ import annotations

from pipfast.address import shown
from pipfast.errors import PipfastError


class FetchError(PipfastError):
    """A download failed for a reason that the transport did not see."""

    def __init__(self, url: str) -> None:
        super().__init__(shown(url))
        self.url = url


class TruncatedBody(FetchError):
    """A response ended before its Content-Length, which the transport took for its end."""

    def __init__(self, url: str, position: int, end: int) -> None:
        super().__init__(url)
        self.position = position
        self.end = end

    def __str__(self) -> str:
        return f"the answer ended at byte {self.position} of {self.end}"


class WrongDigest(FetchError):
    """A file that has not the digest that its index tells, though it came in one stream in the end."""

    def __str__(self) -> str:
        return f"{shown(self.url)} has not its digest"


class UnsafeName(FetchError):
    """A file name that is not a single path component."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(url)
        self.name = name

    def __str__(self) -> str:
        return f"refusing to write a download to {self.name!r}: not a plain file name"


class DownloadCancelled(FetchError):
    """The pool was closed before this download had ended."""

    def __str__(self) -> str:
        return "the download was cancelled"
