"""pip's download line and progress bar for files that we fetched."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import sys
from typing import TYPE_CHECKING, Any

from pip._internal.network import download as pip_download
from pip._vendor.requests.structures import CaseInsensitiveDict

from pipfast_hooks.output.plain_text import columns
from pipfast_hooks.seams import DRAWS_BARS

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

BAR_FROM = 50
"""Columns of a terminal; in less, pip's bar takes two lines for one."""

RATE_WINDOW_S = 29.0
"""Seconds; rich measures a rate over the last 30."""


class StandIn:
    """The attributes of a response that pip's code reads when the bytes are here already."""

    def __init__(self, size: int | None, from_cache: bool) -> None:
        self.headers = CaseInsensitiveDict({"Content-Length": str(size)} if size is not None else {})
        self.from_cache = from_cache
        self.url = ""


class _Told:
    """A response without bytes: pip's progress bar needs their lengths only."""

    def __init__(self, response: Any, increments: Iterable[int]) -> None:
        self.headers = response.headers
        self.from_cache = getattr(response, "from_cache", False)
        self.raw = self
        self._increments = increments

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[range]:
        """Yield an object of the right length for each increment."""
        for increment in self._increments:
            yield range(increment)


@contextlib.contextmanager
def told_already() -> Iterator[None]:
    """Drop the first line of pip's code about a download: ``tell`` has printed it."""
    waiting = ["Downloading %s", "Using cached %s"]

    def is_other(record: logging.LogRecord) -> bool:
        if record.msg not in waiting:
            return True
        waiting.clear()
        return False

    pip_download.logger.addFilter(is_other)
    try:
        yield
    finally:
        pip_download.logger.removeFilter(is_other)


def tell(
    response: Any, link: Any, progress_bar: str, size: int | None, increments: Iterable[int], *,
    times: Callable[[], tuple[float, float] | None] = lambda: None,
    aside: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
) -> None:
    """Print pip's line about a download, wait for all increments, and print pip's finished bar.

    The bar is drawn when the file is here: a download that fails leaves none.

    :param times: of the first byte and of the last, in seconds of a monotonic clock; None if nothing was fetched.
    :param aside: a context in which the screen is free for the bar.
    """
    if progress_bar == "raw":
        # Programs read lines like `Progress 262144 of 1048576` while the bytes come.
        _log(_Told(response, increments), link, progress_bar, size)
        return
    _log(_Told(response, ()), link, "off", size)
    arrived = sum(increments)
    is_narrow = sys.stdout is not None and sys.stdout.isatty() and columns(sys.stdout) < BAR_FROM
    if progress_bar != "off" and not is_narrow:
        with told_already(), aside():
            _draw(response, link, progress_bar, size, arrived, times())


def _draw(
    response: Any, link: Any, progress_bar: str, size: int | None, arrived: int, times: tuple[float, float] | None
) -> None:
    clock = _Clock()

    def increments() -> Iterator[int]:
        if times is None or arrived < 2 or times[1] <= times[0]:
            # Nothing was transferred, so rich shows `?` for the rate.
            yield arrived
            return
        began, ended = times
        clock.now = max(began, ended - RATE_WINDOW_S)
        # rich measures from the first increment on.
        first = max(1, int(arrived * (clock.now - began) / (ended - began)))
        yield first
        clock.now = ended
        yield arrived - first

    clock.now = times[0] if times is not None else 0.0
    module, name = DRAWS_BARS
    names = vars(importlib.import_module(module))
    original = names[name]
    # auto_refresh would start a thread for a bar that is printed once.
    names[name] = functools.partial(original, get_time=clock, auto_refresh=False)
    try:
        _log(_Told(response, increments()), link, progress_bar, size)
    finally:
        names[name] = original


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _log(told: _Told, link: Any, progress_bar: str, size: int | None) -> None:
    log = getattr(pip_download, "_log_download", None) or pip_download._prepare_download
    further = {"total_length": size} if "total_length" in inspect.signature(log).parameters else {}
    for _ in log(told, link, progress_bar, **further):
        pass
