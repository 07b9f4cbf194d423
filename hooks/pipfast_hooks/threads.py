"""Facts about each thread: for whom it works, and how."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from pipfast.fetch.turns import Turn


class _Here(threading.local):
    """The facts about the thread that asks; the values below hold until it sets others."""

    records: list[logging.LogRecord] | None = None
    """Where its log records are held back; None in pip's own thread."""

    # Requests
    ours: bool = False
    """Its requests are early ones: the seam of pip's session leaves them alone."""
    asked: list[tuple[str, str, dict[str, str]]] | None = None
    """Its next request is noted here (method, address, headers) and is not sent."""
    answer: Any = None
    """The response that its next request gets without being sent."""
    turn: Turn | None = None
    retries: Any = None
    """urllib3's ``Retry``, by which pip would have sent that request again."""
    had_company: bool = False
    """Whether an early request was under way beside one of pip's own, since this was last set."""
    takes_compressed: bool = False

    # Builds
    build: Any = None
    @contextmanager
    def having(self, **values: Any) -> Iterator[None]:
        """Set these values for the block, and afterwards those that were there before."""
        before = {name: getattr(self, name) for name in values}
        vars(self).update(values)
        try:
            yield
        finally:
            vars(self).update(before)


here = _Here()
