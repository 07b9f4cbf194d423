"""Guard around our own code: after a surprise pip does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipfast.report import logger

if TYPE_CHECKING:
    from types import TracebackType


def is_interrupt(error: BaseException) -> bool:
    """Tell whether an error came of Ctrl-C.

    Where KeyboardInterrupt comes while a ``threading.Condition`` has given its lock up, releasing the lock once
    more raises RuntimeError in its place.
    """
    return isinstance(error, RuntimeError) and isinstance(error.__context__, KeyboardInterrupt)


class guarded:  # one reads `with guarded(...)`
    """Context in which an ``Exception`` is logged and goes no further; Ctrl-C and the like do.

    For work of ours that pip can do without, or does itself when it comes to it. An error of pip's own is kept
    back, too: pip meets it again in its own place, and says so in its own words.
    """

    __slots__ = ("_arguments", "_brief", "_words")

    def __init__(self, words: str, *arguments: object, brief: bool = False) -> None:
        """:param words: what becomes of it, for the debug log, with a ``%s`` for each of ``arguments``.

        :param brief: log the error itself, without its traceback: it is expected.
        """
        self._words, self._arguments, self._brief = words, arguments, brief

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Log an ``Exception`` and keep it back."""
        if not isinstance(error, Exception):
            return False
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        if self._brief:
            logger.debug(f"pipfast: {self._words}: %r", *self._arguments, error)
        else:
            logger.debug(f"pipfast: {self._words}", *self._arguments, exc_info=error)
        return True
