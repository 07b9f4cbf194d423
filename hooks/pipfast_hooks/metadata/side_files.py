"""Metadata files beside archives (PEP 658), out of pip's cache.

pip asks for one when its resolver comes to a candidate. Which one, what is said about it and what is in it stays
pip's to check.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pip._internal.operations.prepare import File

from pipfast import report
from pipfast.address import shown
from pipfast.report import timed
from pipfast.wheel.metadata import MAX_BYTES
from pipfast_hooks.guard import guarded
from pipfast_hooks.network.ahead import Ahead
from pipfast_hooks.network.asked import caching_adapter
from pipfast_hooks.output.lines import StandIn, tell
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from pipfast_hooks.call import Call

SUFFIX = ".metadata"
"""What the metadata file's address has after the archive's (PEP 658)."""

@dataclass(frozen=True, slots=True)
class SideFile:
    """A metadata file in pip's cache."""

    content: bytes
    path: str


def kept(session: Any, link: Any) -> SideFile | None:
    """Return what pip's own cache holds, if it is what the index says: no server need be asked for that.

    pip would ask whether it is still fresh, and say the same: the digest is the index's newest word. What a server
    cannot be asked about pip fetches again, and says so.
    """
    url = link.url_without_fragment
    adapter = caching_adapter(session, url)
    if link.hash_name != "sha256" or adapter is None:
        return None
    path = adapter.cache._get_cache_path(adapter.controller.cache_url(url))
    try:
        with open(path, "rb") as file:
            described = file.read()
        path += ".body"
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES)
    except OSError:
        return None
    described = described.lower()
    if not any(_string(name) in described for name in (b"etag", b"last-modified")):
        return None
    # pip's line says the size, if the server did.
    length = _string(b"content-length") + _string(str(len(content)).encode("ascii"))
    if hashlib.sha256(content).hexdigest() != link.hash or length not in described:
        return None
    return SideFile(content, path)


def _string(text: bytes) -> bytes:
    """Return a short string as it stands in a cache entry: as msgpack writes it, its length first."""
    return bytes((0xA0 + len(text),)) + text


def _around_get_http_url(call: Call) -> Any:
    """Answer for a metadata file that is in the cache; everything else is pip's to fetch."""
    link, download = call["link"], call["download"]
    found, began = None, time.monotonic()
    if call.get("download_dir") is None and link.filename.endswith(SUFFIX):
        with guarded("%s is left to pip", shown(link.url)):
            # A file that comes ahead may be in the cache by then, but pip would not have found it there.
            if not current_run().part(Ahead).requests.is_coming(link.url.split("#", 1)[0]):
                found = kept(download._session, link)
    if found is None:
        with timed("file", key=link.url):
            return call.original()
    size = len(found.content)
    if report.recorder is not None:
        report.recorder.note("file", began, {"key": link.url, "cache": "pip", "bytes": size})
    tell(StandIn(size, from_cache=True), link, download._progress_bar, size, iter((size,)))
    return File(found.path, None)
