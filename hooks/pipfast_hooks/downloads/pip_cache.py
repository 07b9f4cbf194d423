"""pip's HTTP cache: what it has, would have, and is given."""

from __future__ import annotations

import mmap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipfast.store.urls import Origin, find_origin
from pipfast_hooks.guard import guarded
from pipfast_hooks.network.asked import caching_adapter

if TYPE_CHECKING:
    from pipfast.fetch.job import Download, Fetched
    from pipfast.store.layout import Layout


def find_stored_origin(session: Any, layout: Layout, link: Any) -> Origin:
    """Tell how pip would get a stored file: out of its own cache, and told how large it is?"""
    url = link.url_without_fragment
    noted = find_origin(layout, url, link.hash)
    if noted is None:
        return Origin(kept=False, sized=True)
    return replace(noted, kept=noted.kept and caching_adapter(session, url) is not None)


def would_keep(session: Any, download: Download) -> bool:
    """Tell whether pip's cache would have kept this answer: cachecontrol's rules for a 200."""
    if caching_adapter(session, download.url) is None:
        return False
    headers = download.first_response().headers
    directives = [part.strip() for part in headers.get("Cache-Control", "").lower().split(",")]
    if "no-store" in directives or headers.get("Vary") == "*":
        return False
    if "etag" in headers:
        return True
    fresh = any(part.startswith("max-age=") and part[8:].isdigit() and int(part[8:]) > 0 for part in directives)
    return "date" in headers and (fresh or bool(headers.get("Expires")))


def give(response: Any, fetched: Fetched) -> None:
    """Put into pip's cache what the store will not be asked for."""
    keep = getattr(response, "keep", None)
    if keep is not None and fetched.size:
        # As cachecontrol itself hands over what it has collected.
        with (
            guarded("%s is not in pip's cache", fetched.path.name, brief=True),
            fetched.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
        ):
            keep(view)
