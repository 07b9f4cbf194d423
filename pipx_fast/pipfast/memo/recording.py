"""Recording of one run of pip, and its answer."""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import sys
import tempfile
import time
from contextlib import suppress
from operator import itemgetter

from pipfast.memo.again import weekly
from pipfast.memo.again.elsewhere import HERE
from pipfast.memo.again.installation import Installation
from pipfast.memo.entry import Entry
from pipfast.memo.facts import is_settled, look, told
from pipfast.memo.screen import Screen, still
from pipfast.memo.watch import Watch, keep, unwatched
from pipfast.memo.why import told as of_question
from pipfast.memo.witness import Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipfast.memo.again.elsewhere import Environment
    from pipfast.memo.again.installation import KeptWheel, Placed
    from pipfast.memo.facts import Fact
    from pipfast.memo.question import Question
    from pipfast.settings import Settings

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
        self._takes_archive = False
        self._of_environment: list[Fact] | None = None
        """What was seen of the environment before anything was installed; None: nothing was."""
        self._weekly: weekly.Weekly | None = None
        self._placed: list[Placed] = []
        self._wheels: list[KeptWheel] = []
        self._fresh: dict[str, float] = {}
        """By path, until when pip takes an answer out of its cache without asking."""
        self._told = of_question(question)
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
        self.witness.notes = self_check

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

    def note_archive(self) -> None:
        """Note that an archive is taken out of the store: that it is there is compared where it is installed."""
        self._takes_archive = True

    def begin_installing(self) -> None:
        """Note what the environment is like now: it is about to change."""
        if self._of_environment is not None or self.witness.objection:
            return
        try:
            self._see_environment()
        except Exception as error:
            self.object_to(repr(error))

    def _see_environment(self) -> None:
        environment = self.question.environment
        if environment is None or not environment.is_plain():
            self.object_to("it installs, and not into a virtual environment")
            return
        for path, way in self._loaded_before():
            self.witness.look_at(path, way)
        for path in [path for path, way in self.witness.looked if path.endswith(".py") and way == "f"]:
            # Python writes bytecode that is missing.
            if environment.has(path):
                self.witness.look_at(f"{os.path.dirname(path)}/__pycache__", "n")
        self._of_environment = []
        self._note_weekly(environment)
        with unwatched(self):
            for (path, way), found in sorted(self.witness.looked.items(), key=itemgetter(0)):
                full = path if path.startswith("/") else os.path.join(self.question.folder, path)
                if environment.has(full):
                    self._see_inside(environment, full, way, found)
        self.witness.see_changes_only()

    def _is_weekly(self, path: str, way: str) -> bool:
        return bool(self._self_check) and self._self_check in path and way == "f"

    def _note_weekly(self, environment: Environment) -> None:
        """Note what pip knows of a newer pip: it has a note for each environment."""
        looked = self.witness.looked
        for path, way in [each for each in looked if self._is_weekly(*each) and not _is_folder(looked[each])]:
            was_there = not isinstance(looked.pop((path, way)), str)
            with unwatched(self):
                try:
                    self._weekly = weekly.noted(path, environment, was_there=was_there)
                except FileNotFoundError:
                    # pip may not write there.
                    continue
                except (OSError, ValueError) as error:
                    self.object_to(str(error))

    def _see_inside(self, environment: Environment, path: str, way: str, found: os.stat_result | str) -> None:
        assert self._of_environment is not None
        seen = environment.look(path, way.upper())
        if isinstance(found, str):
            if seen != f"{found[0].upper()}{found[1:]}":
                self.object_to(f"{path} has changed meanwhile")
        elif told(found, way) != look(path, way) or not is_settled(found, way, self._began):
            self.object_to(f"{path} has changed just now")
        self._of_environment.append((environment.relative(path), seen))

    def note_wheel(self, wheel: Placed) -> None:
        """Note a wheel that was placed from the store."""
        super().note_wheel(wheel)
        environment = self.question.environment
        if self.witness.objection or environment is None:
            return
        try:
            self._wheels.append(wheel.kept(environment, sys.executable))
            self._placed.append(wheel)
        except (OSError, ValueError) as error:
            self.object_to(str(error))

    def look_away(self) -> None:
        """Begin what has no part in the answer, in this thread."""
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
        environment = self.question.environment
        if self.question.is_dry_run and environment is not None and environment.is_plain():
            # What it would install it would install elsewhere, too.
            self.begin_installing()
        if witness.objection:
            return None
        if self._of_environment is None:
            for path, way in self._loaded_before():
                witness.look_at(path, way)
        facts: list[Fact] = []
        if self._of_environment is None:
            environment = None
        for (path, way), found in sorted(witness.looked.items(), key=itemgetter(0)):
            source = path if path.startswith("/") else os.path.join(self.question.folder, path)
            if environment is not None and self._is_told(environment, source, way, found):
                continue
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
        facts += self._of_environment or ()
        until = self._until(witness.looked)
        installed, lines = self._installed(), self._lines()
        if witness.objection:
            return None
        return Entry(
            self._began, until, witness.temporary, self.is_proof, facts, lines,
            self._told, installed,
        )

    def _is_told(self, environment: Environment, path: str, way: str, found: os.stat_result | str) -> bool:
        """Tell whether what was seen of a path is told in another way where the environment does not matter."""
        if environment.has(path):
            return True
        if environment.prefix in path:
            # Another environment's question with another path would be the same.
            self.witness.object_to(f"{path} is beside the environment, or has its path in it")
        # Whoever places this looks whether a folder above the environment is a link.
        return _is_folder(found) and way in ("f", "l") and environment.prefix.startswith(f"{path.rstrip('/')}/")

    def _installed(self) -> list[bytes]:
        environment = self.question.environment
        if self._of_environment is None or environment is None:
            if self._takes_archive:
                # Nobody compares that.
                self.witness.object_to("it takes an archive out of the store")
            if self.witness.has_noted:
                self.witness.object_to("it asks for a newer pip")
            return []
        try:
            if self._placed:
                terms = self._placed[0].terms
            elif self._takes_archive or not self.question.is_dry_run:
                raise ValueError("it takes an archive out of the store")
            else:
                terms = Installation("", 0, "", ())
            return terms.elsewhere(environment, self._wheels, self._is_apart(), self._weekly).fields()
        except ValueError as error:
            self.witness.object_to(str(error))
            return []

    def _is_apart(self) -> bool:
        """Tell whether no two wheels have one file."""
        paths = [path for wheel in self._placed for path in (*wheel.files, *wheel.made_scripts)]
        return len(set(paths)) == len(paths)

    def _lines(self) -> list[tuple[int, bytes]]:
        """Return what is to be printed; where it is kept for any environment, without this one's folder."""
        environment = self.question.environment
        if self._of_environment is None or environment is None:
            return self.screen.lines
        lines = []
        for number, data in self.screen.lines:
            try:
                rest = still(data)
            except ValueError as error:
                self.witness.object_to(str(error))
                return []
            if os.fsencode(HERE) in rest:
                self.witness.object_to("it prints a control character")
            line = environment.neutral_bytes(rest)
            if os.fsencode(environment.prefix) in line:
                self.witness.object_to("it prints a path that has the environment's in it")
            lines.append((number, line))
        return [(number, data) for number, data in lines if data]

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
        paths = [path for path, way in looked if self._is_weekly(path, way)]
        if paths and self._of_environment is None:
            weeks = []
            for path in paths:
                with suppress(OSError, ValueError):
                    weeks.append(weekly.until(path))
            if not weeks:
                self.witness.object_to("when pip asks for a newer pip is unknown")
            ends += weeks
        return min(ends, default=0)


