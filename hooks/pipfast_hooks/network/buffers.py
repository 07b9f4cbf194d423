"""Temporary files in which pip's cache collects answers: removed at the end of the run, whoever still writes.

A thread whose request is not waited for ends with the process, and would leave its file where it is.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any
from weakref import WeakSet

from pipfast_hooks.seams import COLLECTS_ANSWERS

_open: WeakSet[Any] = WeakSet()

_changed: list[tuple[Any, Any]] = []
"""The module and what it made its files with, while they are noted."""


def begin() -> None:
    """Note such files from now on."""
    if _changed:
        return
    module: Any = import_module(COLLECTS_ANSWERS[0])
    stock = getattr(module, COLLECTS_ANSWERS[1])

    def noted(*args: Any, **kwargs: Any) -> Any:
        file = stock(*args, **kwargs)
        _open.add(file)
        return file

    setattr(module, COLLECTS_ANSWERS[1], noted)
    _changed.append((module, stock))


def forget() -> None:
    """Close and remove what is left; the run is over."""
    while _changed:
        module, stock = _changed.pop()
        setattr(module, COLLECTS_ANSWERS[1], stock)
    for file in list(_open):
        with suppress(Exception):
            file.close()
    _open.clear()
