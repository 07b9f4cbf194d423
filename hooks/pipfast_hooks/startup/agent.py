"""pip's user agent: the programs it runs for it, started early.

For every session pip runs ``rustc --version``, and on Linux ``lsb_release -a`` and ``uname -rs``, and waits for
each, which may take longer than a command's own work. Here they run while pip is being imported.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from pipfast.memo.watch import unwatched
from pipfast_hooks.run import Part, Run, current_run, hand_down, inherited
from pipfast_hooks.seams import ASKERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipfast_hooks.call import Call

    Running = dict[tuple[str, ...], subprocess.Popen[bytes]]
    """Processes by their command."""

_PATIENCE_S = 0.5
"""Seconds to wait for an answer that is handed down; pip waits that long for ``rustc``."""


class Answers(NamedTuple):
    """What a process knows of the programs' output that others are forked from."""

    by_command: Mapping[tuple[str, ...], tuple[int, bytes]]


class Agent(Part):
    """The programs that pip will run if it makes a session; started with the part."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        known = inherited(Answers)
        self._known = known.by_command if known is not None else {}
        with unwatched(run.recording):
            self._running = start(self._known)

    def give_way(self) -> None:
        """End what nobody has waited for."""
        _end(self._running)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Let pip find the answers where it would start the processes."""
        stocks = []
        for name in ASKERS if self._running or self._known else ():
            with suppress(ImportError, AttributeError):
                module: Any = import_module(name)
                stocks.append((module, module.subprocess))
        for module, stock in stocks:
            module.subprocess = SimpleNamespace(**vars(stock) | {"check_output": self.check_output})
        try:
            yield
        finally:
            for module, stock in stocks:
                module.subprocess = stock
            _end(self._running)

    def check_output(
        self, command: Any, *, stderr: Any = None, timeout: float | None = None, **further: Any
    ) -> bytes:
        """Return what a program printed that was started before; any other is run by ``subprocess``."""
        key = tuple(command)
        if further or _questions().get(key) != stderr or (key not in self._running and key not in self._known):
            output: bytes = subprocess.check_output(command, stderr=stderr, timeout=timeout, **further)
            return output
        if key in self._known:
            status, output = self._known[key]
        else:
            output, _ = self._running[key].communicate(timeout=timeout)
            status = self._running.pop(key).returncode
        if status:
            raise subprocess.CalledProcessError(status, command, output)
        return output


def start(known: Mapping[tuple[str, ...], object] | None = None) -> Running:
    """Start the programs whose answers are not known; nothing is said if that fails."""
    running: Running = {}
    for command, errors in _questions().items():
        if command not in (known or {}):
            with suppress(Exception):
                if shutil.which(command[0]) is not None:
                    running[command] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
    return running


def hand_down_answers(running: Running) -> None:
    """Wait for programs, and hand what they print down to the processes that are forked from this one."""
    found = {}
    for command, process in list(running.items()):
        with suppress(subprocess.SubprocessError, OSError):
            output, _ = process.communicate(timeout=_PATIENCE_S)
            found[command] = process.returncode, output
            del running[command]
    _end(running)
    hand_down(Answers(found))


def _questions() -> dict[tuple[str, ...], int]:
    """Return the commands that pip 23.0 to 26.3 and their distro run, and where their standard error goes."""
    found: dict[tuple[str, ...], int] = {("rustc", "--version"): subprocess.STDOUT}
    if sys.platform.startswith("linux"):
        found |= {("lsb_release", "-a"): subprocess.DEVNULL, ("uname", "-rs"): subprocess.DEVNULL}
    return found


def _end(running: Running) -> None:
    while running:
        _, process = running.popitem()
        process.kill()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()


def _around_user_agent(call: Call) -> Any:
    """Let pip find the answers where it would start the processes."""
    run = current_run()
    agent = run.find(Agent)
    with unwatched(run.recording):
        if agent is None:
            return call.original()
        with agent.answering():
            return call.original()
