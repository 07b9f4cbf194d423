"""The downloads of one pip session: from the store where it has them, else over parallel connections."""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal.network import download as pip_download
from pip._internal.network.session import CacheControlAdapter
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.fetch.pool import DownloadPool
from pipfast.report import logger, timed
from pipfast.store.archives import Archive, add_archive, find_archive, hand_out, is_sound
from pipfast.store.urls import Origin, find_origin, note_url
from pipfast.system import threads
from pipfast_hooks.network import early
from pipfast_hooks.network.transport import SessionTransport
from pipfast_hooks.output import records
from pipfast_hooks.output.lines import StandIn, tell
from pipfast_hooks.run import Part

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from pipfast.fetch.job import Download, Fetched
    from pipfast.store.layout import Layout
    from pipfast_hooks.output.display import Display
    from pipfast_hooks.run import Run


@dataclass(slots=True)
class Job:
    """One of pip's links on its way into pip's folder ``location``."""

    link: Any
    location: Path
    archive: Archive | None = None
    """It is in the store."""
    check: Future[bool] | None = None
    """Tells whether all its bytes are still what they were."""
    download: Download | None = None
    """It is being fetched."""
    then: Callable[[Path], None] | None = None
    """Follows with the stored archive, in a thread of ours, once it is there."""
    told: bool = False
    """pip's line about it stands there."""
    here: Path | None = None
    """Where the stored archive is, once its bytes were read."""
    records: list[logging.LogRecord] = field(default_factory=list)
    """What the worker threads logged about it; written out when pip comes to it."""


