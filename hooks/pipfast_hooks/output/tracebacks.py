"""pip's tracebacks without our frames."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import pipfast
import pipfast_hooks
from pipfast import dependencies

if TYPE_CHECKING:
    import logging


def _ours() -> tuple[str, ...]:
    """Return the folders of the hooks, of the engine, and of the library that wraps pip's functions."""
    files = (pipfast_hooks.__file__, pipfast.__file__, dependencies.load("wrapt").__file__)
    return tuple(f"{Path(str(file)).parent}/" for file in files)


def leave_ours_out(record: logging.LogRecord) -> None:
    """Remove our frames from a record's traceback; an error that our own code raised keeps all."""
    if not record.exc_info or record.exc_info[1] is None or record.exc_text:
        return
    kind, error, _ = record.exc_info
    seen: set[int] = set()
    left: list[BaseException] = [error]
    ours = _ours()
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
