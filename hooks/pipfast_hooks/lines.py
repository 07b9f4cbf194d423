"""pip's own lines and bars about a download whose bytes came without pip."""

from __future__ import annotations

import contextlib
import inspect
import logging
from typing import TYPE_CHECKING, Any

from pip._internal.network import download as pip_download
from pip._vendor.requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from collections.abc import Iterator


class StandIn:
    """What pip's code wants to know of a response whose bytes are here already."""

    def __init__(self, size: int | None, from_cache: bool) -> None:
        self.headers = CaseInsensitiveDict({"Content-Length": str(size)} if size is not None else {})
        self.from_cache = from_cache
        self.url = ""


class _Told:
    """A response whose raw body is only counted: pip's progress bar wants lengths, not bytes."""

    _BLOCK = bytes(1 << 20)

    def __init__(self, response: Any, increments: Iterator[int]) -> None:
        self.headers = response.headers
        self.from_cache = getattr(response, "from_cache", False)
        self.raw = self
        self._increments = increments

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[memoryview]:
        """Yield blocks as long as what has arrived; their content is nothing."""
        block = memoryview(self._BLOCK)
        for increment in self._increments:
            while increment > len(block):
                yield block
                increment -= len(block)
            yield block[:increment]


class _OnceOnly(logging.Filter):
    """Drops the line that a download begins with, the first time."""

    def __init__(self) -> None:
        super().__init__()
        self._dropped = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every other record."""
        if self._dropped or record.msg not in ("Downloading %s", "Using cached %s"):
            return True
        self._dropped = True
        return False


@contextlib.contextmanager
def told_already() -> Iterator[None]:
    """Have pip's code leave out its line about a download that ``tell`` has had it write."""
    once = _OnceOnly()
    pip_download.logger.addFilter(once)
    try:
        yield
    finally:
        pip_download.logger.removeFilter(once)


def tell(response: Any, link: Any, progress_bar: str, size: int | None, increments: Iterator[int]) -> None:
    """Have pip's own code write its line and draw its bar, until all increments have come."""
    log = getattr(pip_download, "_log_download", None) or pip_download._prepare_download
    told = _Told(response, increments)
    known = inspect.signature(log).parameters
    further = {"total_length": size} if "total_length" in known else {}
    for _ in log(told, link, progress_bar, **further):
        pass
