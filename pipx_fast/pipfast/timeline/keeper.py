"""Timeline of the run under way, from its beginning to its files."""

from __future__ import annotations

import gc
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.address import HIDDEN, redacted
from pipfast.report import logger, record, say
from pipfast.settings import SPANS_VARIABLE
from pipfast.timeline.events import Recorder
from pipfast.timeline.page import is_page
from pipfast.timeline.processor import Processor
from pipfast.timeline.trace import is_trace
from pipfast.timeline.written import Run, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipfast.settings import Settings

_HINT = "give --timeline, or PIPFAST_TIMELINE, a file that can be written, such as timeline.html"

_PASSWORD = re.compile(r"(?<![^=])[^\s/@=:]+:(?!//).+@")

_BEGIN = 4096
"""Bytes by which a page or a trace is known."""

_LARGEST = 64 << 20
"""Bytes of another process's events that are read at most."""


class Timeline:
    """Events of the run under way, and what becomes of them."""

    status: int | None = None
    """The command's exit code, once it is known."""

    def __init__(
        self, settings: Settings, command: Sequence[str], *, into: str = "", is_said: bool = False
    ) -> None:
        """Begin to note events. A page that cannot be written is said now.

        :param into: a folder of the run that has started this one, which gets the events in the place of a page.
        :param is_said: three lines on standard error end the run.
        """
        self._settings, self._into, self._is_said = settings, into, is_said
        # `--proxy user:password@host` has no scheme.
        self._command = [redacted(_PASSWORD.sub(f"{HIDDEN}@", each)) for each in command]
        self._page = None if into or settings.timeline is None else _usable(settings.timeline)
        self._folder = into
        self._recorder = Recorder()
        self._processor = None if into else Processor()
        self._began_at = time.time() - (time.monotonic() - self._recorder.began)
        record(self._recorder)
        self._recorder.note("start", self._recorder.began, {})

    def variables(self) -> dict[str, str | None]:
        """Return the variables by which a pip that this run starts tells its events."""
        if not self._folder:
            with suppress(OSError):
                self._folder = tempfile.mkdtemp(prefix="pipfast-spans-")
        return {SPANS_VARIABLE: self._folder or None}

    def end(self) -> None:
        """Write what was noted. What fails is said, and costs the run nothing."""
        record(None)
        try:
            if self._into:
                self._tell()
                return
            with _uncollected():
                lines = self._write()
        except OSError as error:
            say(f"no timeline is written: {error.filename or self._page}: {error.strerror or error}", _HINT)
        except Exception:
            logger.debug("pipfast: no timeline is written", exc_info=True)
        else:
            if self._is_said:
                for line in lines:
                    say(line)

    def _write(self) -> list[str]:
        self._take_in()
        samples = self._processor.end() if self._processor is not None else []
        run = Run(self._recorder, self._settings, self._command, self._began_at, self.status, samples)
        # Another program may have made a file of that name meanwhile.
        return write(run, _usable(self._page) if self._page is not None else None)

    def _tell(self) -> None:
        told = {"pid": os.getpid(), "told": _without_secrets(self._recorder.told())}
        path = Path(self._into, f"{os.getpid()}-{secrets.token_hex(4)}.json")
        # Whole or not at all: the other run may end before this one.
        aside = path.with_suffix(".tmp")
        aside.write_text(json.dumps(told), encoding="ascii")
        aside.replace(path)

    def _take_in(self) -> None:
        if not self._folder:
            return
        for path in sorted(Path(self._folder).glob("*.json")):
            try:
                if path.is_symlink() or path.stat().st_size > _LARGEST:
                    continue
                found: Any = json.loads(path.read_text(encoding="ascii"))
                self._recorder.take_in(int(found["pid"]), list(found["told"]))
            except (OSError, ValueError, TypeError, LookupError, RecursionError):
                logger.debug("pipfast: the events in %s cannot be read", path, exc_info=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def _without_secrets(value: Any) -> Any:
    """Return what JSON can hold, without the passwords of addresses: the file outlives a run that is killed."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _without_secrets(each) for name, each in value.items()}
    return [_without_secrets(each) for each in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def _uncollected() -> Iterator[None]:
    """Spare the block collections: what a page is made of has no cycles, and pip's objects are a million."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _usable(page: Path) -> Path | None:
    """Return the page's path; None after a message if it or the trace beside it may not or cannot be written."""
    # `/` has no name, and is refused as a page.
    trace = page.with_suffix(".json") if page.name else page
    if page.name and os.path.realpath(trace) == os.path.realpath(page):
        say(f"no timeline is written: {page} would be the trace beside the page", _HINT)
        return None
    for path, kind, is_ours in ((page, "page", is_page), (trace, "trace", is_trace)):
        why = _reason_against(path, f"it is no {kind} of pipfast's, and stays as it is", is_ours)
        if why:
            say(f"no timeline is written: {path}: {why}", _HINT)
            return None
    return page


def _reason_against(path: Path, foreign: str, is_ours: Callable[[bytes], bool]) -> str:
    """Return why a file may not or cannot be written, in the words ``foreign`` if somebody else has made it."""
    try:
        if path.exists() and not path.is_file():
            # To open a pipe might take for ever.
            return "it is a folder" if path.is_dir() else "it is a pipe or a device"
        # What a link names is written.
        path = Path(os.path.realpath(path))
        if not path.exists():
            with path.open("xb"):
                pass
            path.unlink()
            return ""
        with path.open("r+b") as file:
            if _is_output(file.fileno()):
                return "it is this command's own output"
            begin = file.read(_BEGIN)
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
    # Empty is what `mktemp` leaves.
    return "" if not begin or is_ours(begin) else foreign


def _is_output(file: int) -> bool:
    """Tell whether this process's standard output or error goes to a file, as with ``/dev/stdout``."""
    # Closed, one of these two may be the file's own number.
    for each in {1, 2} - {file}:
        with suppress(OSError):
            if os.path.sameopenfile(file, each):
                return True
    return False
