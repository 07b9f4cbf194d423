"""Intent of one command, and its store: layout, preparer, linker, known files."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pipfast import report
from pipfast.memo.watch import unwatched
from pipfast.report import logger, timed
from pipfast_hooks.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipfast.install.linker import Linker
    from pipfast.memo.watch import Watch
    from pipfast.prepare.bytecode import BytecodeKind
    from pipfast.prepare.preparer import Preparer
    from pipfast.prepare.workers import Workers
    from pipfast.settings import LinkMode, Settings
    from pipfast.store.layout import Layout

    class Command(Protocol):
        """What the store asks of the run that it belongs to."""

        settings: Settings
        umask: int
        intent: Intent
        is_copy: bool
        recording: Watch | None

        def say_daily(self, message: str, hint: str | None = None) -> None:
            """Say something when pip has said everything, at most once a day."""


class Aim(Enum):
    """What becomes of the archives that pip chooses."""

    INSTALL = "they are installed from the store"
    ARCHIVES = "they are fetched, and the rest is pip's"
    METADATA = "they are not fetched: pip only resolves"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is known of a command's ends and means; replaced as a whole when more is known."""

    aim: Aim = Aim.ARCHIVES
    stores: bool = True
    """False under ``--no-cache-dir``: the user wants nothing kept."""
    bytecode: BytecodeKind | None = None
    """The bytecode that is installed; None: none, or pip makes it."""
    link_ahead: bool = False
    """The environment is on the store's filesystem, most likely: files can be linked aside there before."""
    target: str = ""
    """The folder that pip was told to install into, or below; empty: into this interpreter's environment."""
    nothing_to_install: bool = False
    """The resolver is done, and everything is there already."""

    @property
    def installs(self) -> bool:
        """Tell whether wheels are prepared as soon as they are here."""
        return self.aim is Aim.INSTALL

    @property
    def metadata_only(self) -> bool:
        """Tell whether pip resolves, and fetches no archive after that."""
        return self.aim is Aim.METADATA


# The store and the workers are imported where something is going to be downloaded or installed: `install` of what
# is there already is over sooner than they are loaded.


