"""One run of pip: its settings, its store, its parts; and their end."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pipfast.report import keep_timings, logger, say
from pipfast.settings import Settings

# The store and the workers are imported where something is going to be downloaded or installed: `install` of what
# is there already is over sooner than they are loaded.
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pipfast.index.fresh import Looks
    from pipfast.install.linker import Linker
    from pipfast.patterns import Patterns
    from pipfast.prepare.bytecode import BytecodeKind
    from pipfast.prepare.expected import ExpectedWheel
    from pipfast.prepare.preparer import Preparer
    from pipfast.prepare.workers import Workers
    from pipfast.settings import LinkMode
    from pipfast.store.layout import Layout
    from pipfast_hooks.builds.beside.sources import BuildsAhead
    from pipfast_hooks.downloads.connections import Connections
    from pipfast_hooks.install.expectation import Expectation
    from pipfast_hooks.metadata.ranged import RangedMetadata
    from pipfast_hooks.network.fresh import Entry
    from pipfast_hooks.resolver.lookahead import Ahead

    BuildSource = Callable[[str, Any, Path], None]
    """Begins to build a source that has arrived: its canonical name, pip's link, its archive."""


END_S = 0.2
"""Seconds to wait at the end for requests and checks under way: they leave nothing half done, and whoever pressed
Ctrl-C waits for a prompt."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A file whose digest is known because its bytes were hashed when they came."""

    digest: str
    size: int
    mtime_ns: int
    digests: dict[str, str]
    """All known digests by algorithm, SHA-256 among them."""


