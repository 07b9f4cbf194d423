"""Room for pip's own processes: where the system refuses one, what runs beside pip ends, and pip asks again."""

from __future__ import annotations

import errno
import threading
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipfast.report import logger
from pipfast_hooks.run import current_run
from pipfast_hooks.seams import STARTS_PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable

_SCARCE = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""No further process, no memory for one, no descriptor for its pipes."""

_changed: list[tuple[Any, Any]] = []
"""pip's module and what its ``subprocess`` was, while its processes are started here."""


def begin() -> None:
    """From now on, let pip's processes come before those beside it."""
    if not _changed:
        module: Any = import_module(STARTS_PROCESSES)
        stock = module.subprocess

        def popen(*args: Any, **kwargs: Any) -> Any:
            return in_place_of_ours(lambda: stock.Popen(*args, **kwargs))

        module.subprocess = SimpleNamespace(**vars(stock) | {"Popen": popen})
        _changed.append((module, stock))


def forget() -> None:
    """Leave pip's processes to pip."""
    while _changed:
        module, stock = _changed.pop()
        module.subprocess = stock


def in_place_of_ours(start: Callable[[], Any]) -> Any:
    """Start a process of pip's; if that is refused, once more when nothing of ours runs."""
    try:
        return start()
    except OSError as error:
        if error.errno not in _SCARCE or threading.current_thread() is not threading.main_thread():
            raise
        logger.debug("pipfast: nothing runs beside pip any more: %r", error)
    current_run().give_way()
    return start()