def _is_folder(found: os.stat_result | str) -> bool:
    return not isinstance(found, str) and stat.S_ISDIR(found.st_mode)


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
        if expected is not None and (
            status != 0 or expected.lines != (recording.screen.lines if entry is None else entry.lines)
            or (entry is not None and list(entry.installed) != list(expected.installed))
        ):
            _drop(recording, expected)
            say(f"pip's answer differs from the one that was kept: {_text(expected.lines)!r}",
                "please report it; PIPFAST_DISABLE=memo keeps none")
            return status or 1
        if entry is None:
            logger.debug("pipfast: this answer is not kept: %s", recording.witness.objection)
        else:
            keep(recording.store, _key_of(recording.question, entry), entry.encoded())
    except Exception:
        logger.debug("pipfast: this answer is not kept", exc_info=True)
    return status


def _drop(recording: Recording, expected: Entry) -> None:
    from pathlib import Path

    from pipfast.store.layout import Layout
    from pipfast.store.names import MEMO
    from pipfast.store.notes import drop_note

    drop_note(Layout(Path(recording.store)), MEMO, _key_of(recording.question, expected))


def _key_of(question: Question, entry: Entry) -> str:
    """Return the key of an answer: what was installed is an answer for any environment."""
    return question.key_of_any if entry.installed else question.key


def _is_loud() -> bool:
    """Tell whether pip has printed what it only prints with ``-v``: names of temporary folders among it."""
    import logging

    return logging.getLogger().level < logging.INFO


def _text(lines: list[tuple[int, bytes]]) -> str:
    return b"".join(data for _, data in lines).decode("utf-8", "replace")
