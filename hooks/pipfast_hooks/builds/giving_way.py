"""Precedence of pip's processes over those that run beside it."""

from __future__ import annotations

import errno
import threading
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipfast.report import logger
from pipfast_hooks.run import Part
from pipfast_hooks.seams import STARTS_PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipfast_hooks.run import Run

_SCARCE = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors for want of a process, of memory or of descriptors."""


class GivingWay(Part):
    """Starts pip's processes. Where the system refuses one, everything beside pip ends, and it tries again."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        module: Any = import_module(STARTS_PROCESSES)
        self._module, self._stock = module, module.subprocess
        stock = self._stock

        def popen(*args: Any, **kwargs: Any) -> Any:
            return self._in_place_of_ours(lambda: stock.Popen(*args, **kwargs))

        self._module.subprocess = SimpleNamespace(**vars(stock) | {"Popen": popen})

    def _in_place_of_ours(self, start: Callable[[], Any]) -> Any:
        """Start a process of pip's; if that is refused, end ours and try again."""
        try:
            return start()
        except OSError as error:
            if error.errno not in _SCARCE or threading.current_thread() is not threading.main_thread():
                raise
            logger.debug("pipfast: nothing runs beside pip any more: %r", error)
        self.run.give_way()
        return start()

    def close(self, wait_s: float) -> None:
        """Let pip start its processes itself."""
        self._module.subprocess = self._stock
