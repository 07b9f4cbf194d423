"""Messages on standard error, each printed once; times of phases; counts."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

logger = logging.getLogger("pipfast")
"""At DEBUG level its records are in pip's ``--log`` file and with ``-vv``."""


def _redact(record: logging.LogRecord) -> bool:
    """Remove passwords from a record: addresses occur in settings, configuration files and errors of libraries."""
    from pipfast.address import redacted

    record.msg, record.args = redacted(record.getMessage()), ()
    if record.exc_info:
        record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
    return True


logger.addFilter(_redact)

_said: set[str] = set()
"""Printed lines. A hint is not repeated below each message that it helps with."""
_timings: Path | None = None
_before: Callable[[], None] | None = None


def before_saying(call: Callable[[], None] | None) -> None:
    """Call ``call`` before each message, so that progress rows make room for it; None ends that."""
    global _before
    _before = call


def say(message: str, hint: str | None = None) -> None:
    """Print ``pipfast: message`` and ``hint: …`` on standard error, each only the first time."""
    from pipfast.address import redacted

    message, hint = redacted(message), redacted(hint) if hint else hint
    lines = [f"pipfast: {message}\n", *([f"hint: {hint}\n"] if hint else [])]
    if lines[0] in _said:
        return
    text = "".join(line for line in lines if line not in _said)
    _said.update(lines)
    if (before := _before) is not None:
        before()
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        # Standard error may be closed or missing: the installation goes on.
        logger.debug("%s", text)


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Return a count and its noun: ``1 entry``, ``2 entries``.

    :param nouns: the plural that is neither the noun with an s nor with ``ies`` for a y.
    """
    nouns = nouns or (f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s")
    return f"{count} {noun if count == 1 else nouns}"


def keep_timings(path: Path | None) -> None:
    """Append the time of each later phase to ``path`` as a JSON line; None ends that."""
    global _timings
    _timings = path


@contextmanager
def timed(phase: str, **fields: object) -> Iterator[dict[str, object]]:
    """Measure a phase in seconds; the fields of the yielded dict are written, too."""
    began = time.perf_counter()
    try:
        yield fields
    finally:
        if _timings is not None:
            from pipfast.address import redacted

            line = redacted(json.dumps({"phase": phase, "seconds": time.perf_counter() - began, **fields}))
            _write_timing(_timings, line)


def _write_timing(path: Path, line: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        keep_timings(None)
        why = error.strerror or error
        say(f"no timings are kept: {path}: {why}", "set PIPFAST_TIMINGS to a file that can be written")