class Part:
    """Something that one run has once: made when it is first asked for, and ended with the run.

    A part asks the run in its constructor for the parts that it leans on; so these are older, and end later.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def give_way(self) -> None:
        """End processes, threads and descriptors that pip itself needs now; the run goes on without them."""

    def stop(self) -> None:
        """Tell what is under way to end, and wait for nothing."""

    def close(self, wait_s: float) -> None:
        """End everything of this part; wait no longer than ``wait_s`` seconds for threads."""


P = TypeVar("P", bound=Part)


@dataclass(slots=True, eq=False, repr=False)
class Run:
    """One command; everything in it is made when it is first needed, and closed at the end."""

    settings: Settings
    umask: int
    installing: bool = False
    """An installation will follow: wheels are prepared as soon as they are here."""
    metadata_only: bool = False
    """pip resolves, and fetches no archive after that."""
    nothing_to_install: bool = False
    """The resolver is done, and everything is there already."""
    bytecode: BytecodeKind | None = None
    verified: dict[str, Verified] = field(default_factory=dict)
    """By full path."""
    connections: dict[int, Connections] = field(default_factory=dict)
    """By session, as ``id()``; the value keeps its session alive."""
    dependencies: dict[object, tuple[Any, ...]] = field(default_factory=dict)
    """Requirements of installed distributions, by METADATA file and extras."""
    wheels: dict[object, Any] = field(default_factory=dict)
    """Distributions that were read from wheels and will be asked for once more."""
    stale_before: list[str] | None = None
    """The packages that were built against something else before this run, one line each."""
    last_words: list[tuple[str, str | None]] = field(default_factory=list)
    """What is said when pip has said everything."""
    _daily_words: list[Callable[[], None]] = field(default_factory=list)
    """Say the same, at most once a day: what makes things slower here."""
    ahead: Ahead | None = None
    """What is fetched before the resolver asks for it, while there is a resolution."""
    build_ahead: BuildSource | None = None
    """Builds a source that has arrived, while there is a resolution."""
    builds_ahead: BuildsAhead | None = None
    """What that has begun."""
    ranged: dict[int, RangedMetadata] = field(default_factory=dict)
    refusals: dict[str, Any] = field(default_factory=dict)
    """Responses, by address, that ask who asks: pip's first ones, once it asks."""
    """By ``id()`` of pip's session."""
    fresh: dict[str, tuple[Entry, Looks, float]] = field(default_factory=dict)
    """Pages that came out of pip's cache, by address, and until when they do."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of files by address, as an index says, of links that were made."""
    link_ahead: bool = False
    """What is installed will be on the store's filesystem, most likely: it can be linked aside there before."""
    target: str = ""
    """The folder that pip was told to install into, or below; none: into this interpreter's environment."""
    patterns: Patterns | None = None
    """What knows regular expressions, and notes those that pip's modules have."""
    expectation: Expectation | None = None
    """What this command line installed the last time."""
    placed: list[ExpectedWheel] = field(default_factory=list)
    """What was installed from the store, in pip's order."""
    store_allowed: bool = True
    """False under ``--no-cache-dir``: the user wants nothing kept."""
    _layout: Layout | None = None
    _layout_failed: bool = False
    _workers: Workers | None = None
    _preparer: Preparer | None = None
    _linker: Linker | None = None
    _making: threading.RLock = field(default_factory=threading.RLock)
    """Downloads may ask for the store at the same time."""
    _parts: dict[type[Part], Part] = field(default_factory=dict)
    """In the order in which they were made."""

    def part(self, kind: type[P]) -> P:
        """Return the run's one part of a kind, made now if it is not there."""
        with self._making:
            found = self.find(kind)
            if found is None:
                found = kind(self)
                self._parts[kind] = found
            return found

    def find(self, kind: type[P]) -> P | None:
        """Return the run's part of a kind if it was made."""
        return self._parts.get(kind)  # type: ignore[return-value]

    @property
    def linker(self) -> Linker:
        """Return what places files in this run."""
        if self._linker is None:
            from pipfast.install.linker import Linker

            self._linker = Linker(self.link_mode, self.umask)
        return self._linker

    @property
    def link_mode(self) -> LinkMode:
        """Return how files are put in place."""
        from pipfast.system.owner import effective_mode

        return effective_mode(self.settings.link_mode, self.target or _site_packages())

    def layout(self) -> Layout | None:
        """Return the store, or None if there is none for this command; said once."""
        with self._making:
            if not self.store_allowed or self._layout_failed:
                return None
            if self._layout is None:
                from pipfast.store.folder import StoreUnusable, default_root
                from pipfast.store.layout import open_layout

                try:
                    self._layout = open_layout(self.settings.store or default_root())
                except StoreUnusable as error:
                    self._layout_failed = True
                    self.say_daily(str(error), error.hint)
                else:
                    self._note_condition(self._layout)
            return self._layout

    def _note_condition(self, layout: Layout) -> None:
        """Note to say that nothing new can be kept."""
        from pipfast.store.condition import find_condition

        try:
            condition = find_condition(layout.root)
        except OSError as error:
            logger.debug("pipfast: the state of the store: %r", error)
        else:
            if condition is not None:
                self.say_daily(str(condition), condition.hint)

    def _note_refusal(self) -> None:
        """Note to say that something was not kept: the store may have filled during the run."""
        if self._layout is not None and self._layout.refusals:
            from pipfast.store.condition import take_refusal

            condition = take_refusal(self._layout)
            if condition is not None:
                self.say_daily(str(condition), condition.hint)

    def preparer(self) -> Preparer | None:
        """Return what prepares wheels for this installation, or None if nothing is kept."""
        with self._making:
            if self._preparer is None:
                layout = self.layout()
                if layout is None or not self.installing:
                    return None
                self.make_preparer(layout)
            return self._preparer

    def make_preparer(self, layout: Layout) -> Preparer:
        """Make what prepares wheels, and the workers that it needs."""
        from pipfast.prepare.preparer import Preparer
        from pipfast.prepare.workers import Inside, Workers

        self._workers = Inside() if _has_imported_all() else Workers(self.settings.workers)
        link_mode = self.link_mode if self.link_ahead and _is_beside(layout) else None
        self._preparer = Preparer(layout, self._workers, self.umask, self.bytecode, link_mode)
        return self._preparer

    def expect(self, arguments: Sequence[str]) -> None:
        """Have linked aside from now on what this command line installed the last time."""
        settings = self.settings
        if "install" not in arguments or settings.workers < 2 or self.link_mode == "copy":
            return
        if settings.disabled.isdisjoint(("install", "program")):
            try:
                from pipfast_hooks.install import expectation

                self.expectation = expectation.begin(self, arguments)
            except Exception:
                logger.debug("pipfast: nothing is expected", exc_info=True)

    def settle(self) -> None:
        """Give up what was expected where pip's options now say that it cannot be used."""
        usable = self.installing and self.store_allowed and self.link_ahead
        try:
            if self._preparer is not None and not (usable and self._preparer.kind == self.bytecode):
                self._stop_workers()
        except Exception:
            logger.debug("pipfast: what was expected is given up", exc_info=True)

    def keep_expectation(self) -> None:
        """Keep for the next time what has been installed."""
        if self.expectation is not None and self.link_ahead and self.bytecode is not None:
            try:
                sys.modules["pipfast_hooks.install.expectation"].keep(self, self.expectation)
            except Exception:
                logger.debug("pipfast: what was installed is not kept", exc_info=True)

    def say_at_end(self, message: str, hint: str | None = None) -> None:
        """Say something below pip's own error."""
        self.last_words.append((message, hint))

    def say_daily(self, message: str, hint: str | None = None) -> None:
        """Say something about the surroundings when pip has said everything, at most once a day."""
        # Imported now: nothing can be any more when it is said.
        from pipfast.daily import say_daily

        self._daily_words.append(partial(say_daily, message, hint))

    def remember(self, path: Path | str, digests: dict[str, str]) -> None:
        """Note the digests of a file just written; valid for as long as its size and mtime stay."""
        found = os.stat(path)
        self.verified[os.fspath(path)] = Verified(
            digests["sha256"], found.st_size, found.st_mtime_ns, digests
        )

    def known(self, path: str) -> Verified | None:
        """Return what is known of a file, if it is unchanged."""
        verified = self.verified.get(path)
        if verified is None:
            return None
        try:
            found = os.stat(path)
        except OSError:
            return None
        if (found.st_size, found.st_mtime_ns) != (verified.size, verified.mtime_ns):
            return None
        return verified

    def give_way(self) -> None:
        """End what runs beside pip and has processes, threads or descriptors that pip needs; pip goes on alone."""
        self.settings = replace(self.settings, builds=1, workers=1)
        self._stop_workers()
        for part in reversed(list(self._parts.values())):
            part.give_way()
        for name, function in (
            ("builds.beside.sources", "forget"), ("builds.environments.runner", "end_server"),
            ("builds.guard", "forget"), ("startup.agent", "forget"),
        ):
            if (module := sys.modules.get(f"{__package__}.{name}")) is not None:
                getattr(module, function)()

    def close(self) -> None:
        """Stop connections and workers; nothing of ours is left running."""
        # No worker is begun any more, and nobody waits for one that is.
        self.installing = self.metadata_only = False
        self._stop_workers()
        self._stop_threads()
        self._close_parts()
        for name in (
            "network.buffers", "network.early", "startup.agent", "builds.giving_way",
            "builds.environments.runner", "builds.beside.sources", "builds.environments.shared",
            "builds.context", "builds.guard",
        ):
            if (module := sys.modules.get(f"{__package__}.{name}")) is not None:
                try:
                    module.forget()
                except Exception:
                    # The others still have threads, processes and files to end.
                    logger.debug("pipfast: at the end of %s", name, exc_info=True)
        for message, hint in self.last_words:
            say(message, hint)
        self.last_words.clear()
        self._note_refusal()
        for tell in self._daily_words:
            tell()
        self._daily_words.clear()
        self.dependencies.clear()
        self.wheels.clear()
        if self._layout is not None and self.store_allowed:
            if self.patterns is not None:
                self.patterns.keep(self._layout)
            self._layout.sweep()

    def _stop_threads(self) -> None:
        """End requests that nobody wants any more; after a moment, for all together, they end with the process."""
        early = sys.modules.get("pipfast_hooks.network.early")
        if early is not None:
            early.close()
        endings: list[Callable[[float], None]] = [each.close for each in list(self.ranged.values())]
        endings += [each.close for each in list(self.connections.values())]
        if self.ahead is not None:
            endings.insert(0, self.ahead.stop)
        for end in endings:
            end(0.0)
        deadline = time.monotonic() + END_S
        for end in endings:
            end(max(0.0, deadline - time.monotonic()))
        self.ahead = None
        self.ranged.clear()
        self.connections.clear()

    def _close_parts(self) -> None:
        """End the parts, last made first: all are told to stop before any is waited for."""
        parts = list(reversed(self._parts.values()))
        for part in parts:
            self._end(part, part.stop)
        deadline = time.monotonic() + END_S
        for part in parts:
            self._end(part, partial(part.close, max(0.0, deadline - time.monotonic())))
            self._parts.pop(type(part), None)

    @staticmethod
    def _end(part: Part, end: Callable[[], None]) -> None:
        try:
            end()
        except Exception:
            # The others still have threads, processes and files to end.
            logger.debug("pipfast: at the end of %s", type(part).__name__, exc_info=True)

    def _stop_workers(self) -> None:
        with self._making:
            workers, self._workers = self._workers, None
            preparer, self._preparer = self._preparer, None
        if workers is not None:
            workers.close()
        if preparer is not None:
            preparer.close()


