"""What pipfast itself has to say: on standard error, each thing once, with what to do."""

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
"""pip's ``--log`` file and ``-vv`` show what is logged here at DEBUG level."""

_said: set[str] = set()
_timings: Path | None = None
_before: Callable[[], None] | None = None


def before_saying(call: Callable[[], None] | None) -> None:
    """Have ``call`` called before each message: progress rows make room for it. None for nothing."""
    global _before
    _before = call


def say(message: str, hint: str | None = None) -> None:
    """Print ``pipfast: message`` and ``hint: …`` on standard error, the same text only once."""
    text = f"pipfast: {message}\n" + (f"hint: {hint}\n" if hint else "")
    if text in _said:
        return
    _said.add(text)
    if (before := _before) is not None:
        before()
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        # A closed or missing standard error must not fail the installation it speaks of.
        logger.debug("%s", text)


def keep_timings(path: Path | None) -> None:
    """From now on, append the time of each phase to ``path`` as JSON lines; None keeps nothing."""
    global _timings
    _timings = path


@contextmanager
def timed(phase: str, **fields: object) -> Iterator[dict[str, object]]:
    """Time a phase in seconds of a monotonic clock; the yielded dict takes further fields."""
    began = time.perf_counter()
    try:
        yield fields
    finally:
        if _timings is not None:
            line = json.dumps({"phase": phase, "seconds": time.perf_counter() - began, **fields})
            with _timings.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
