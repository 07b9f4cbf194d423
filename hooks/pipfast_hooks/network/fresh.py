"""Fresh answers of pip's HTTP cache, and pages evaluated before.

Whether an answer is fresh is decided by pip's own cache controller, which also reads it. No request is prepared
for it (proxies, cookies, credentials): that takes longer than both.
"""

from __future__ import annotations

import calendar
import copy
import re
import time
import zlib
from email.utils import parsedate_tz
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pip
from pip._vendor.requests.models import PreparedRequest
from pip._vendor.requests.structures import CaseInsensitiveDict

from pipfast.index import pages
from pipfast.store.notes import note_key
from pipfast.system.inflate import inflater
from pipfast_hooks.attach import is_attached
from pipfast_hooks.network.asked import caching_adapter, request_for
from pipfast_hooks.output import records
from pipfast_hooks.run import Part, Run
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from pipfast.store.layout import Layout


class Compressed(bytes):
    """Placeholder for a page's content: empty, with the compressed bytes as an attribute."""

    stored: bytes


def accepted() -> AbstractContextManager[None]:
    """Leave the pages that the block takes out of the cache compressed; the caller inflates those it needs."""
    return here.having(takes_compressed=True)


def content_of(response: Any) -> bytes | None:
    """Return the unread body of an answer out of the cache; None if it is not gzip's.

    It is read at once: piece by piece a page takes hundreds of reads.

    :raises zlib.error: it is damaged.
    """
    if response.headers.get("Content-Encoding", "").lower() != "gzip":
        return None
    stored = response.raw.read(decode_content=False)
    if not here.takes_compressed:
        return _inflate(stored)
    content = Compressed()
    content.stored = stored
    return content


def read(response: Any) -> None:
    """Read the body of an answer out of the cache. Raises zlib.error: it is damaged."""
    content = content_of(response)
    if content is not None:
        response._content, response._content_consumed = content, True
    _ = response.content


def digest_of(layout: Layout, page: Any) -> bytes:
    """Return the SHA-256 of a page's content. Raises zlib.error: it is damaged."""
    if isinstance(page.content, Compressed):
        return pages.digest_of_stored(layout, page.content.stored, _inflate)
    return pages.content_digest(page.content)


def inflated(page: Any) -> Any:
    """Return a page of pip's with its content in it. Raises zlib.error: it is damaged."""
    if not isinstance(page.content, Compressed):
        return page
    whole = copy.copy(page)
    # Frozen since pip 24.1.
    object.__setattr__(whole, "content", whole_content(page.content))
    return whole


def whole_content(content: bytes) -> bytes:
    """Return a page's content, inflated if it is a placeholder. Raises zlib.error: it is damaged."""
    return _inflate(content.stored) if isinstance(content, Compressed) else content


def _inflate(stored: bytes) -> bytes:
    inflating = inflater.decompressobj(16 + zlib.MAX_WBITS)
    content: bytes = inflating.decompress(stored)
    if not inflating.eof or inflating.unused_data:
        raise zlib.error("not one whole stream")
    return content


_PLAIN_URL = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9_.~+-]*)+")
"""Addresses that requests would not change, and that name no user."""


_ALWAYS_THE_SAME = frozenset(("accept", "accept-encoding"))
"""Headers of pip's requests for pages that nothing on this machine changes."""


def _depends_on(vary: str) -> set[str]:
    return {name.strip().lower() for name in vary.split(",") if name.strip()}


