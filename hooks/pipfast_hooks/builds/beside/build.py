"""Source that is built beside pip, and the results of its hooks."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from pipfast_hooks.output.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from pipfast_hooks.builds.beside.host import Hooks

HookName = Literal["get_requires_for_build_wheel", "prepare_metadata_for_build_wheel", "build_wheel"]
"""The hooks of a wheel, in their order (PEP 517); the resolver waits for the first two."""

REQUIRES: Final = "get_requires_for_build_wheel"
METADATA: Final = "prepare_metadata_for_build_wheel"
WHEEL: Final = "build_wheel"

MAKES: Mapping[str, str] = MappingProxyType({METADATA: "metadata_directory", WHEEL: "wheel_directory"})
"""The argument that names where a hook makes what it returns the name of."""

_SPIN_S = 0.1
"""Seconds between two turns of pip's spinner."""


class Failed(Exception):
    """A step did not succeed; pip will do it again and say so."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one hook has given."""

    answer: bytes
    """The JSON that pip reads."""
    output: str
    made: str
    """The folder or file that the hook has made; empty for none."""


@dataclass(slots=True)
class Build:
    """One source distribution that is built beside pip."""

    name: str
    make: Callable[[Build], None]
    """Makes its results, in a thread of ours.

    :raises Failed: there will be no more."""
    has_own_tree: bool
    """The hooks run in a tree of their own, not in pip's."""
    with_wheel: bool
    """A wheel is built as well."""
    given: str = ""
    """The metadata that pip has, and builds the wheel with."""
    folder: str = ""
    """Where all of it is; names with an underscore are no project's."""
    hooks: Hooks | None = None
    is_started: bool = False
    is_hastened: bool = False
    """It does not wait for its turn."""
    is_abandoned: bool = False
    is_over: bool = False
    _results: dict[str, Result] = field(default_factory=dict)
    _filled: Hashable = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def give(self, hook: HookName, result: Result) -> None:
        """Note a result, for who waits."""
        with self._changed:
            self._results[hook] = result
            self._changed.notify_all()

    def has_filled(self, key: Hashable) -> None:
        """Note that the environment is filled, for who waits.

        :param key: what its content depends on, as pip's requirements name it; None if that is not known.
        """
        with self._changed:
            self._filled = False if key is None else key
            self._changed.notify_all()

    def end(self) -> None:
        """Note that nothing more is to come."""
        with self._changed:
            self.is_over = True
            self._changed.notify_all()

    def folder_for(self, hook: HookName) -> str:
        """Return where a hook is to make what it makes."""
        path = os.path.join(self.folder, hook)
        os.makedirs(path, exist_ok=True)
        return path

    def hand_over(self, source: str) -> None:
        """Put the tree that the hooks ran in, with what they have left there, in the place of pip's.

        :raises OSError: pip's own is where it was.
        """
        aside = os.path.join(self.folder, "pips_own")
        os.rename(source, aside)
        try:
            os.rename(os.path.join(self.folder, self.name), source)
        except OSError:
            os.rename(aside, source)
            raise

    def gives(self, hook: str) -> bool:
        """Tell whether a hook's result is there, or may come."""
        return hook in self._results or not self.is_over

    def wait_filled(self, key: Hashable, spinner: Any) -> bool:
        """Wait until the environment is filled, or nothing is to come; tell whether it is what pip asks for."""
        with self._changed:
            while self._filled is None and not self.is_over:
                self._changed.wait(_SPIN_S)
                if isinstance(spinner, Progress):
                    spinner.spin()
            return self._filled == key

    def wait(self, hook: str, spinner: Any) -> Result | None:
        """Return a hook's result as soon as it is there; None if there will be none."""
        said = 0
        with self._changed:
            while hook not in self._results and not self.is_over:
                self._changed.wait(_SPIN_S)
                if isinstance(spinner, Progress):
                    spinner.said(self.hooks.last_line() if self.hooks is not None else "")
                    spinner.spin()
                elif self.hooks is not None and self.hooks.printed() != said:
                    # As pip: where nothing moves, only what is printed is a reason to say something.
                    said = self.hooks.printed()
                    spinner.spin()
            return self._results.get(hook)


def call_hook(
    caller: Any, hook: HookName, run: Callable[[Any, str, Mapping[str, str]], str], **arguments: str
) -> tuple[Any, Result]:
    """Call a hook of PEP 517; return what it returns, and its result.

    :param caller: of pyproject_hooks.
    :param run: runs the process to its end and returns what it printed; raises ``Failed`` if it failed.
    :raises Failed: there is no result.
    """
    output, answer = "", b""

    def runner(command: Any, cwd: Any = None, extra_environ: Mapping[str, str] | None = None) -> None:
        nonlocal output, answer
        output = run(command, cwd, extra_environ or {})
        with open(os.path.join(command[-1], "output.json"), "rb") as file:
            answer = file.read()

    with caller.subprocess_runner(runner):
        returned = getattr(caller, hook)(**arguments)
    made = ""
    if hook in MAKES:
        made = os.path.join(arguments[MAKES[hook]], returned)
        if os.path.basename(returned) != returned or not os.path.exists(made):
            raise Failed(f"{hook} names {returned!r}")
    return returned, Result(answer, output, made)
