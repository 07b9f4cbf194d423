"""An interpreter, and why it was chosen."""

from __future__ import annotations

import os


class Target:
    """An interpreter that a run may be about.

    :param python: its path.
    :param why: what names it, in a few words.
    :param flags: Python's options from the first line of its pip's script.
    :param by_pip: pip's own ``--python``, or what stands for it, names it.
    """

    __slots__ = ("by_pip", "flags", "python", "why")

    def __init__(self, python: str, why: str, flags: tuple[str, ...] = (), by_pip: bool = False) -> None:
        self.python = python
        self.why = why
        self.flags = flags
        self.by_pip = by_pip

    def __repr__(self) -> str:
        return f"Target({self.python!r}, {self.why!r}, {self.flags!r}, {self.by_pip!r})"

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def is_at(self, python: str) -> bool:
        """Tell whether it is the interpreter of this path: in the same folder, and the same file in the end."""
        if self.python == python:
            return True
        # What pip's option names is `sys.executable` by that name.
        same_folder = os.path.dirname(os.path.abspath(self.python)) == os.path.dirname(python)
        return same_folder and not self.by_pip and os.path.realpath(self.python) == os.path.realpath(python)


def is_program(path: str) -> bool:
    """Tell whether a file can be executed."""
    return os.path.isfile(path) and os.access(path, os.X_OK)
