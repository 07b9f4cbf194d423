"""pip's seams of downloads: one, a batch, metadata, digests.

What pip prints about a download, and in which order, stays pip's: the bytes move in worker threads,
the lines are written by the main thread when pip comes to each download.
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from pip._internal.network import download as pip_download
from pip._internal.utils.logging import get_indentation
from pip._vendor.urllib3.exceptions import HTTPError

from pipfast.address import shown
from pipfast.fetch.errors import FetchError, WrongDigest
from pipfast.report import logger, timed
from pipfast_hooks.downloads.connections import Connections, Sessions
from pipfast_hooks.guard import guarded, is_interrupt
from pipfast_hooks.index.candidates import Sizes
from pipfast_hooks.network.ahead import Ahead
from pipfast_hooks.output.display import Display, terminal_console
from pipfast_hooks.output.lines import told_already
from pipfast_hooks.run import Run, current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipfast.fetch.job import Download
    from pipfast_hooks.call import Call
    from pipfast_hooks.downloads.job import Job

_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tlz", ".tar.lz",
             ".tar.lzma")
"""What pip calls archives; everything else (metadata files, pages) is fetched by pip alone."""

_OURS = (
    FetchError, HTTPError, OSError, ValueError, TypeError, AttributeError, LookupError, AssertionError,
    RuntimeError, MemoryError, CancelledError,
)
"""Errors of ours, or of the network (urllib3's come raw from a body that breaks off), after which pip
fetches a file itself; what pip raises on its own account (a broken standard output, say) goes its way."""


def _around_call(call: Call) -> Any:
    """Fetch one archive: from the store, or in ranges."""
    connections, job, run = None, None, current_run()
    with guarded("download left to pip"):
        link, location = call["link"], call["location"]
        run.note_archive(link)
        if link.filename.endswith(_ARCHIVES) and link.scheme in ("http", "https"):
            connections = run.part(Sessions).of(call.instance)
            if link.url_without_fragment not in connections.wrong:
                job = connections.begin(link, location)
                if link.is_wheel and job.archive is None:
                    run.part(Ahead).requests.on_wheel(link)
    if connections is None or job is None:
        return call.original()
    display = None
    if job.download is not None and not job.download.finished:
        display = _display(connections, call.instance, connections.downloads)
    if display is None:
        return _finish_or_leave(connections, job, call.instance, call.original)
    with display:
        return _finish_or_leave(connections, job, call.instance, call.original, display)


def _display(
    connections: Connections, downloader: Any, downloads: Callable[[], Iterable[Download]]
) -> Display | None:
    """Return a display of running downloads, or None without a terminal or without a wish for bars."""
    console = terminal_console(downloader._progress_bar)
    if console is None:
        return None
    sizes = connections.run.part(Sizes).by_address
    return Display(connections.run, console, downloads, get_indentation() + 2, sizes)


def _around_batch(call: Call) -> Any:
    """Fetch all archives of a resolution at once; yield them in pip's order."""
    links = list(call["links"])
    connections = None
    with guarded("downloads left to pip"):
        connections = current_run().part(Sessions).of(call.instance)
    if connections is None:
        return call.original(links=links)
    return _batch(call, connections, links)


def _batch(call: Call, connections: Connections, links: list[Any]) -> Iterator[tuple[Any, tuple[str, str]]]:
    jobs = [_begin_or_leave(connections, link, call["location"]) for link in links]
    fetched = [job.download for job in jobs if job is not None and job.download is not None]
    running = any(not download.finished for download in fetched)
    display = _display(connections, call.instance, lambda: fetched) if running else None
    with display if display is not None else contextlib.nullcontext():
        for link, job in zip(links, jobs, strict=True):

            def alone(link: Any = link) -> tuple[str, str]:
                (_, found), *_ = call.original(links=[link])
                return found  # type: ignore[no-any-return]

            if job is None:
                with display.aside() if display is not None else contextlib.nullcontext():
                    found = alone()
                yield link, found
            else:
                yield link, _finish_or_leave(connections, job, call.instance, alone, display)


def _begin_or_leave(connections: Connections, link: Any, location: str) -> Job | None:
    with guarded("download of %s left to pip", shown(link.url)):
        connections.run.note_archive(link)
        return connections.begin(link, location) if link.scheme in ("http", "https") else None
    return None


def _finish_or_leave(
    connections: Connections,
    job: Job,
    downloader: Any,
    alone: Callable[[], tuple[str, str]],
    display: Display | None = None,
) -> tuple[str, str]:
    try:
        return connections.finish(job, downloader._progress_bar, display)
    except pip_download.NetworkConnectionError as error:
        if error.response is not None and error.response.status_code != 401:
            # pip's own words, at pip's own turn.
            pip_download.logger.critical("HTTP error %s while getting %s", error.response.status_code, job.link)
            raise
        # It may be that pip asks for a password here, which a worker must not do.
        told, whole = job.told, False
    except _OURS as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        logger.debug("pipfast: %s left to pip after %r", shown(job.link.url), error, exc_info=True)
        told, whole = job.told, isinstance(error, WrongDigest)
    # Not while that error is handled: a traceback of pip's would begin with it.
    with contextlib.ExitStack() as stack:
        if told:
            stack.enter_context(told_already())
        if whole:
            stack.enter_context(_without_bar(downloader))
        if display is not None:
            stack.enter_context(display.aside())
        stack.enter_context(timed("left", key=job.url))
        return alone()


@contextlib.contextmanager
def _without_bar(downloader: Any) -> Iterator[None]:
    bar, downloader._progress_bar = downloader._progress_bar, "off"
    try:
        yield
    finally:
        downloader._progress_bar = bar


def _around_fetch_metadata_only(call: Call) -> Any:
    """Once pip knows a candidate's metadata, its archive is on its way; or pip never needs that."""
    run = current_run()
    if run.settings.offline != "off" and _is_needless(call, run):
        return None
    metadata = call.original()
    if metadata is None and run.intent.metadata_only:
        with guarded("an archive is fetched for its metadata"):
            from pipfast_hooks.metadata.ranged import RangedMetadata

            return run.part(RangedMetadata).distribution(call.instance, call["req"])
    if metadata is not None:
        with guarded("nothing is fetched ahead"):
            requirement = call["req"]
            if requirement.link.is_wheel:
                run.part(Sessions).of(call.instance._download).begin_ahead(requirement.name, requirement.link)
    return metadata


def _is_needless(call: Call, run: Run) -> bool:
    """Tell whether the metadata file would have to be asked for, while the archive is here, or must be."""
    with guarded("metadata is asked for"):
        from pipfast_hooks.metadata.side_files import is_kept

        link, session = call["req"].link, call.instance._session
        metadata = link.metadata_link() if link.scheme in ("http", "https") else None
        if metadata is not None and not is_kept(run, session, metadata):
            return run.settings.offline == "only" or run.part(Sessions).of(call.instance._download).has(link)
    return False


def _around_check_against_path(call: Call) -> Any:
    """Accept a file whose bytes were hashed as they came; every other case is pip's to judge."""
    with guarded("a file is hashed once more"):
        path = os.fspath(call["path"])
        known = current_run().store.known(path)
        if known is not None and type(call.instance).__name__ == "Hashes":
            allowed = call.instance._allowed
            # pip accepts a file if any one of the algorithms agrees.
            if any(known.get(name) in digests for name, digests in allowed.items()):
                return None
    current_run().store.make_whole(os.fspath(call["path"]))
    return call.original()
