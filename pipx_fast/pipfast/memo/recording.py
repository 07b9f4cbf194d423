"""Recording of one run of pip, and its answer."""

from __future__ import annotations

import errno
import math
import os
import re
import sys
import tempfile
import time
from operator import itemgetter

from pipfast.memo.entry import Entry
from pipfast.memo.facts import is_settled, look, told
from pipfast.memo.screen import Screen
from pipfast.memo.watch import Watch, keep
from pipfast.memo.witness import Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipfast.memo.facts import Fact
    from pipfast.memo.question import Question
    from pipfast.settings import Settings

WEEK_NS = 7 * 86_400 * 10**9
"""The time for which pip does not ask for a newer pip."""

_ABSENT = f"f {errno.ENOENT}"
"""Looks of what is not there."""

# e.g. `http://me:secret@127.0.0.1/simple`, which pip takes for a path at first
_ADDRESS = re.compile(r"(?:^|/)[\w+.-]+:(?=/)")


class Recording(Watch):
    """The run that is being watched."""

    def __init__(self, question: Question, store: str) -> None:
        super().__init__(store)
        self.question = question
        # pip's modules ask for it, too; it is sought once.
        self.witness = Witness(store, tempfile.gettempdir())
        self.screen = Screen()
        self._servers_answers = self._self_check = ""
        self._fresh: dict[str, float] = {}
        """By path, until when pip takes an answer out of its cache without asking."""
        self._before = list(sys.modules.values())
        self._began = time.time_ns()

    def start(self) -> bool:
        """Begin; False: this process cannot be watched."""
        # The accessor of older ones has bound what is about to be replaced.
        if sys.version_info < (3, 11) and "pathlib" in sys.modules:
            return False
        if not self.witness.start():
            return False
        if not self.screen.start():
            self.witness.stop()
            return False
        return True

    def stop(self) -> None:
        """End."""
        self.witness.stop()
        try:
            self.screen.stop()
        except (OSError, ValueError) as error:
            self.witness.object_to(repr(error))

    def heed(self, settings: Settings, servers_answers: str, self_check: str) -> None:
        """Take what is known once the configuration is read, see ``Watch``."""
        super().heed(settings, servers_answers, self_check)
        self._servers_answers, self._self_check = servers_answers, self_check

    def object_to(self, why: str) -> None:
        """Note why nothing is to be kept, and see no more."""
        super().object_to(why)
        self.witness.object_to(why)

    def note_request(self) -> None:
        """Note that a server is asked: its answer holds for a time only."""
        self.object_to("it asks a server")

    def note_fresh(self, paths: Iterable[str], until: float) -> None:
        """Note that pip takes what is in these files for a server's answer, see ``Watch``."""
        for path in paths:
            self._fresh[path] = min(until, self._fresh.get(path, until))

    def look_away(self) -> None:
        """Begin what matters to requests only, in this thread."""
        self.witness.look_away()

    def look_back(self) -> None:
        """End what ``look_away`` began."""
        self.witness.look_back()

    def entry(self) -> Entry | None:
        """Return what is to be kept; None: ``witness.objection`` says why not."""
        witness = self.witness
        if self.screen.is_incomplete:
            witness.object_to("it prints too much, or bytes")
        if any(line.startswith(b"pipfast: ") for _, data in self.screen.lines for line in data.splitlines()):
            witness.object_to("pipfast has said something")
        if _is_loud():
            witness.object_to("its words are of one run alone (-v)")
        if not self._servers_answers:
            witness.object_to("it ended before its configuration was read")
        elif any(self._takes_answer(path) for path, _ in witness.looked):
            witness.object_to("it takes a server's answer that is kept")
        if witness.objection:
            return None
        for path, way in self._loaded_before():
            witness.look_at(path, way)
        facts: list[Fact] = []
        for (path, way), found in sorted(witness.looked.items(), key=itemgetter(0)):
            source = path if path.startswith("/") else os.path.join(self.question.folder, path)
            address = _ADDRESS.search(path) if ":/" in path else None
            if address is not None:
                # Where not even the folder `http:` is, nothing is in it; and no password need be kept.
                source = os.path.join(self.question.folder, path[: address.end()])
                found = look(source, "f")
                if found != _ABSENT:
                    witness.object_to(f"{source} is there")
            if isinstance(found, str):
                facts.append((source, found))
                continue
            facts.append((source, told(found, way)))
            if not is_settled(found, way, self._began):
                witness.object_to(f"{source} has changed just now")
        until = self._until(witness.looked)
        if witness.objection:
            return None
        from pipfast.memo.why import told as of_question

        return Entry(
            self._began, until, witness.temporary, self.is_proof, facts, self.screen.lines,
            of_question(self.question),
        )

    def _takes_answer(self, path: str) -> bool:
        """Tell whether a path is that of a server's answer of which it is not known how long it holds."""
        return path not in self._fresh and re.search(self._servers_answers, path) is not None

    def _loaded_before(self) -> Iterator[tuple[str, str]]:
        """Yield what the interpreter read before it could be watched."""
        for module in self._before:
            path = getattr(module, "__file__", None)
            if isinstance(path, str):
                yield path, "f"
        for folder in sys.path:
            yield folder, "n"
            try:
                names = os.listdir(folder)
            except OSError:
                continue
            for name in names:
                if name.endswith((".pth", ".egg-link")):
                    yield os.path.join(folder, name), "f"
        yield os.path.join(sys.prefix, "pyvenv.cfg"), "f"
        # Homes are told there, where HOME is not set or a path begins with `~name`.
        yield "/etc/passwd", "f"

    def _until(self, looked: Iterable[tuple[str, str]]) -> int:
        """Return when pip asks for one of the pages, or for a newer pip, again; 0: never."""
        first = min(self._fresh.values(), default=math.inf)
        ends = [] if math.isinf(first) else [int(first * 10**9)]
        paths = [path for path, way in looked if self._self_check in path and way == "f"]
        if paths:
            weeks = list(_weekly(paths))
            if not weeks:
                self.witness.object_to("when pip asks for a newer pip is unknown")
            ends += weeks
        return min(ends, default=0)


