"""The version of Rust's compiler, which pip tells servers: asked for while pip is still being imported.

pip runs ``rustc --version`` for every session and waits for it; behind rustup's proxy that takes longer than
many a command's own work.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


COMMAND = ["rustc", "--version"]
"""As pip 23.0 to 26.3 ask."""

_PATIENCE_S = 0.5
"""Seconds that pip waits for the answer."""

_asked: subprocess.Popen[bytes] | None = None

_kept: tuple[int, bytes] | None = None
"""How it ended and what it has printed, in a process that others are forked from."""


def ask() -> None:
    """Start what pip will start if it makes a session; nothing is said if that fails."""
    global _asked
    forget()
    if _kept is not None:
        return
    with suppress(Exception):
        if shutil.which(COMMAND[0]) is not None:
            _asked = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def forget() -> None:
    """End what nobody has waited for."""
    global _asked
    asked, _asked = _asked, None
    if asked is not None:
        asked.kill()
        if asked.stdout is not None:
            asked.stdout.close()
        asked.wait()


def keep() -> None:
    """Know the answer from now on, in this process and in those that it forks; asks if nobody has."""
    global _kept
    if _asked is None:
        ask()
    if _asked is not None:
        with suppress(subprocess.SubprocessError, OSError):
            output, _ = _asked.communicate(timeout=_PATIENCE_S)
            _kept = _asked.returncode, output
    forget()


def _around_user_agent(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Let pip find the answer where it would start the process."""
    if _asked is None and _kept is None:
        return wrapped(*args, **kwargs)
    session: Any = import_module(wrapped.__module__)
    stock = session.subprocess
    session.subprocess = SimpleNamespace(**vars(stock) | {"check_output": check_output})
    try:
        return wrapped(*args, **kwargs)
    finally:
        session.subprocess = stock
        forget()


def check_output(command: Any, *, stderr: Any = None, timeout: float | None = None, **further: Any) -> bytes:
    """Return what the process printed that was started before; for any other, what ``subprocess`` has for it.

    :raises subprocess.SubprocessError: as ``subprocess.check_output``.
    """
    global _asked
    if command != COMMAND or stderr is not subprocess.STDOUT or further or (_asked is None and _kept is None):
        return subprocess.check_output(command, stderr=stderr, timeout=timeout, **further)  # type: ignore[no-any-return]
    if _kept is not None:
        status, output = _kept
    else:
        assert _asked is not None
        output, _ = _asked.communicate(timeout=timeout)
        status = _asked.returncode
    if status:
        raise subprocess.CalledProcessError(status, command, output)
    _asked = None
    return output