class Store:
    """The run's store, opened at its first use, with what prepares and places its files."""

    def __init__(self, run: Command) -> None:
        self._run = run
        self._verified: dict[str, tuple[tuple[int, int], dict[str, str]]] = {}
        """By full path, size, mtime in ns and digests of files whose bytes were hashed when they came."""
        self._stand_ins: dict[str, Callable[[], object]] = {}
        """By full path of an empty file: what puts the archive there that it stands for."""
        self._opened: Layout | None = None
        self._nowhere: Layout | None = None
        self._unusable = False
        self._workers: Workers | None = None
        self._preparer: Preparer | None = None
        self._linker: Linker | None = None
        # Downloads may ask for the store at the same time.
        self._lock = threading.RLock()

    @property
    def layout(self) -> Layout:
        """Return the store's layout, or the null form; why there is no store is said once."""
        with self._lock:
            if self._run.intent.stores and not self._unusable:
                if self._opened is None:
                    self._open()
                if self._opened is not None:
                    return self._opened
            return self.nowhere

    @property
    def nowhere(self) -> Layout:
        """Return the null form of a layout."""
        if self._nowhere is None:
            from pipfast.store.layout import Nowhere

            self._nowhere = Nowhere()
        return self._nowhere

    @property
    def opened(self) -> Layout | None:
        """Return the store's layout if it has been used, else None."""
        return self._opened if self._run.intent.stores else None

    def _open(self) -> None:
        from pipfast.store.folder import StoreUnusable, default_root
        from pipfast.store.layout import open_layout

        try:
            self._opened = open_layout(self._run.settings.store or default_root())
        except StoreUnusable as error:
            self._unusable = True
            self._run.say_daily(str(error), error.hint)
        else:
            self._note_condition(self._opened)

    def _note_condition(self, layout: Layout) -> None:
        from pipfast.store.condition import find_condition

        try:
            condition = find_condition(layout.root)
        except OSError as error:
            logger.debug("pipfast: the state of the store: %r", error)
        else:
            if condition is not None:
                self._run.say_daily(str(condition), condition.hint)

    @property
    def linker(self) -> Linker:
        """Return what places files in this run."""
        if self._linker is None:
            from pipfast.install.linker import Linker

            self._linker = Linker(self.link_mode, self._run.umask)
        return self._linker

    @property
    def link_mode(self) -> LinkMode:
        """Return how files are put in place."""
        from pipfast.system.owner import effective_mode

        return effective_mode(self._run.settings.link_mode, self._run.intent.target or _site_packages())

    def preparer(self) -> Preparer | None:
        """Return what prepares wheels, or None if none are installed from the store."""
        with self._lock:
            if self._preparer is None:
                if not self.layout.keeps or not self._run.intent.installs:
                    return None
                self.make_preparer()
            return self._preparer

    def make_preparer(self) -> Preparer:
        """Make what prepares wheels, and the workers that it needs."""
        from pipfast.prepare.jobs import Terms
        from pipfast.prepare.preparer import Preparer
        from pipfast.prepare.workers import Inside, Workers

        run, layout = self._run, self.layout
        # A worker writes file names in UTF-8, and this process has to do the same.
        inside = run.is_copy and sys.getfilesystemencoding() == "utf-8"
        terms = Terms(os.fspath(layout.root), run.umask, run.intent.bytecode, report.recorder is not None)
        self._workers = Inside(1, terms) if inside else Workers(
            run.settings.workers, terms, partial(unwatched, run.recording))
        link_mode = self.link_mode if run.intent.link_ahead and _is_beside(layout) else None
        self._preparer = Preparer(layout, self._workers, link_mode)
        return self._preparer

    def settle(self) -> None:
        """Give up what is prepared if the run's intent is another one by now."""
        intent = self._run.intent
        usable = intent.installs and intent.stores and intent.link_ahead
        with guarded("what was expected is given up"):
            if self._preparer is not None and not (usable and self._preparer.kind == intent.bytecode):
                self.stop()

    def remember(self, path: Path | str, digests: dict[str, str]) -> None:
        """Note the digests of a file just written; they hold while its size and mtime stay."""
        found = os.stat(path)
        self._verified[os.fspath(path)] = (found.st_size, found.st_mtime_ns), digests

    def known(self, path: str) -> dict[str, str] | None:
        """Return the digests of a file by algorithm, SHA-256 among them, if they are known and it is unchanged."""
        with suppress(KeyError, OSError):
            (looks, digests), found = self._verified[path], os.stat(path)
            if (found.st_size, found.st_mtime_ns) == looks:
                return digests
        return None

    def stand_in(self, path: Path, digest: str, fetch: Callable[[], object]) -> None:
        """Make an empty file stand for a wheel that is installed from its tree; OSError: it cannot be made.

        :param fetch: puts the archive there, for pip's own code. Raises what pip can show.
        """
        path.unlink(missing_ok=True)
        path.touch()
        self.remember(path, {"sha256": digest})
        self._stand_ins[os.fspath(path)] = fetch

    def stands_in(self, path: str) -> bool:
        """Tell whether a file only stands for an archive."""
        return path in self._stand_ins

    def make_whole(self, path: str) -> None:
        """Have the archive where a file stands for it: pip's own code is about to read it."""
        if (fetch := self._stand_ins.pop(path, None)) is not None:
            logger.debug("pipfast: %s is fetched after all", os.path.basename(path))
            fetch()

    def stop(self) -> None:
        """End the workers, and remove what they linked aside in vain."""
        with self._lock:
            workers, self._workers = self._workers, None
            preparer, self._preparer = self._preparer, None
        if workers is not None:
            workers.close()
        if preparer is not None:
            preparer.close()

    def note_refusal(self) -> None:
        """Note to say that something was not kept: the store may have filled during the run."""
        if self._opened is not None and self._opened.refusals:
            from pipfast.store.condition import take_refusal

            condition = take_refusal(self._opened)
            if condition is not None:
                self._run.say_daily(str(condition), condition.hint)

    def tidy(self) -> None:
        """Remove what killed processes have left, and what the store's bound has no room for."""
        layout, bound = self.opened, self._run.settings.store_size
        if layout is None:
            return
        layout.sweep()
        if bound is not None:
            from pipfast.upkeep.bound import keep_below

            with timed("bound"), guarded("the store is not kept below its bound"):
                keep_below(layout, bound)


def _site_packages() -> str:
    import sysconfig

    return sysconfig.get_path("purelib")


def _is_beside(layout: Layout) -> bool:
    """Tell whether the store is on the filesystem of this interpreter's environment."""
    with suppress(OSError):
        return os.stat(_site_packages()).st_dev == os.stat(layout.root).st_dev
    return False