class Connections:
    """The parallel downloads of one pip session."""

    def __init__(self, session: Any, run: Run) -> None:
        self.session = session
        self.run = run
        self._jobs: dict[str, Job] = {}
        self._ahead: dict[str, Job] = {}
        self._chosen: set[str] = set()
        self._begun: dict[str, Job] = {}
        """What pip has asked for, by address."""
        self._closed = False
        self._beginning = threading.Lock()
        """What is fetched ahead begins in other threads than pip's."""
        self._following = threading.Lock()
        """Guards a job's ``here`` and ``then``; taken last, for a download may be over before it has begun."""
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        # pip's session has no caching adapter under --no-cache-dir.
        # Without a cache of pip's, which is not writable perhaps, an installation has the store still.
        has_cache = isinstance(session.get_adapter("https://"), CacheControlAdapter)
        self.keeps = has_cache or (run.intent.installs and run.intent.stores)
        # A core remains pip's.
        self._checks = threads.Pool(max(1, run.settings.workers - 1), "pipfast-check")
        early.attach(session)
        self._pool = DownloadPool(
            SessionTransport(session, self._is_kept),
            connections=run.settings.connections,
            on_thread_start=self._routed,
        )

    @property
    def _layout(self) -> Layout:
        return self.run.store.layout

    def _is_kept_at_all(self) -> bool:
        return self.keeps and self._layout.keeps

    def begin(self, link: Any, location: str) -> Job:
        """Find a link's file in the store, or start to fetch it; returns at once."""
        with self._beginning:
            started = self._ahead.pop(link.url_without_fragment, None)
            if started is not None and not _has_failed(started):
                started.link, started.location = link, Path(location)
            else:
                started = self._begin(Job(link, Path(location)))
            self._begun[link.url_without_fragment] = started
            return started

    def _begin(self, job: Job) -> Job:
        link = job.link
        digests = _digests(link)
        if self.keeps and "sha256" in digests:
            job.archive = find_archive(self._layout, digests["sha256"])
        if job.archive is not None:
            job.check = self._checks.submit(functools.partial(self._is_sound, job.archive, job))
        else:
            self._fetch(job)
        return job

    def _fetch(self, job: Job) -> None:
        url = job.link.url_without_fragment
        self._jobs[url] = job
        job.download = self._pool.submit(
            url, self._folder(), name=_Namer(job.link), expected=_digests(job.link)
        )
        # Bound to the job: where an address is fetched again, each file belongs to its own.
        job.download.add_done_callback(functools.partial(self._arrived, job))

    def _is_sound(self, archive: Archive, job: Job) -> bool:
        """Read a stored archive again, beside what the resolver or pip does meanwhile, and prepare it."""
        name = job.link.filename
        preparer = self.run.store.preparer()
        with timed("check", name=name):
            has_read = preparer is not None and preparer.has_read(archive.digest)
            if not has_read and not is_sound(self._layout, archive):
                return False
        self._follow(job, archive.path)
        self._prepare(archive.digest, archive.path, name)
        return True

    def _follow(self, job: Job, path: Path) -> None:
        """Hand on a stored archive to whoever waits for what is in it."""
        with self._following:
            job.here, then = path, job.then
        if then is not None:
            then(path)

    def begin_ahead(
        self, name: str, link: Any, *, needed: bool = False, then: Callable[[Path], None] | None = None
    ) -> None:
        """Start to fetch what the resolver has just chosen for a project, or is about to, while it goes on.

        Only the first choice of each project, however its name is written: where the resolver has to go back,
        its next choices are less certain. Only for an installation, which fetches every archive in the end.

        :param needed: the resolver itself needs the archive, for what is in it.
        :param then: called with the stored archive, in a thread of ours, once it is there.
        """
        if not (self.run.intent.installs or needed) or link.scheme not in ("http", "https"):
            return
        with self._beginning:
            project = canonicalize_name(name)
            if project in self._chosen or self._closed or not self._is_kept_at_all():
                return
            self._chosen.add(project)
            begun = self._begun.get(link.url_without_fragment)
            if begun is None or _has_failed(begun):
                self._ahead[link.url_without_fragment] = self._begin(Job(link, Path(), then=then))
            elif then is not None:
                # pip came first, and a second job would fetch the file again.
                with self._following:
                    here = begun.here
                    begun.then = then if here is None else begun.then
                if here is not None:
                    self._checks.submit(functools.partial(then, here))

    def finish(self, job: Job, progress_bar: str, display: Display | None = None) -> tuple[str, str]:
        """Say what pip says about a download, wait for it, and return pip's (path, content type).

        :raises Exception: what pip's session raised.
        """
        if job.check is not None and not job.check.result():
            job.archive = job.check = None
            self._fetch(job)
        if job.download is None:
            assert job.archive is not None
            with display.aside() if display is not None else contextlib.nullcontext():
                return self._finish_stored(job, job.archive, progress_bar), ""
        try:
            response: Any = job.download.first_response()
        except BaseException as error:
            if getattr(getattr(error, "response", None), "status_code", None) == 401:
                # pip fetches it then, and has its own to say: it asks for a password first.
                job.records.clear()
                self.run.refusals[job.link.url_without_fragment] = error.response  # type: ignore[attr-defined]
            records.replay(job.records)
            raise
        records.replay(job.records)
        size = pip_download._get_http_response_size(response.response)
        received = job.download.received()
        job.told = True
        screen = {} if display is None else {"aside": display.aside}
        if display is not None:
            received = display.watch(received)
        tell(response.response, job.link, progress_bar, size, received, times=job.download.times, **screen)
        fetched = job.download.result()
        records.replay(job.records)
        if job.archive is not None and self._layout.keeps:
            # Not when it arrived: pip would not have fetched what it never came to ask for.
            kept = fetched.from_cache or self._pip_would_keep(job.download)
            if kept or size is None:
                note_url(self._layout, job.download.url, fetched.sha256, Origin(kept, size is not None))
        path = self._deliver(job, fetched)
        return os.fspath(path), response.headers.get("Content-Type", "")

    def downloads(self) -> list[Download]:
        """Return all downloads that were begun, for a display."""
        return [job.download for job in list(self._jobs.values()) if job.download is not None]

    def close(self, wait_s: float) -> None:
        """Cancel what is under way and remove what was not delivered; wait at most that many seconds for each."""
        with self._beginning:
            self._closed = True
        self._checks.close(0.0)
        self._pool.close(wait_s)
        if self._scratch is not None:
            self._scratch.cleanup()

    def _folder(self) -> Path:
        """Return where files arrive: on the store's filesystem, so that keeping one is a rename."""
        if self._scratch is None:
            self._scratch = _new_folder(self._layout) if self._is_kept_at_all() else None
            if self._scratch is None:
                # Downloads go on at once, though each is copied once more; pip would have them there, too.
                self._scratch = _new_folder(None)
            assert self._scratch is not None
        # One folder for each file: two links may have the same file name.
        return Path(tempfile.mkdtemp(dir=self._scratch.name))

    def _is_kept(self, url: str) -> bool:
        """Tell whether the store will have this file the next time, so that pip's cache need not."""
        job = self._jobs.get(url)
        # Without a digest a link cannot be looked up in the store: then pip's own cache is all there is.
        return job is not None and "sha256" in _digests(job.link) and self._is_kept_at_all()

    def _arrived(self, job: Job, download: Download) -> None:
        """Keep a file and prepare it, in the worker thread that completed it."""
        fetched = download.fetched
        if fetched is None or fetched.matches is False:
            return
        _keep_for_pip(download.first_response(), fetched)
        if not self._is_kept_at_all():
            return
        archive = add_archive(self._layout, fetched.path, fetched.sha256, fetched.path.name, move=True)
        if archive is not None:
            job.archive = archive
            self._follow(job, archive.path)
            self._prepare(archive.digest, archive.path, job.link.filename)

    def _prepare(self, digest: str, path: Path, name: str) -> None:
        """Have a wheel prepared whose bytes were hashed just now."""
        if name.endswith(".whl"):
            preparer = self.run.store.preparer()
            if preparer is not None:
                preparer.start(digest, path, hashed=True)

    def _finish_stored(self, job: Job, archive: Archive, progress_bar: str) -> str:
        origin = self._origin(job.link)
        size = archive.size if origin.sized else None
        response = StandIn(size, origin.kept)
        tell(response, job.link, progress_bar, size, iter((archive.size,)))
        target = job.location / _Namer(job.link)(response)
        hand_out(archive, target, self.run.umask)
        self.run.store.remember(target, {"sha256": archive.digest})
        return os.fspath(target)

    def _deliver(self, job: Job, fetched: Fetched) -> Path:
        """Put a fetched file where pip expects it."""
        target = job.location / fetched.path.name
        if job.archive is not None:
            hand_out(job.archive, target, self.run.umask)
        else:
            _move(fetched.path, target)
        self.run.store.remember(target, dict(fetched.digests))
        return target

    def _origin(self, link: Any) -> Origin:
        """Tell how pip would get this file: out of its own HTTP cache, and told how large it is?"""
        url = link.url_without_fragment
        noted = find_origin(self._layout, url, link.hash)
        if noted is None:
            return Origin(kept=False, sized=True)
        return replace(noted, kept=noted.kept and isinstance(self.session.get_adapter(url), CacheControlAdapter))

    def _pip_would_keep(self, download: Download) -> bool:
        """Tell whether pip's HTTP cache would have kept this answer: cachecontrol's rules for a 200."""
        if not isinstance(self.session.get_adapter(download.url), CacheControlAdapter):
            return False
        headers = download.first_response().headers
        directives = [part.strip() for part in headers.get("Cache-Control", "").lower().split(",")]
        if "no-store" in directives or headers.get("Vary") == "*":
            return False
        if "etag" in headers:
            return True
        fresh = any(
            part.startswith("max-age=") and part[8:].isdigit() and int(part[8:]) > 0 for part in directives
        )
        return "date" in headers and (fresh or bool(headers.get("Expires")))

    @contextlib.contextmanager
    def _routed(self, download: Download) -> Iterator[None]:
        """Keep what is logged in this thread for the main thread to write, in pip's order."""
        job = self._jobs.get(download.url)
        with records.held_back(job.records if job is not None else []):
            yield


