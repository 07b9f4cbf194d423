"""What pip tells servers of the machine, where it runs a program to know it: asked while pip is being imported.

For every session pip runs ``rustc --version``, and on Linux ``lsb_release -a`` and ``uname -rs``, one after
another, and waits for each. Behind rustup's proxy, and where ``lsb_release`` is a script, that takes longer than
many a command's own work.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipfast_hooks.seams import ASKERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast_hooks.call import Call

_QUESTIONS = {("rustc", "--version"): subprocess.STDOUT}
"""Commands as pip 23.0 to 26.3 and their distro run them, and where their standard error goes."""

if sys.platform.startswith("linux"):
    _QUESTIONS |= {("lsb_release", "-a"): subprocess.DEVNULL, ("uname", "-rs"): subprocess.DEVNULL}

_PATIENCE_S = 0.5
"""Seconds to wait for an answer that is kept; pip waits that long for ``rustc``."""

_asked: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}

_kept: dict[tuple[str, ...], tuple[int, bytes]] = {}
"""How each ended and what it has printed, in a process that others are forked from."""


def ask() -> None:
    """Start what pip will start if it makes a session; nothing is said if that fails."""
    forget()
    for command, errors in _QUESTIONS.items():
        if command not in _kept:
            with suppress(Exception):
                if shutil.which(command[0]) is not None:
                    _asked[command] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)


def forget() -> None:
    """End what nobody has waited for."""
    while _asked:
        _, process = _asked.popitem()
        process.kill()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()


def keep() -> None:
    """Know the answers from now on, in this process and in those that it forks; asks if nobody has."""
    if not _asked:
        ask()
    for command, process in list(_asked.items()):
        with suppress(subprocess.SubprocessError, OSError):
            output, _ = process.communicate(timeout=_PATIENCE_S)
            _kept[command] = process.returncode, output
            del _asked[command]
    forget()


def _around_user_agent(call: Call) -> Any:
    """Let pip find the answers where it would start the processes."""
    if not _asked and not _kept:
        return call.original()
    stocks = [(module, module.subprocess) for module in _askers()]
    for module, stock in stocks:
        module.subprocess = SimpleNamespace(**vars(stock) | {"check_output": check_output})
    try:
        return call.original()
    finally:
        for module, stock in stocks:
            module.subprocess = stock
        forget()


def _askers() -> Iterator[Any]:
    for name in ASKERS:
        with suppress(ImportError):
            module: Any = import_module(name)
            if hasattr(module, "subprocess"):
                yield module


def check_output(command: Any, *, stderr: Any = None, timeout: float | None = None, **further: Any) -> bytes:
    """Return what the process printed that was started before; for any other, what ``subprocess`` has for it.

    :raises subprocess.SubprocessError: as ``subprocess.check_output``.
    """
    key = tuple(command)
    if further or _QUESTIONS.get(key) != stderr or (key not in _asked and key not in _kept):
        output: bytes = subprocess.check_output(command, stderr=stderr, timeout=timeout, **further)
        return output
    if key in _kept:
        status, output = _kept[key]
    else:
        output, _ = _asked[key].communicate(timeout=timeout)
        status = _asked.pop(key).returncode
    if status:
        raise subprocess.CalledProcessError(status, command, output)
    return output
