"""Log records of worker threads, kept for the main thread to write."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from collections.abc import Iterator

def _hold_back(record: logging.LogRecord) -> bool:
    if here.records is None:
        return True
    here.records.append(record)
    return False

_REPLAYED = "_pipfast_replayed"


@contextlib.contextmanager
def held_back(records: list[logging.LogRecord]) -> Iterator[None]:
    """Add this thread's log records to ``records`` instead of writing them."""
    for handler in logging.getLogger().handlers:
        if _hold_back not in handler.filters:
            handler.addFilter(_hold_back)
    with here.having(records=records):
        yield


@contextlib.contextmanager
def held_back_twice(records: list[logging.LogRecord]) -> Iterator[None]:
    """Add this thread's records to ``records``, too; whichever list is replayed first writes them."""
    mine: list[logging.LogRecord] = []
    try:
        with held_back(mine):
            yield
    finally:
        for kept in (here.records, records):
            if kept is not None:
                kept += mine


def are_held_back() -> bool:
    """Return whether this is a worker thread, which must not ask the user anything."""
    return here.records is not None


def replay(records: list[logging.LogRecord]) -> None:
    """Write kept records, each once, and empty the list; a worker thread adds them to its own list instead."""
    if here.records is not None:
        here.records += records
        records.clear()
    while records:
        record = records.pop(0)
        # Each handler's filter kept the record once.
        if not hasattr(record, _REPLAYED):
            setattr(record, _REPLAYED, True)
            logging.getLogger(record.name).handle(record)