def _keep_for_pip(response: Any, fetched: Fetched) -> None:
    """Put into pip's HTTP cache what the store will not be asked for."""
    keep = getattr(response, "keep", None)
    if keep is not None and fetched.size:
        try:
            # As cachecontrol itself hands over what it has collected.
            with (
                fetched.path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
                memoryview(content) as view,
            ):
                keep(view)
        except Exception as error:
            logger.debug("pipfast: %s is not in pip's cache: %r", fetched.path.name, error)


def _new_folder(layout: Layout | None) -> tempfile.TemporaryDirectory[str] | None:
    """Make a temporary folder in the store, or in the system's own place if ``layout`` is None.

    :returns: None if the store cannot be written: read-only, or no space or inode left.
    """
    if layout is None:
        return tempfile.TemporaryDirectory(prefix="pipfast-", ignore_cleanup_errors=True)
    try:
        path = layout.new_path(".")
        return tempfile.TemporaryDirectory(prefix=path.name, dir=path.parent, ignore_cleanup_errors=True)
    except OSError as error:
        logger.debug("pipfast: downloads do not go to %s: %s", layout.root, error)
        return None


class Sessions(Part):
    """The parallel downloads of each session of pip's."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._connections: dict[int, Connections] = {}
        """By session, as ``id()``; the value keeps its session alive."""
        self._making = threading.Lock()
        """What is fetched ahead may come first."""

    def of(self, session: Any) -> Connections:
        """Return the downloads of a session, made when they are first needed."""
        with self._making:
            connections = self._connections.get(id(session))
            if connections is None:
                connections = self._connections[id(session)] = Connections(session, self.run)
        return connections

    def stop(self) -> None:
        """Cancel what is under way."""
        self.close(0.0)

    def close(self, wait_s: float) -> None:
        """Cancel what is under way and remove what was not delivered; wait that long for all together."""
        deadline = time.monotonic() + wait_s
        for each in list(self._connections.values()):
            each.close(max(0.0, deadline - time.monotonic()))


class _Namer:
    """Gives a download the file name pip would give it."""

    def __init__(self, link: Any) -> None:
        self._link = link

    def __call__(self, response: Any) -> str:
        name = pip_download._get_http_response_filename(getattr(response, "response", response), self._link)
        return str(name)


def _digests(link: Any) -> dict[str, str]:
    """Return the digests the index gives for a link, by algorithm."""
    name, digest = link.hash_name, link.hash
    return {name: digest} if name and digest else {}


def _has_failed(job: Job) -> bool:
    return job.download is not None and job.download.finished and job.download.fetched is None


def _move(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):
        source.replace(target)
        return
    import shutil

    shutil.copyfile(source, target)
    source.unlink()