def _weekly(paths: Iterable[str]) -> Iterator[int]:
    """Yield when pip asks for a newer pip again, in nanoseconds since the epoch."""
    import json
    from datetime import datetime, timezone

    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                told = datetime.fromisoformat(json.load(file)["last_check"].replace("Z", "+00:00"))
        except (KeyError, OSError, TypeError, ValueError, AttributeError):
            continue
        if told.tzinfo is None:
            told = told.replace(tzinfo=timezone.utc)
        yield int(told.timestamp() * 10**9) + WEEK_NS


def recorded(
    question: Question, store: str, run: Callable[[Watch | None], int], why: str, expected: Entry | None
) -> int:
    """Run pip, and keep its answer if it rests on nothing but what can be compared; return the exit code.

    :param why: why no kept answer was given, for the debug log.
    :param expected: the answer that it has to be; another one is a fault of ours, and is said.
    """
    try:
        recording = Recording(question, store)
        is_watched = recording.start()
    except Exception:
        # There is no folder for temporary files, for one: pip is about to say so.
        is_watched = False
    if not is_watched:
        return run(None)
    status: object = None
    try:
        status = run(recording)
        return _ended(recording, status, why, expected)
    except SystemExit as end:
        if end.code not in (0, None):
            raise
        status = 0
        raise SystemExit(_ended(recording, 0, why, expected)) from None
    finally:
        if status is None:
            recording.witness.stop()


def _ended(recording: Recording, status: int, why: str, expected: Entry | None) -> int:
    from pipfast.report import logger, say

    recording.stop()
    logger.debug("pipfast: no kept answer was given: %s", why)
    try:
        if status != 0:
            recording.witness.object_to(f"it ended with {status}")
        entry = recording.entry()
        if expected is not None and (status != 0 or expected.lines != recording.screen.lines):
            _drop(recording)
            say(f"pip's answer differs from the one that was kept: {_text(expected.lines)!r}",
                "please report it; PIPFAST_DISABLE=memo keeps none")
            return status or 1
        if entry is None:
            logger.debug("pipfast: this answer is not kept: %s", recording.witness.objection)
        else:
            keep(recording.store, recording.question.key, entry.encoded())
    except Exception:
        logger.debug("pipfast: this answer is not kept", exc_info=True)
    return status


def _drop(recording: Recording) -> None:
    from pathlib import Path

    from pipfast.store.layout import Layout
    from pipfast.store.names import MEMO
    from pipfast.store.notes import drop_note

    drop_note(Layout(Path(recording.store)), MEMO, recording.question.key)


def _is_loud() -> bool:
    """Tell whether pip has printed what it only prints with ``-v``: names of temporary folders among it."""
    import logging

    return logging.getLogger().level < logging.INFO


def _text(lines: list[tuple[int, bytes]]) -> str:
    return b"".join(data for _, data in lines).decode("utf-8", "replace")
