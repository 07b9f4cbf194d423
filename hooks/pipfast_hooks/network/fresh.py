"""Index pages that pip's HTTP cache would give without a word to the server, and what came of them before.

Whether a page is fresh is worked out once, by the rule and the reading of pip's cache controller; after that two
files are looked at instead of read, until the page is too old or another one lies there.
"""

from __future__ import annotations

import calendar
import time
from email.utils import parsedate_tz
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pip
from pip._internal.network.session import CacheControlAdapter

from pipfast.index.fresh import FreshPage, find_fresh, fresh_key, keep_fresh, looks_of
from pipfast_hooks.network.asked import request_for
from pipfast_hooks.output import records
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipfast.index.fresh import Looks
    from pipfast.store.layout import Layout


class Entry:
    """Where pip's cache keeps the answer to a request for a page."""

    def __init__(self, session: Any, adapter: Any, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        path = adapter.cache._get_cache_path(adapter.controller.cache_url(url))
        self._paths = (Path(path), Path(f"{path}.body"))
        sent = sorted({**session.headers, **headers}.items())
        self.key = fresh_key((pip.__version__, url, sent, path))

    def looks(self) -> Looks | None:
        """Return what the entry's files look like, or None if there is none."""
        try:
            return looks_of(self._paths)
        except OSError:
            return None


def entry_of(session: Any, url: str, headers: Mapping[str, str]) -> Entry | None:
    """Return the cache's entry for a request whose answer is fresh by its age alone; None for any other."""
    adapter = session.get_adapter(url)
    asks_for_news = any(name.lower() in ("cache-control", "pragma") for name in (*headers, *session.headers))
    if asks_for_news or not isinstance(adapter, CacheControlAdapter):
        return None
    return Entry(session, adapter, url, headers)


def find(layout: Layout, collector: Any, link: Any, name: str) -> FreshPage | None:
    """Return the page that pip would take out of its cache, if that is known; nothing of it is read."""
    # Without this seam pip's code would not stop at the request, but send it.
    if link.scheme not in ("http", "https") or not hasattr(type(collector.session).request, "__wrapped__"):
        return None
    # What pip says before it asks, it says when it does.
    with records.held_back([]):
        asked = request_for(collector, link, name)
    entry = entry_of(collector.session, *asked) if asked is not None else None
    looks = entry.looks() if entry is not None else None
    if entry is None or looks is None:
        return None
    return find_fresh(layout, entry.key, looks, time.time())


def note(adapter: Any, entry: Entry, looks: Looks, response: Any) -> None:
    """Note until when an answer that came out of the cache is going to come from there.

    :param looks: of before it was read.
    """
    headers = response.headers
    max_age = adapter.controller.parse_cache_control(headers).get("max-age")
    date = parsedate_tz(headers.get("Date", ""))
    if max_age and date is not None and response.url == entry.url:
        # As cachecontrol reckons it: without the zone, which HTTP has only one of.
        current_run().fresh[entry.url] = (entry, looks, calendar.timegm(date[:6]) + max_age)


def keep(layout: Layout, page: Any, digest: bytes) -> None:
    """Keep what pip has made of an answer that was noted."""
    noted = current_run().fresh.pop(page.url, None)
    if noted is None:
        return
    entry, looks, until = noted
    # Another process may have put another page there while this one was read.
    if entry.looks() == looks:
        keep_fresh(layout, entry.key, FreshPage(until, looks, page.url, page.content_type, page.encoding, digest))
