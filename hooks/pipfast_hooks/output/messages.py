"""Plain log lines written without rich; tracebacks without our frames.

Where they are ASCII and go to no terminal, rich would change nothing.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

import pipfast
import pipfast_hooks
from pipfast import dependencies
from pipfast_hooks.guard import guarded

if TYPE_CHECKING:
    from pipfast_hooks.call import Call

_PLAIN = re.compile(r"[ -~]*[!-~]")
"""A line that rich prints unchanged: without tabs, control characters and blanks at the end."""

_AS_IT_IS = MappingProxyType({
    "is_terminal": False, "is_jupyter": False, "color_system": None, "legacy_windows": False, "quiet": False,
    "record": False, "style": None, "stderr": False, "_buffer_index": 0,
})
"""Attributes of a console that adds nothing to a text."""


def _around_emit(call: Call) -> Any:
    """Write a plain message to the console's file; leave others to rich, tracebacks without our frames."""
    message = None
    with guarded("a message is left to rich"):
        record = call["record"]
        leave_ours_out(record)
        console = call.instance.console
        message = _plain_message(call.instance, record) if _is_plain(console) else None
    if message is None:
        return call.original()
    try:
        with console._lock:
            console.file.write(f"{message}\n")
            console.file.flush()
    except Exception:
        # pip finds out about a closed pipe here.
        call.instance.handleError(record)
    return None


def _plain_message(handler: Any, record: logging.LogRecord) -> str | None:
    if record.levelno >= logging.WARNING or getattr(record, "rich", False):
        return None
    if getattr(record, "markup", handler.markup) or record.exc_info or record.stack_info:
        return None
    message: str = handler.format(record)
    return message if _PLAIN.fullmatch(message) else None


def _is_plain(console: Any) -> bool:
    if any(getattr(console, name) != value for name, value in _AS_IT_IS.items()):
        return False
    # Older versions of rich have one live display, newer ones a stack; a distribution's pip may have any.
    if not (hasattr(console, "_live") or hasattr(console, "_live_stack")):
        return False
    return not (console._render_hooks or getattr(console, "_live", None) or getattr(console, "_live_stack", None))


def leave_ours_out(record: logging.LogRecord) -> None:
    """Remove our frames from a record's traceback; an error that our own code raised keeps all."""
    if not record.exc_info or record.exc_info[1] is None or record.exc_text:
        return
    kind, error, _ = record.exc_info
    seen: set[int] = set()
    left: list[BaseException] = [error]
    # The folders of the hooks, of the engine, and of the library that wraps pip's functions.
    files = (pipfast_hooks.__file__, pipfast.__file__, dependencies.load("wrapt").__file__)
    ours = tuple(f"{Path(str(file)).parent}/" for file in files)
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = _without(each.__traceback__, ours)
        left += [chained for chained in (each.__cause__, each.__context__) if chained is not None]
    record.exc_info = (kind, error, error.__traceback__)


def _without(traceback: TracebackType | None, ours: tuple[str, ...]) -> TracebackType | None:
    frames: list[TracebackType] = []
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    if not frames or _is_from(frames[-1], ours):
        return frames[0] if frames else None
    kept: TracebackType | None = None
    for each in reversed(frames):
        if not _is_from(each, ours):
            kept = TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return kept


def _is_from(traceback: TracebackType, folders: tuple[str, ...]) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(folders)
