"""Download pools that are closed at a block's end, whatever they wait for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipfast.fetch.pool import DownloadPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast.fetch.transport import Transport


@contextmanager
def opened(transport: Transport, **options: Any) -> Iterator[DownloadPool]:
    """Yield a pool; afterwards cancel what is unfinished, and end requests whose headers have not come yet."""
    pool = DownloadPool(transport, **options)
    try:
        yield pool
    finally:
        pool.close(0)
        if abort := getattr(transport, "abort", None):
            abort()
        pool.close()
