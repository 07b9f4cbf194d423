"""Plain log lines, written without rich.

Where they are ASCII and go to no terminal, rich would change nothing.
"""

from __future__ import annotations

import logging
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipfast_hooks.guard import guarded
from pipfast_hooks.output.tracebacks import leave_ours_out

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
    # Older versions of rich have one live display, newer ones a stack.
    return not (console._render_hooks or getattr(console, "_live", None) or getattr(console, "_live_stack", None))
