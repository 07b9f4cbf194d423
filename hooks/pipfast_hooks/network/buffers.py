"""Temporary files of answers that pip's cache collects, removed with the run."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from pipfast_hooks.run import Part
from pipfast_hooks.seams import COLLECTS_ANSWERS

if TYPE_CHECKING:
    from pipfast_hooks.run import Run


class Buffers(Part):
    """Notes such files, and removes them at the end, whoever still writes.

    A thread whose request is not waited for ends with the process, and would leave its file where it is.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._open: WeakSet[Any] = WeakSet()
        self._replaced: tuple[Any, Any] | None = None
        """The module and pip's function that makes them, while ours stands in its place."""

    def begin(self) -> None:
        """Note such files from now on."""
        if self._replaced is not None:
            return
        module: Any = import_module(COLLECTS_ANSWERS[0])
        stock = getattr(module, COLLECTS_ANSWERS[1])

        def noted(*args: Any, **kwargs: Any) -> Any:
            file = stock(*args, **kwargs)
            self._open.add(file)
            return file

        setattr(module, COLLECTS_ANSWERS[1], noted)
        self._replaced = module, stock

    def close(self, wait_s: float) -> None:
        """Close and remove what is left; the run is over."""
        if self._replaced is not None:
            module, stock = self._replaced
            setattr(module, COLLECTS_ANSWERS[1], stock)
            self._replaced = None
        for file in list(self._open):
            with suppress(Exception):
                file.close()
        self._open.clear()
