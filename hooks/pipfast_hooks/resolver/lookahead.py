"""Index pages and metadata files, fetched before pip's resolver asks for them.

Nothing is fetched that pip could not ask for: names come from requirements that the resolver has or is
about to read, addresses and headers from pip's own code, which is run up to the point where it would send
the request. Nothing is fetched ahead as long as pip's cache has fresh answers to everything.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
import time
from dataclasses import dataclass, field
from threading import get_ident
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pip._internal.network.utils import HEADERS
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import logger
from pipfast.system import threads
from pipfast.wheel.metadata import read_metadata
from pipfast_hooks.index.candidates import PageCandidates, choose
from pipfast_hooks.metadata.installed import parse_requires
from pipfast_hooks.metadata.side_files import kept
from pipfast_hooks.network.asked import fetch_with, request_for, streamed
from pipfast_hooks.output import records
from pipfast_hooks.run import current_run
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Container, Iterable, Iterator
    from pathlib import Path


SMALL_BYTES = 4 << 20
"""Size below which a wheel that pip would pick is fetched before the resolver has come to it: where it decides
otherwise, some tenths of a second came for nothing."""

NEAR_S = 0.01
"""Seconds to a server's first byte below which it is near: then what is done with the answers is all that takes
time, and threads that do it at once only wait for one another."""

SLOW_S = 0.1
"""Seconds after which a request under way is no reason any more to let others wait."""

NEAR_REQUESTS = 2
"""Requests at once to near servers: one on its way while another is dealt with."""


@dataclass(slots=True, eq=False)
class _Job:
    """One GET on its way."""

    url: str
    headers: dict[str, str]
    then: Callable[[Any], Callable[[], None] | None]
    """Gets the response before pip does, and returns what is left to do after that."""
    response: Any = None
    records: list[logging.LogRecord] = field(default_factory=list)
    started: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    rest: Callable[[], None] | None = None
    """What is left to do with the answer, which pip itself has got."""


@dataclass(slots=True)
class _Project:
    """What is known of one project."""

    specifier: Any
    extras: set[str]
    hashes: Any = None
    """pip's ``Hashes`` that the user allows, under --require-hashes."""
    pages_to_come: int = 0
    choices: list[Any] = field(default_factory=list)


