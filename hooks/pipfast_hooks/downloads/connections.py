"""Downloads of one pip session, from the store or in parallel."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal.exceptions import InstallationError
from pip._internal.network import download as pip_download
from pip._vendor.packaging.utils import canonicalize_name

from pipfast import report
from pipfast.fetch.errors import WrongDigest
from pipfast.fetch.pool import DownloadPool
from pipfast.report import timed
from pipfast.store.archives import Archive, add_archive, find_archive, hand_out, is_sound
from pipfast.store.urls import Origin, find_digest, find_origin, note_url
from pipfast.system import threads
from pipfast_hooks.downloads.job import Job, Scratch, find_stored_origin, give, move, would_keep
from pipfast_hooks.guard import guarded
from pipfast_hooks.network.asked import caching_adapter
from pipfast_hooks.network.early import EarlyRequests
from pipfast_hooks.network.transport import SessionTransport
from pipfast_hooks.output import records
from pipfast_hooks.output.lines import StandIn, tell
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipfast.fetch.job import Download, Fetched
    from pipfast.store.layout import Layout
    from pipfast_hooks.downloads.team import TeamArchives, TeamPrepared
    from pipfast_hooks.output.display import Display


class Connections:
    """The parallel downloads of one pip session."""

    def __init__(self, session: Any, run: Run, early: EarlyRequests) -> None:
        self.session = session
        self.run = run
        self._jobs: dict[str, Job] = {}
        self._ahead: dict[str, Job] = {}
        self._chosen: set[str] = set()
        self._begun: dict[str, Job] = {}
        self.wrong: set[str] = set()
        """Addresses whose file has not its digest: pip fetches it itself, and finds it right or wrong."""
        self._closed = False
        self._beginning = threading.Lock()
        """What is fetched ahead begins in other threads than pip's."""
        self._following = threading.Lock()
        """Guards a job's ``here`` and ``then``; taken last, for a download may be over before it has begun."""
        self._scratch = Scratch()
        # Without a cache of pip's, which is not writable perhaps, an installation has the store still.
        self._keeps = caching_adapter(session) is not None or (run.intent.installs and run.intent.stores)
        # A core remains pip's.
        self._checks = threads.Pool(max(1, run.settings.workers - 1), "pipfast-check")
        self._early = early
        early.attach(session)
        self._pool = DownloadPool(
            SessionTransport(early, session, self._is_kept),
            connections=run.settings.connections,
            on_thread_start=self._routed,
        )

    @property
    def _layout(self) -> Layout:
        store = self.run.store
        return store.layout if self._keeps else store.nowhere

    def begin(self, link: Any, location: str) -> Job:
        """Find a link's file in the store, or start to fetch it; returns at once."""
        with self._beginning:
            started = self._ahead.pop(link.url_without_fragment, None)
            if started is not None and not started.has_failed:
                started.link, started.location = link, Path(location)
            else:
                started = self._begin(Job(link, Path(location)))
            self._begun[link.url_without_fragment] = started
            return started

    def _begin(self, job: Job) -> Job:
        job.archive = self._stored(job)
        team = self._team_prepared(job)
        if team is not None and (job.archive is not None or job.then is not None or not self._can_stand_in):
            # The archive is here, or pip needs it, or we do, for what is in it.
            team.bring(job.digests["sha256"])
            team = None
        if job.archive is not None:
            job.check = self._checks.submit(functools.partial(self._is_sound, job.archive, job))
        elif team is not None:
            job.check = team.ask(functools.partial(self._comes_prepared, team, job))
        elif (archives := self._team_archives()) is not None and "sha256" in job.digests:
            job.check = archives.ask(functools.partial(self._comes_from_team, archives, job))
        else:
            self._fetch(job)
        return job

    @functools.cached_property
    def _can_stand_in(self) -> bool:
        from pipfast_hooks.downloads.stand_ins import can_stand_in

        with guarded("archives are fetched"):
            return can_stand_in()
        return False

    def has(self, link: Any) -> bool:
        """Tell whether the archive behind pip's link is in the store."""
        return self._stored(Job(link, Path())) is not None

    def _stored(self, job: Job) -> Archive | None:
        digest = job.digests.get("sha256")
        if digest is None and self.run.settings.offline != "off":
            digest = find_digest(self._layout, job.url)
        return find_archive(self._layout, digest) if digest is not None else None

    def _team_archives(self) -> TeamArchives | None:
        """Return the archives of the team's store; None where there is none, or archives are not shared."""
        settings = self.run.settings
        asks = settings.remote_archives and settings.offline != "only"
        if settings.remote is None or not asks or not self._layout.keeps:
            return None
        from pipfast_hooks.downloads.team import TeamArchives

        return self.run.part(TeamArchives)

    def _team_prepared(self, job: Job, digest: str = "") -> TeamPrepared | None:
        """Return the prepared wheels of the team's store; None if they are not shared, or this is none.

        :param digest: SHA-256 of a file that is here, of which the link has none.
        """
        settings = self.run.settings
        if settings.remote is None or not settings.remote_prepared or settings.offline == "only":
            return None
        if not job.link.is_wheel or not self._layout.keeps or not (digest or "sha256" in job.digests):
            return None
        with guarded("%s is prepared here", job.link.filename):
            if self.run.store.preparer() is not None:
                from pipfast_hooks.downloads.team import TeamPrepared

                return self.run.part(TeamPrepared)
        return None

    def _comes_prepared(self, team: TeamPrepared, job: Job) -> bool:
        """Get a wheel's tree and bytecode from the team's store, or start to fetch its archive; tell which."""
        job.size = team.get(job.digests["sha256"], job.link.filename)
        if job.size is not None:
            return True
        if (archives := self._team_archives()) is not None:
            return self._comes_from_team(archives, job)
        self._fetch(job)
        return False

    def _comes_from_team(self, archives: TeamArchives, job: Job) -> bool:
        """Get an archive from the team's store, or start to fetch it from the index; tell which."""
        archive = archives.get(job.digests["sha256"], job.link.filename)
        if archive is None:
            self._fetch(job)
            return False
        job.archive = archive
        self._follow(job, archive.path)
        self._prepare(archive.digest, archive.path, job.link.filename)
        return True

    def _fetch(self, job: Job) -> None:
        self._jobs[job.url] = job
        folder = self._scratch.new_folder(self._layout)
        job.download = self._pool.submit(job.url, folder, name=job.name, expected=job.digests)
        # Bound to the job: where an address is fetched again, each file belongs to its own.
        job.download.add_done_callback(functools.partial(self._arrived, job))

    def _is_sound(self, archive: Archive, job: Job) -> bool:
        """Read a stored archive again, beside what the resolver or pip does meanwhile, and prepare it."""
        name = job.link.filename
        preparer = self.run.store.preparer()
        with timed("check", name=name, key=job.url, digest=archive.digest, cache="store", bytes=archive.size):
            has_read = preparer is not None and preparer.has_read(archive.digest)
            if not has_read and not is_sound(self._layout, archive):
                return False
        self._follow(job, archive.path)
        self._prepare(archive.digest, archive.path, name)
        return True

    def _follow(self, job: Job, path: Path) -> None:
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
            if project in self._chosen or self._closed or not self._layout.keeps:
                return
            self._chosen.add(project)
            begun = self._begun.get(link.url_without_fragment)
            if begun is None or begun.has_failed:
                self._ahead[link.url_without_fragment] = self._begin(Job(link, Path(), then=then))
            elif then is not None:
                # pip came first, and a second job would fetch the file again.
                with self._following:
                    here = begun.here
                    begun.then = then if here is None else begun.then
                if here is not None:
                    self._checks.submit(functools.partial(then, here))

    def finish(self, job: Job, progress_bar: str, display: Display | None = None) -> tuple[str, str]:
        """Say what pip says about a download, wait for it, and return pip's (path, content type)."""
        if job.check is not None:
            with timed("wait", on=job.url):
                is_sound = job.check.result()
            if not is_sound:
                job.check = None
                if job.download is None:
                    job.archive = None
                    self._fetch(job)
        if job.download is None:
            with display.aside() if display is not None else contextlib.nullcontext():
                if job.archive is None:
                    return self._finish_prepared(job, progress_bar), ""
                return self._finish_stored(job, job.archive, progress_bar), ""
        return self._finish_fetched(job, job.download, progress_bar, display)

    def _finish_fetched(
        self, job: Job, download: Download, progress_bar: str, display: Display | None
    ) -> tuple[str, str]:
        began = time.monotonic()
        try:
            response: Any = download.first_response()
        except BaseException as error:
            if getattr(getattr(error, "response", None), "status_code", None) == 401:
                # pip fetches it then, and has its own to say: it asks for a password first.
                job.records.clear()
                self._early.refusals[job.url] = error.response  # type: ignore[attr-defined]
            records.replay(job.records)
            raise
        records.replay(job.records)
        size = pip_download._get_http_response_size(response.response)
        received = download.received()
        job.told = True
        screen = {} if display is None else {"aside": display.aside}
        if display is not None:
            received = display.watch(received)
        tell(response.response, job.link, progress_bar, size, received, times=download.times, **screen)
        fetched = download.result()
        if report.recorder is not None:
            report.recorder.note("wait", began, {"on": job.url})
        records.replay(job.records)
        if fetched.matches is False:
            self.wrong.add(job.url)
            raise WrongDigest(job.url)
        if job.archive is not None and self._layout.keeps:
            # Not when it arrived: pip would not have fetched what it never came to ask for.
            kept = fetched.from_cache or would_keep(self.session, download)
            # Without a digest its address is all by which it is found where nobody is asked.
            if kept or size is None or "sha256" not in job.digests:
                note_url(self._layout, download.url, fetched.sha256, Origin(kept, size is not None))
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
        self._scratch.close()

    def _is_kept(self, url: str) -> bool:
        """Tell whether the store will have this file the next time, so that pip's cache need not."""
        job = self._jobs.get(url)
        # Without a digest a link cannot be looked up in the store: then pip's own cache is all there is.
        return job is not None and "sha256" in job.digests and self._layout.keeps

    def _arrived(self, job: Job, download: Download) -> None:
        fetched = download.fetched
        if fetched is None or fetched.matches is False:
            return
        give(download.first_response(), fetched)
        if not self._layout.keeps:
            return
        archive = add_archive(self._layout, fetched.path, fetched.sha256, fetched.path.name, move=True)
        if archive is not None:
            job.archive = archive
            self._follow(job, archive.path)
            if "sha256" in job.digests and "Content-Length" not in download.first_response().headers:
                # Also where pip never comes to ask for it in this run; if it has come, it is noted.
                if find_origin(self._layout, download.url, archive.digest) is None:
                    note_url(self._layout, download.url, archive.digest, Origin(kept=False, sized=False))
            if "sha256" not in job.digests and (team := self._team_prepared(job, archive.digest)) is not None:
                team.bring(archive.digest)
            self._prepare(archive.digest, archive.path, job.link.filename)
            if "sha256" in job.digests and (archives := self._team_archives()) is not None:
                archives.put_later(archive, job.link.filename)

    def _prepare(self, digest: str, path: Path, name: str) -> None:
        if name.endswith(".whl"):
            preparer = self.run.store.preparer()
            if preparer is not None:
                preparer.start(digest, path, hashed=True)

    def _finish_stored(self, job: Job, archive: Archive, progress_bar: str) -> str:
        origin = find_stored_origin(self.session, self._layout, job.link)
        if self.run.settings.offline != "off":
            origin = Origin(kept=True, sized=True)
        size = archive.size if origin.sized else None
        response = StandIn(size, origin.kept)
        tell(response, job.link, progress_bar, size, iter((archive.size,)))
        target = job.location / job.name(response)
        hand_out(archive, target, self.run.umask)
        self.run.store.remember(target, {"sha256": archive.digest})
        return os.fspath(target)

    def _finish_prepared(self, job: Job, progress_bar: str) -> str:
        """Let an empty file stand for a wheel of which the store has tree and bytecode."""
        assert job.size is not None
        response = StandIn(job.size, find_stored_origin(self.session, self._layout, job.link).kept)
        tell(response, job.link, progress_bar, job.size, iter((job.size,)))
        target = job.location / job.name(response)
        fetch = functools.partial(self._fetch_after_all, job, target)
        self.run.store.stand_in(target, job.digests["sha256"], fetch)
        return os.fspath(target)

    def _fetch_after_all(self, job: Job, target: Path) -> None:
        """Put an archive in its stand-in's place. Raises pip's InstallationError: it cannot be had."""
        again = Job(job.link, job.location, archive=self._stored(job))
        try:
            if again.archive is not None and is_sound(self._layout, again.archive):
                hand_out(again.archive, target, self.run.umask)
                self.run.store.remember(target, {"sha256": again.archive.digest})
                return
            self._fetch(again)
            assert again.download is not None
            fetched = again.download.result()
            if fetched.matches is False:
                raise WrongDigest(job.url)
            target.unlink()
            self._deliver(again, fetched).replace(target)
        except Exception as error:
            raise InstallationError(f"{job.link.filename} cannot be fetched: {error}") from error

    def _deliver(self, job: Job, fetched: Fetched) -> Path:
        target = job.location / fetched.path.name
        if job.archive is not None:
            hand_out(job.archive, target, self.run.umask)
        else:
            move(fetched.path, target)
        self.run.store.remember(target, dict(fetched.digests))
        return target

    def _routed(self, download: Download) -> contextlib.AbstractContextManager[None]:
        """Keep what is logged in this thread for the main thread to write, in pip's order."""
        job = self._jobs.get(download.url)
        return records.held_back(job.records if job is not None else [])


class Sessions(Part):
    """The parallel downloads of each session of pip's."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._early = run.part(EarlyRequests)
        self._connections: dict[int, Connections] = {}
        """By session, as ``id()``; the value keeps its session alive."""
        self._making = threading.Lock()
        """What is fetched ahead may come first."""

    def of(self, downloader: Any) -> Connections:
        """Return the downloads of the session of pip's ``Downloader``, made when they are first needed."""
        session = downloader._session
        with self._making:
            connections = self._connections.get(id(session))
            if connections is None:
                connections = self._connections[id(session)] = Connections(session, self.run, self._early)
        return connections

    def stop(self) -> None:
        """Cancel what is under way."""
        self.close(0.0)

    def close(self, wait_s: float) -> None:
        """Cancel what is under way and remove what was not delivered; wait that long for all together."""
        deadline = time.monotonic() + wait_s
        for each in list(self._connections.values()):
            each.close(max(0.0, deadline - time.monotonic()))