class FreshPages(Part):
    """Takes pages out of pip's cache, and remembers until when pip would find them there.

    Freshness is worked out once, by pip's rule. After that two files are looked at, not read, until the page is
    too old or another one lies there.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._noted: dict[str, tuple[_Entry, pages.Looks, float]] = {}
        """The cache's entry of an address, its look before it was read, and until when it is fresh."""

    def answer(self, session: Any, url: str, headers: Mapping[str, str], *, stream: bool) -> Any:
        """Return pip's response from its cache, or None if the server has to be asked."""
        if _PLAIN_URL.fullmatch(url) is None:
            return None
        adapter = caching_adapter(session, url)
        if adapter is None:
            return None
        entry = _entry_of(session, url, headers) if not stream else None
        looks = entry.looks() if entry is not None else None
        response = cached_response(session, adapter, url, headers)
        if response is None:
            return None
        if not stream:
            read(response)
        if entry is not None and looks is not None:
            self._note(adapter, entry, looks, response)
        return response

    def _note(self, adapter: Any, entry: _Entry, looks: pages.Looks, response: Any) -> None:
        headers = response.headers
        if not _depends_on(headers.get("Vary", "")) <= _ALWAYS_THE_SAME:
            return
        max_age = adapter.controller.parse_cache_control(headers).get("max-age")
        date = parsedate_tz(headers.get("Date", ""))
        if max_age and date is not None and response.url == entry.url:
            # As cachecontrol reckons it: without the zone, for HTTP has only one.
            until = calendar.timegm(date[:6]) + max_age
            self._noted[entry.url] = (entry, looks, until)
            self.run.note_fresh(entry.paths, until)

    def has_noted(self, url: str) -> bool:
        """Tell whether an address has just been answered by what holds until a known time."""
        return url in self._noted

    def keep(self, layout: Layout, page: Any, digest: bytes) -> None:
        """Keep the page that pip made of a noted answer."""
        noted = self._noted.pop(page.url, None)
        if noted is None:
            return
        entry, looks, until = noted
        # Another process may have put another page there while this one was read.
        if entry.looks() == looks:
            found = pages.FreshPage(until, looks, page.url, page.content_type, page.encoding, digest)
            pages.keep_fresh(layout, entry.key, found)


class _Entry:
    def __init__(self, session: Any, adapter: Any, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        path = adapter.cache._get_cache_path(adapter.controller.cache_url(url))
        self.paths = (Path(path), Path(f"{path}.body"))
        sent = sorted({**session.headers, **headers}.items())
        self.key = note_key("fresh ", (pip.__version__, url, sent, path))

    def looks(self) -> pages.Looks | None:
        """Return size and times of the entry's files, or None if there is no entry."""
        try:
            return pages.looks_of(self.paths)
        except OSError:
            return None


def _entry_of(session: Any, url: str, headers: Mapping[str, str]) -> _Entry | None:
    """Return the cache's entry for a request whose answer is fresh by its age alone; None for any other."""
    adapter = caching_adapter(session, url)
    asks_for_news = any(name.lower() in ("cache-control", "pragma") for name in (*headers, *session.headers))
    if asks_for_news or adapter is None:
        return None
    return _Entry(session, adapter, url, headers)


def request_of(session: Any, url: str, headers: Mapping[str, str]) -> Any:
    """Return what pip would send, as far as its cache looks at it."""
    request = PreparedRequest()
    request.method, request.url = "GET", url
    request.headers = CaseInsensitiveDict(session.headers)
    request.headers.update(headers)
    return request


def cached_response(session: Any, adapter: Any, url: str, headers: Mapping[str, str]) -> Any:
    """Return a response out of the cache whose body has not been read; None if the server has to be asked."""
    request = request_of(session, url, headers)
    try:
        cached = adapter.controller.cached_request(request)
    except zlib.error:
        return None
    if not cached:
        return None
    if cached.status != 200 or "Set-Cookie" in cached.headers:
        cached.close()
        return None
    return adapter.build_response(request, cached, from_cache=True)


def request(collector: Any, link: Any, name: str) -> tuple[str, dict[str, str]] | None:
    """Return address and headers of pip's request for a page; None if that is not known."""
    # Without this seam pip's code would not stop at the request, but send it.
    if link.scheme not in ("http", "https") or not is_attached(type(collector.session).request):
        return None
    # pip logs this when it asks itself.
    with records.held_back([]):
        return request_for(collector, link, name)


def find(run: Run, layout: Layout, collector: Any, link: Any, name: str) -> pages.FreshPage | None:
    """Return the page that pip would take out of its cache, without reading it; None if that is not known."""
    asked = request(collector, link, name)
    entry = _entry_of(collector.session, *asked) if asked is not None else None
    looks = entry.looks() if entry is not None else None
    if entry is None or looks is None:
        return None
    found = pages.find_fresh(layout, entry.key, looks, time.time())
    if found is not None:
        run.note_fresh(entry.paths, found.until)
    return found
