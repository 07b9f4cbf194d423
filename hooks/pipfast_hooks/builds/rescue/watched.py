"""One call of a build hook under watch."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pip._internal.utils.logging import subprocess_logger
from pip._vendor.pyproject_hooks import BackendUnavailable

from pipfast.builds.hook_names import STAGES, Stage
from pipfast.rescue.diagnosis.evidence import Evidence, Watch
from pipfast_hooks.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping



@dataclass(frozen=True, slots=True)
class Hook:
    """One call of a build hook, which can be made again."""

    name: str
    kwargs: Mapping[str, Any]
    backend: Any
    call: Callable[[], Any]

    @property
    def stage(self) -> Stage | None:
        """Return the stage of the build; None for a hook that is not rescued."""
        return STAGES.get(self.name)


class HeldError(logging.Filter):
    """Filter that holds a failed hook's error until it is known whether pip ends with it; notes all output.

    Under ``-v`` pip keeps no output of its own: its log messages are the only copy.
    """

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._holding = self._released = False
        self._records: list[logging.LogRecord] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a hook's output through; hold pip's message about its end."""
        if self._released:
            return True
        if record.levelno >= logging.ERROR:
            self._holding = True
        if self._holding:
            self._records.append(record)
            return False
        self._watch.output.append(record.getMessage() + "\n")
        return True

    def release(self) -> None:
        """Log the held messages, and hold nothing from now on."""
        # It may still be the logger's filter, and would get them once more.
        self._released = True
        for record in self._records:
            subprocess_logger.handle(record)
        self._records.clear()


@contextmanager
def watched(hook: Hook) -> Iterator[tuple[Watch, HeldError]]:
    """Note in the block the hook's output and the modules that it seeks; OSError: there is no place for that."""
    original = hook.backend._subprocess_runner
    with Watch(hook.name) as watch:

        def runner(cmd: Any, cwd: Any = None, extra_environ: Any = None) -> None:
            original(cmd, cwd=cwd, extra_environ={**(extra_environ or {}), **watch.environ(os.environ)})

        held = HeldError(watch)
        subprocess_logger.addFilter(held)
        try:
            with hook.backend.subprocess_runner(runner):
                yield watch, held
        finally:
            subprocess_logger.removeFilter(held)


def evidence_of(hook: Hook, watch: Watch, failed: Any) -> Evidence | None:
    """Return the evidence of a failed hook; None if its record is damaged."""
    unavailable = None
    if isinstance(failed, BackendUnavailable):
        unavailable = (str(hook.backend.build_backend), str(failed.traceback or ""))
    elif not watch.output:
        # Without -v the lines are in the error alone, between "[3 lines of output]" and "[end of output]".
        watch.output.append(str(getattr(failed, "context", None) or "").replace("[end of output]", ""))
    # A build can write anything there.
    with guarded("the record of a build cannot be read"):
        return watch.evidence(unavailable)
    return None


def error_of(evidence: Evidence | None) -> str:
    """Return the error of a failed hook, as its last line."""
    if evidence is None:
        return ""
    if evidence.errors:
        return f"{evidence.errors[0].kind}: {evidence.errors[0].message}"
    return evidence.output
