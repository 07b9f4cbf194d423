"""An interpreter in the place of this one, started with pipfast."""

from __future__ import annotations

import os
import sys

from pipfast.targets.asked import RUNNING, asked, without_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pipfast.targets.target import Target

NAME = "_PIPFAST_NAME"
"""Variable with what was typed, where that was not ``pipfast``: a shell's function sets it for the command."""

WHY = "_PIPFAST_WHY"
"""Variable that says why an interpreter was chosen. It ends in the runner: pip's children do not get it."""

OWN_PIP = "_PIPFAST_PIP"
"""Variable with the folder that has pipfast's pip, for a target without one. It ends there, too."""

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def become(target: Target, name: str, arguments: list[str]) -> None:
    """Replace this process by a target's interpreter; return if it is this one, or where pip says what is wrong.

    :param name: what was typed.
    """
    if target.by_pip:
        # pip must not start it once more; and an older one does not know the option.
        os.environ[RUNNING] = "1"
        arguments = without_option(arguments)
    if target.is_at(sys.executable):
        return
    environ = {**os.environ, WHY: target.why, OWN_PIP: _folder_of_pip()}
    command = [target.python, *target.flags, os.path.join(_HERE, "runner.py"), name, *arguments]
    try:
        os.execve(target.python, command, environ)
    except OSError as error:
        if not target.by_pip:
            sys.exit(f"pipfast: cannot start {target.python} ({target.why}): {error.strerror}")
        del os.environ[RUNNING]


def become_asked(name: str, arguments: list[str], configured: Callable[[], str]) -> None:
    """Replace this process by the interpreter that pip is told to run in, if it is told so.

    :param configured: reads ``python`` of pip's configuration files, with pip.
    """
    target = asked(arguments, os.environ, configured)
    if target is not None:
        become(target, name, arguments)


def _folder_of_pip() -> str:
    """Return the folder on ``sys.path`` that has a pip: nearly always the one with pipfast."""
    folders = [os.path.dirname(_HERE), *sys.path]
    return next((each for each in folders if os.path.isfile(os.path.join(each, "pip", "__pip-runner__.py"))), "")