class _Turns:
    """Lets as many requests be under way at once as it pays to have."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._began: dict[int, float] = {}
        """When the requests under way began, by thread."""
        self._usual: dict[str, float] = {}
        """Seconds to the first byte of the last few answers, by host and port."""
        self._change = threading.Condition()

    def __enter__(self) -> None:
        with self._change:
            while len(self._began) >= self._limit():
                self._change.wait(SLOW_S)
            self._began[get_ident()] = time.monotonic()

    def __exit__(self, *_: object) -> None:
        with self._change:
            del self._began[get_ident()]
            self._change.notify_all()

    def note(self, host: str, seconds: float) -> None:
        """Note how soon a server has begun to answer."""
        with self._change:
            # One that has to ask another server itself is as slow as that, from its next answer on.
            self._usual[host] = (3 * self._usual.get(host, seconds) + seconds) / 4
            self._change.notify_all()

    def _limit(self) -> int:
        near = self._usual and max(self._usual.values()) < NEAR_S
        if not near or (self._began and time.monotonic() - min(self._began.values()) > SLOW_S):
            return self._most
        return min(self._most, NEAR_REQUESTS)


class Ahead:
    """What is fetched ahead of one resolution."""

    def __init__(
        self,
        finder: Any,
        *,
        connections: int,
        evaluate: Callable[..., Any],
        require_hashes: bool = False,
        dependencies: bool = True,
        archives: Callable[..., None] | None = None,
        sources: Callable[[str, Any, Path], None] | None = None,
        ranges: Callable[[Any, Callable[[bytes], None]], None] | None = None,
        installed: Container[str] = (),
    ) -> None:
        """:param installed: names of projects that may stay as they are, so that nothing is fetched for them."""
        self._finder = finder
        self._collector = finder._link_collector
        self.session = self._collector.session
        self._connections = connections
        self._turns = _Turns(connections)
        self._require_hashes = require_hashes
        self._dependencies = dependencies
        self._archives = archives
        self._sources = sources
        self._ranges = ranges
        self._installed = installed
        self._evaluate = evaluate
        self._projects: dict[str, _Project] = {}
        self._waiting: list[str] = []
        self._active = False
        self._stopped = False
        self._jobs: dict[str, _Job] = {}
        self._asked_by_pip: set[str] = set()
        self._left_to_pip: dict[str, _Job] = {}
        """What pip asks for itself, and what is to be done with the answer."""
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.RLock()

    # What pip is going to ask for

    def wants(self, name: str, specifier: Any, extras: Iterable[str], hashes: Any = None) -> None:
        """Note that the resolver is going to ask for a project, or begin to fetch its pages."""
        with self._lock:
            project = self._projects.get(name)
            if project is not None:
                project.specifier &= specifier
                project.extras.update(extras)
                return
            self._projects[name] = _Project(specifier, set(extras), hashes)
            if not self._active:
                self._waiting.append(name)
        if self._active:
            self._begin_pages(name)

    def activate(self) -> None:
        """Begin to fetch all that is known to be wanted: the cache has no answer to something."""
        # Here, in `take` and in `_do`: `install` of what is there already loads nothing that fetches.
        from pipfast_hooks.network import early

        with self._lock:
            if self._active or self._stopped:
                return
            self._active = True
            early.attach(self.session)
            waiting, self._waiting = self._waiting, []
        for name in waiting:
            self._begin_pages(name)

    def take(self, url: str, headers: Any, *, stream: bool) -> Any:
        """Return the response to a request of pip's, if it was fetched ahead; else pip sends it itself."""
        with self._lock:
            self._asked_by_pip.add(url)
            job = self._jobs.pop(url, None)
            if job is None or job.headers != dict(headers):
                return None
            if not job.started:
                if not stream:
                    self._left_to_pip[url] = job
                return None
        from pipfast_hooks.network import early

        job.done.wait()
        response = job.response
        if response is None or not early.is_answer(response):
            # pip asks itself, and alone if that is why.
            return None
        if response.status_code == 401:
            return early.as_pips_first(self.session, response, stream=stream)
        records.replay(job.records)
        return streamed(self.session, response) if stream else response

    def has_come(self, url: str, response: Any) -> None:
        """Use what pip has got to a request of its own that was to be sent ahead."""
        with self._lock:
            job = self._left_to_pip.pop(url, None)
            if job is None or self._stopped or response.status_code != 200:
                return
        with records.held_back([]), _left_to_itself("what a page says"):
            rest = job.then(response)
            if rest is not None:
                with self._lock:
                    if self._has_threads():
                        self._queue.put(_Job(url, {}, lambda _: None, rest=rest))

    def is_coming(self, url: str) -> bool:
        """Tell whether ``take`` has, or is going to have, a response to a request of pip's."""
        return url in self._jobs

    def passes(self, url: str) -> None:
        """Note that pip needs no answer to a request any more."""
        with self._lock:
            self._asked_by_pip.add(url)

    def stop(self, wait_s: float = 0.0) -> None:
        """Fetch nothing more ahead; wait at most that many seconds for what is under way."""
        with self._lock:
            if not self._stopped:
                for _ in self._threads:
                    self._queue.put(None)
            self._stopped = True
            self._active = False
            # What is under way is not asked for a second time, unless it fails.
            self._jobs = {url: job for url, job in self._jobs.items() if job.started}
        threads.join(self._threads, wait_s)

    def _begin_pages(self, name: str) -> None:
        try:
            asked = list(self._pages_of(name))
        except Exception:
            logger.debug("pipfast: nothing is fetched ahead for %s", name, exc_info=True)
            return
        self._projects[name].pages_to_come = len(asked)
        for link, url, headers in asked:
            self._begin(url, headers, functools.partial(self._page, name, link))

    def _pages_of(self, name: str) -> Iterator[tuple[Any, str, dict[str, str]]]:
        """Run pip's code up to the requests for a project's pages."""
        links: list[Any] = []

        def note(link: Any) -> Iterable[Any]:
            links.append(link)
            return ()

        with records.held_back([]):
            sources = self._collector.collect_sources(project_name=name, candidates_from_page=note)
            for source in sources.index_urls:
                if source is not None:
                    list(source.page_candidates())
            for link in links:
                asked = request_for(self._collector, link, name) if link.scheme in ("http", "https") else None
                if asked is not None:
                    yield link, *asked

    # In the threads

    def _begin(self, url: str, headers: dict[str, str], then: Callable[[Any], Any]) -> None:
        with self._lock:
            if self._stopped or not self._active or url in self._jobs or url in self._asked_by_pip:
                return
            if self._has_threads():
                job = self._jobs[url] = _Job(url, headers, then)
                self._queue.put(job)

    def _has_threads(self) -> bool:
        """Start one more thread, if that is allowed; tell whether there is any."""
        if len(self._threads) < self._connections:
            thread = threads.start(self._work, "pipfast-ahead")
            if thread is not None:
                self._threads.append(thread)
        return bool(self._threads)

    def _work(self) -> None:
        here.ours = True
        while (job := self._queue.get()) is not None:
            if job.rest is None:
                with self._turns:
                    self._do(job)
            else:
                with records.held_back([]), _left_to_itself("what follows from a page"):
                    job.rest()

    def _do(self, job: _Job) -> None:
        from pipfast.fetch.turns import LeftToPip, Turn
        from pipfast_hooks.network import early

        def begin() -> None:
            with self._lock:
                if self._jobs.get(job.url) is not job:
                    # pip was sooner, or needs it no more.
                    raise LeftToPip(job.url)
                job.started = True

        rest = None
        try:
            with self._lock:
                if self._jobs.get(job.url) is not job:
                    return
            with records.held_back(job.records):
                # An answer of pip's cache needs no turn.
                response = early.get(self.session, job.url, job.headers, Turn(early=True, began=begin))
                job.started = True
                self._heard(response, urlsplit(job.url).netloc)
                if response.status_code != 401 and early.is_answer(response):
                    with _left_to_itself("what a page says"):
                        rest = job.then(response)
                job.response = response
        except Exception as error:
            logger.debug("pipfast: left to pip after %r", error)
        finally:
            job.done.set()
        if rest is not None:
            with records.held_back([]), _left_to_itself("what follows from a page"):
                rest()

    def _heard(self, response: Any, host: str) -> None:
        if not getattr(response, "from_cache", False):
            self._turns.note(host, response.elapsed.total_seconds())

    def _page(self, name: str, link: Any, response: Any) -> Callable[[], None] | None:
        """Evaluate a page before pip does; then choose as pip would, and fetch that file's metadata."""
        if response.status_code != 200:
            return lambda: self._chosen(name, None)
        evaluator = self._finder.make_link_evaluator(name)
        if getattr(evaluator, "_uploaded_prior_to", None) is not None:
            return None
        # What pip says of an answer, it says when it gets it.
        with records.held_back([]):
            page = fetch_with(response, self._collector, link, name)
        if page is None:
            return None
        table = self._evaluate(self._finder, evaluator, page)
        return lambda: self._choose(name, PageCandidates(name, page.url, table))

    def _choose(self, name: str, candidates: PageCandidates) -> None:
        project = self._projects[name]
        evaluator = self._finder.make_candidate_evaluator(
            project_name=name, specifier=project.specifier, hashes=project.hashes
        )
        best = choose(evaluator, candidates.in_page_order)
        self._chosen(name, best.applicable_candidates[-1] if best and best.applicable_candidates else None)

    def _chosen(self, name: str, candidate: Any) -> None:
        with self._lock:
            project = self._projects[name]
            project.pages_to_come -= 1
            if candidate is not None and not candidate.link.is_yanked:
                project.choices.append(candidate)
            if project.pages_to_come or not project.choices:
                return
            link = max(project.choices, key=lambda choice: choice.version).link
        # Where hashes are required pip reads metadata from archives that it has checked.
        metadata = None if self._require_hashes else link.metadata_link()
        likely = name not in self._installed and (_is_pinned(project.specifier) or _is_small(link))
        if metadata is None or likely:
            self._begin_archive(name, link, needed=metadata is None)
        if metadata is None or not self._dependencies:
            return
        here = kept(self.session, metadata)
        if here is not None:
            self._depends(name, here.content)
            return
        url = metadata.url.split("#", 1)[0]
        self._begin(url, dict(HEADERS), lambda response: lambda: self._described(name, response))

    def _begin_archive(self, name: str, link: Any, *, needed: bool) -> None:
        """Fetch the archive itself: it is all there is to know a candidate by, or certain to be installed."""
        if self._archives is not None:
            known_by_it = needed and (self._dependencies if link.is_wheel else self._sources is not None)
            then = functools.partial(self._unpacked, name, link) if known_by_it else None
            described = functools.partial(self._read_by_ranges, name)
            self._archives(name, link, needed=needed, then=then, described=described)
            if then is not None and link.is_wheel:
                self._look_inside(name, link)

    def comes(self, link: Any) -> None:
        """Note that pip itself fetches a wheel for what is in it, as the first one, or where it went back."""
        with _left_to_itself("what a wheel on its way says"):
            name = canonicalize_name(link.filename.partition("-")[0])
            if self._active and self._dependencies and name in self._projects and link.metadata_link() is None:
                self._look_inside(name, link)

    def _look_inside(self, name: str, link: Any) -> None:
        """Have what a large wheel requires begin while that is still on its way."""
        if self._ranges is not None and not self._require_hashes:
            self._ranges(link, functools.partial(self._read_by_ranges, name))

    def _unpacked(self, name: str, link: Any, archive: Path) -> None:
        with _left_to_itself("what an archive says"):
            if not link.is_wheel:
                if self._sources is not None:
                    self._sources(name, link, archive)
                return
            metadata = read_metadata(archive)
            if metadata is not None and not self._stopped:
                self._depends(name, metadata)

    def _read_by_ranges(self, name: str, metadata: bytes) -> None:
        with _left_to_itself("what a part of an archive says"):
            if self._dependencies and not self._stopped:
                self._depends(name, metadata)

    def _described(self, name: str, response: Any) -> None:
        if response.status_code == 200:
            self._depends(name, response.content)

    def _depends(self, name: str, metadata: bytes) -> None:
        """Begin with the projects that a candidate depends on."""
        project = self._projects[name]
        for text in parse_requires(metadata.decode("utf-8")) or ():
            requirement = Requirement(text)
            if requirement.url is None and _applies(requirement, project.extras):
                self.wants(canonicalize_name(requirement.name), requirement.specifier, requirement.extras)


def _is_pinned(specifier: Any) -> bool:
    """Tell whether one version only will do, which the resolver cannot go back from."""
    return any(
        each.operator == "===" or (each.operator == "==" and not each.version.endswith(".*")) for each in specifier
    )


def _is_small(link: Any) -> bool:
    """Tell whether the index says that this is a small wheel."""
    size = current_run().sizes.get(link.url_without_fragment, SMALL_BYTES)
    return link.is_wheel and size < SMALL_BYTES


def _applies(requirement: Any, extras: Iterable[str]) -> bool:
    return requirement.marker is None or any(
        requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)
    )


@contextlib.contextmanager
def _left_to_itself(what: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.debug("pipfast: %s is not known ahead", what, exc_info=True)
