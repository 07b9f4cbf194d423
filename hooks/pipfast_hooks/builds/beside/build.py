"""Source that is built beside pip, and the results of its hooks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.builds.hook_names import RESULT_FOLDERS, WheelHook
from pipfast.report import timed
from pipfast.system import threads
from pipfast_hooks.output.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from pipfast_hooks.builds.beside.host import Hooks

_SPIN_S = 0.1
"""Seconds between two turns of pip's spinner."""


class Failed(Exception):
    """A step has failed; pip does it again, and says why it fails."""


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one hook."""

    answer: bytes
    """``output.json`` of pyproject_hooks, which pip reads."""
    output: str
    made: str
    """Path of the folder or file that the hook has made; empty for none."""


@dataclass(slots=True)
class Build:
    """One source distribution that is built beside pip."""

    name: str
    make: Callable[[Build], None]
    """Runs the hooks and gives their results, in a thread of ours; raises ``Failed`` where one fails."""
    has_own_tree: bool
    """Its hooks run in a tree of its own, not in pip's."""
    with_wheel: bool
    given: str = ""
    """Path of the metadata that pip has and passes to ``build_wheel``."""
    folder: str = ""
    """Folder of all its files. Names with an underscore in it are ours: no project's name has one."""
    hooks: Hooks | None = None
    is_started: bool = False
    is_hastened: bool = False
    is_abandoned: bool = False
    is_over: bool = False
    _results: dict[str, Result] = field(default_factory=dict)
    _filled: Hashable = None
    _changed: threads.Condition = field(default_factory=threads.Condition)

    def timed(self, hook: str = "") -> timed:
        """Return the context that measures the build or one of its hooks, in a thread of ours."""
        if hook:
            return timed("hook", name=f"{self.name}: {hook}", key=hook_key(self.name, hook))
        return timed("build", name=self.name, key=hook_key(self.name))

    def give(self, hook: WheelHook, result: Result) -> None:
        """Note the result of a hook, and wake who waits for it."""
        with self._changed:
            self._results[hook] = result
            self._changed.notify_all()

    def has_filled(self, key: Hashable) -> None:
        """Note that the environment is filled, with its key or None, and wake who waits for that."""
        with self._changed:
            self._filled = False if key is None else key
            self._changed.notify_all()

    def end(self) -> None:
        """Note that there will be no more results, and wake who waits for one."""
        with self._changed:
            self.is_over = True
            self._changed.notify_all()

    def folder_for(self, hook: WheelHook) -> str:
        """Make and return the folder for the result of a hook."""
        path = os.path.join(self.folder, hook)
        os.makedirs(path, exist_ok=True)
        return path

    def hand_over(self, source: str) -> None:
        """Put the hooks' tree, with all that is in it, in the place of pip's; OSError: pip's is in its place."""
        aside = os.path.join(self.folder, "pips_own")
        os.rename(source, aside)
        try:
            os.rename(os.path.join(self.folder, self.name), source)
        except OSError:
            os.rename(aside, source)
            raise

    def gives(self, hook: str) -> bool:
        """Tell whether the result of a hook is there or may come."""
        return hook in self._results or not self.is_over

    def wait_filled(self, key: Hashable, spinner: Any) -> bool:
        """Wait for the environment; tell whether it is filled and has the key that pip asks for."""
        with timed("wait", on=hook_key(self.name)), self._changed:
            while self._filled is None and not self.is_over:
                self._changed.wait(_SPIN_S)
                if isinstance(spinner, Progress):
                    spinner.spin()
            return self._filled == key

    def wait(self, hook: str, spinner: Any) -> Result | None:
        """Wait for the result of a hook and return it; None if there will be none."""
        said = 0
        with timed("wait", on=hook_key(self.name, hook)), self._changed:
            while hook not in self._results and not self.is_over:
                self._changed.wait(_SPIN_S)
                if isinstance(spinner, Progress):
                    spinner.said(self.hooks.last_line() if self.hooks is not None else "")
                    spinner.spin()
                elif self.hooks is not None and self.hooks.printed() != said:
                    # As under pip: where no spinner moves, a line is due only after output of the build.
                    said = self.hooks.printed()
                    spinner.spin()
            return self._results.get(hook)


def hook_key(name: str, hook: str = "") -> str:
    """Return what events call a build, or a hook of it.

    :param name: of the package.
    """
    return f"build {name} {hook}".rstrip()


def call_hook(
    caller: Any, hook: WheelHook, run: Callable[[Any, str, Mapping[str, str]], str], **arguments: str
) -> tuple[Any, Result]:
    """Call a hook of PEP 517; return its return value, and its result.

    :param caller: ``BuildBackendHookCaller`` of pyproject_hooks.
    :param run: takes command, folder and further variables; returns the output of the process.
    :raises Failed: ``run`` has raised it, or the hook names a file that is not there.
    """
    output, answer = "", b""

    def runner(command: Any, cwd: Any = None, extra_environ: Mapping[str, str] | None = None) -> None:
        nonlocal output, answer
        output = run(command, cwd, extra_environ or {})
        answer = Path(command[-1], "output.json").read_bytes()

    with caller.subprocess_runner(runner):
        returned = getattr(caller, hook)(**arguments)
    made = ""
    if hook in RESULT_FOLDERS:
        made = os.path.join(arguments[RESULT_FOLDERS[hook]], returned)
        if os.path.basename(returned) != returned or not os.path.exists(made):
            raise Failed(f"{hook} names {returned!r}")
    return returned, Result(answer, output, made)
