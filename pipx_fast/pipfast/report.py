"""Messages on standard error, each printed once; times of phases."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from pipfast.timeline.events import Recorder

logger = logging.getLogger("pipfast")
"""At DEBUG level its records are in pip's ``--log`` file and with ``-vv``."""


def _redact(record: logging.LogRecord) -> bool:
    """Remove passwords from a record: addresses occur in settings, configuration files and errors of libraries."""
    from pipfast.address import redacted

    record.msg, record.args = "\n".join(map(visible, redacted(record.getMessage()).split("\n"))), ()
    if record.exc_info:
        record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
    return True


logger.addFilter(_redact)

_FURTHER = "\n  "

_said: set[str] = set()
"""Printed lines. A hint is not repeated below each message that it helps with."""
_timings: Path | None = None
_before: Callable[[], None] | None = None
recorder: Recorder | None = None
"""Gets the events of this process; None: nobody wants them, and nothing is to be done for them."""


def before_saying(call: Callable[[], None] | None) -> None:
    """Call ``call`` before each message, so that progress rows make room for it; None ends that."""
    global _before
    _before = call


def visible(text: str) -> str:
    """Return a text in one line, with escapes for what a terminal may obey or show as nothing.

    File names that are no text stay as they are: their surrogates mean nothing to a terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or "\udc80" <= each <= "\udcff" else ascii(each)[1:-1] for each in text
    )


def say(message: str, hint: str | None = None) -> None:
    """Print ``pipfast: message`` and ``hint: …`` on standard error, each only the first time.

    A further line begins with two blanks: what others have named can look like no message of ours or pip's.
    """
    from pipfast.address import redacted

    def told(text: str) -> str:
        return _FURTHER.join(map(visible, redacted(text).split(_FURTHER)))

    lines = [f"pipfast: {told(message)}\n", *([f"hint: {told(hint)}\n"] if hint else [])]
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


def record(to: Recorder | None) -> None:
    """Note the events of all threads with a recorder from now on; None ends that."""
    global recorder
    recorder = to


def asked() -> dict[str, Any]:
    """Return when and by which thread something is asked for, as facts of its event; empty if nothing is noted."""
    return {} if recorder is None else {"asked": time.monotonic(), "by": threading.get_ident()}


class timed:  # one reads `with timed(...)`
    """Context that measures a phase; the fields of the dict it gives are written, too."""

    __slots__ = ("_began", "_fields", "_phase")

    def __init__(self, phase: str, **fields: Any) -> None:
        self._phase, self._fields = phase, fields

    def __enter__(self) -> dict[str, Any]:
        """Begin."""
        self._began = time.monotonic()
        return self._fields

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Note the phase, and write its seconds."""
        if recorder is not None:
            if kind is not None:
                self._fields["failed"] = True
            recorder.note(self._phase, self._began, self._fields)
        if _timings is not None:
            from pipfast.address import redacted

            measured = {"phase": self._phase, "seconds": time.monotonic() - self._began, **self._fields}
            _write_timing(_timings, redacted(json.dumps(measured)))


def _write_timing(path: Path, line: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        keep_timings(None)
        why = error.strerror or error
        say(f"no timings are kept: {path}: {why}", "set PIPFAST_TIMINGS to a file that can be written")