def _has_imported_all() -> bool:
    """Tell whether this process can do a worker's jobs itself: it writes the names of files as a worker does."""
    runner = sys.modules.get("pipfast_hooks.builds.environments.runner")
    return runner is not None and runner.is_inherited() and sys.getfilesystemencoding() == "utf-8"


def _site_packages() -> str:
    import sysconfig

    return sysconfig.get_path("purelib")


def _is_beside(layout: Layout) -> bool:
    """Tell whether the store is on the filesystem of this interpreter's environment."""
    try:
        return os.stat(_site_packages()).st_dev == os.stat(layout.root).st_dev
    except OSError:
        return False


def _current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_run: Run | None = None


def begin_run(settings: Settings) -> Run:
    """Start a new run with these settings; the one before is closed."""
    global _run
    if _run is not None:
        _run.close()
    keep_timings(settings.timings)
    _run = Run(settings, _current_umask())
    return _run


def current_run() -> Run:
    """Return the run that is under way; one with the environment's settings if none was begun."""
    return _run if _run is not None else begin_run(Settings.from_environ(os.environ))


def end_run() -> None:
    """Close the run that is under way, if there is one; a failure of that is not the command's.

    Nor is a Ctrl-C then: pip is done, and what is closed twice does no harm.
    """
    for _ in range(2):
        try:
            if _run is not None:
                _run.close()
        except KeyboardInterrupt:
            continue
        except Exception:
            logger.debug("pipfast: at the end of a command", exc_info=True)
        return
