"""What worker threads log, kept until the main thread comes to what they did, and written then."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_thread = threading.local()
"""``records``: where this thread's log records are kept."""


class _HoldBack(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        records = getattr(_thread, "records", None)
        if records is None:
            return True
        records.append(record)
        return False


_hold_back = _HoldBack()

_REPLAYED = "_pipfast_replayed"
"""The attribute of a record that has been written."""


@contextlib.contextmanager
def held_back(records: list[logging.LogRecord]) -> Iterator[None]:
    """Put what this thread logs into ``records`` instead of writing it."""
    for handler in logging.getLogger().handlers:
        if _hold_back not in handler.filters:
            handler.addFilter(_hold_back)
    before = getattr(_thread, "records", None)
    _thread.records = records
    try:
        yield
    finally:
        _thread.records = before


@contextlib.contextmanager
def held_back_twice(records: list[logging.LogRecord]) -> Iterator[None]:
    """Put what this thread logs into ``records``, too: whoever comes first has it written."""
    before: list[logging.LogRecord] = _thread.records
    mine: list[logging.LogRecord] = []
    try:
        with held_back(mine):
            yield
    finally:
        before += mine
        records += mine


def are_held_back() -> bool:
    """Tell whether this thread works for the main thread: it must not ask the user for anything."""
    return getattr(_thread, "records", None) is not None


def replay(records: list[logging.LogRecord]) -> None:
    """Write what was kept, each record once, and forget it; in a thread whose records are kept, hand it on."""
    held: list[logging.LogRecord] | None = getattr(_thread, "records", None)
    if held is not None:
        held += records
        records.clear()
    while records:
        record = records.pop(0)
        # A record was offered to every handler, and kept once for each.
        if not hasattr(record, _REPLAYED):
            setattr(record, _REPLAYED, True)
            logging.getLogger(record.name).handle(record)
