"""METADATA of large wheels, read by ranges of their bytes.

Under ``--dry-run`` pip gets it in the place of the whole archive, and says what it always says. For an
installation it tells what to fetch next while the archive is still on its way.
"""

from __future__ import annotations

import functools
import re
import threading
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pip._internal.metadata import get_metadata_distribution
from pip._internal.utils.misc import redact_auth_from_url
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.address import shown
from pipfast.fetch.turns import Turn
from pipfast.index.ranged import TAIL_BYTES, read_ranged
from pipfast.report import logger, timed
from pipfast.store.archives import find_archive
from pipfast.store.names import PAGES
from pipfast.store.notes import load_note, note_key, write_note
from pipfast.system import threads
from pipfast_hooks.guard import guarded
from pipfast_hooks.index.candidates import Sizes
from pipfast_hooks.network.early import EarlyRequests, reading
from pipfast_hooks.network.fresh import FreshPages
from pipfast_hooks.output import records
from pipfast_hooks.output.lines import StandIn, tell
from pipfast_hooks.run import Part, Run
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from pipfast.store.layout import Layout

LARGE_BYTES = 4 << 20
"""Size from which a wheel is too large to be fetched for its metadata; a smaller one takes about a second."""

_HEADERS = MappingProxyType({"Accept-Encoding": "identity", "Cache-Control": "no-cache"})
"""As pip's own ranged requests have them: pip's cache keeps whole answers only."""

_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")


class _NoRanges(Exception):
    """The server does not answer with the range that was asked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """The METADATA of one wheel."""

    content: bytes
    size: int
    """Of the whole wheel, in bytes."""


class RangedMetadata(Part):
    """Reads METADATA by ranges; one job for each address."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._early = run.part(EarlyRequests)
        self._pages = run.part(FreshPages)
        self._sizes = run.part(Sizes)
        self._threads = threads.Pool(run.settings.connections, "pipfast-ranged")
        self._jobs: dict[str, Future[Found | None]] = {}
        self._lock = threading.Lock()

    def is_wanted(self, link: Any) -> bool:
        """Tell whether pip wants nothing but the metadata of a link that it would fetch as a whole."""
        return self.run.intent.metadata_only and self._tells_itself(link, LARGE_BYTES)

    def is_sooner(self, link: Any) -> bool:
        """Tell whether a wheel is known to be so large that its metadata arrives long before it."""
        return self._tells_itself(link, 0)

    def _tells_itself(self, link: Any, size_unknown: int) -> bool:
        return bool(
            link.is_wheel
            and link.scheme in ("http", "https")
            # pip's reports name the digest, which otherwise needs the whole file.
            and link.hash_name == "sha256"
            and link.metadata_link() is None
            and self._sizes.of(link, size_unknown) >= LARGE_BYTES
        )

    def begin(
        self, session: Any, link: Any, then: Callable[[Found | None], None] | None = None
    ) -> Future[Found | None]:
        """Read a wheel's METADATA in another thread, once; ``then`` gets it there, or None."""
        url = link.url_without_fragment
        with self._lock:
            job = self._jobs.get(url)
            if job is None:
                find = functools.partial(self._find, session, url, link.hash)
                job = self._jobs[url] = self._threads.submit(find)
        if then is not None:
            job.add_done_callback(lambda done: None if done.cancelled() else then(done.result()))
        return job

    def distribution(self, preparer: Any, requirement: Any) -> Any:
        """Return pip's distribution for a requirement; None if pip has to fetch the archive."""
        if preparer.require_hashes or preparer.legacy_resolver or not self.is_wanted(requirement.link):
            return None
        link, name = requirement.link, requirement.req.name
        job = self.begin(preparer._session, link)
        with timed("wait", on=link.url_without_fragment):
            found = job.result()
        if found is None:
            return None
        made = get_metadata_distribution(found.content, link.filename, name)
        if canonicalize_name(made.raw_name) != canonicalize_name(name):
            # pip fetches the whole archive and says so in its own words.
            return None
        logger.debug("pipfast: %s was read by ranges", redact_auth_from_url(link.url_without_fragment))
        tell(StandIn(found.size, False), link, preparer._download._progress_bar, found.size, iter((found.size,)))
        return made

    def stop(self) -> None:
        """Begin nothing more."""
        self._threads.close(0.0)

    def close(self, wait_s: float) -> None:
        """Wait at most that many seconds for what has begun."""
        self._threads.close(wait_s)

    def _find(self, session: Any, url: str, digest: str) -> Found | None:
        words = "%s is not read by ranges"
        with records.held_back([]), here.having(ours=True), guarded(words, shown(url), brief=True):
            # An index could claim any digest: its word counts for its own address only.
            key = note_key(f"metadata {url} {digest}")
            layout = self.run.store.layout
            if self._is_at_hand(session, url, digest, layout):
                return None
            kept = load_note(layout, PAGES, key, _read)
            if kept is not None:
                return kept
            with timed("ranged", key=url, cache="network") as facts:
                found = self._fetch(session, url)
                facts["bytes"] = 0 if found is None else len(found.content)
            if found is not None:
                size = str(found.size).encode("ascii")
                write_note(layout, PAGES, key, size + b"\n" + found.content)
            return found
        return None

    def _is_at_hand(self, session: Any, url: str, digest: str, layout: Layout) -> bool:
        """Tell whether the whole archive need not be fetched: it is in the store, or in pip's cache."""
        if find_archive(layout, digest) is not None:
            return True
        cached = self._pages.answer(session, url, {"Accept-Encoding": "identity"}, stream=True)
        if cached is None:
            return False
        cached.close()
        return True

    def _fetch(self, session: Any, url: str) -> Found | None:
        tail, start, size, validator = self._get(session, url, f"bytes=-{TAIL_BYTES}", None)
        if size < LARGE_BYTES or start + len(tail) != size:
            return None

        def fetch(first: int, stop: int) -> bytes:
            if validator is None:
                # The next part could be another file's.
                raise _NoRanges("no validator")
            content, start, total, same = self._get(session, url, f"bytes={first}-{stop - 1}", validator)
            if (start, total) != (first, size) or same not in (validator, None):
                raise _NoRanges("another range")
            return content

        content = read_ranged(size, tail, fetch)
        return Found(content, size) if content is not None else None

    def _get(
        self, session: Any, url: str, wanted: str, validator: str | None
    ) -> tuple[bytes, int, int, str | None]:
        """Return a range's bytes, its start, the size of the whole, and a validator for further ranges."""
        headers = {**_HEADERS, "Range": wanted, **({"If-Range": validator} if validator else {})}
        # It does not wait for pip to ask alone: pip is waiting for it.
        turn = Turn(early=True, ranged=True, first=True, wait=False)
        with self._early.get(session, url, headers, turn, stream=True) as response, reading(response):
            found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if response.status_code != 206 or found is None or "Content-Encoding" in response.headers:
                raise _NoRanges(str(response.status_code))
            first, last, size = map(int, found.groups())
            if not first <= last < size or last - first > 1 << 26:
                raise _NoRanges(found[0])
            content: bytes = response.raw.read(last - first + 2, decode_content=False)
            if len(content) != last - first + 1:
                raise _NoRanges(f"{len(content)} bytes for {found[0]}")
            etag = response.headers.get("ETag", "")
            # RFC 9110, section 13.1.5: a weak one does not tell that the bytes are the same.
            strong = etag if etag.startswith('"') else None
            return content, first, size, strong or response.headers.get("Last-Modified")


def _read(note: bytes) -> Found:
    size, _, content = note.partition(b"\n")
    return Found(content, int(size))
