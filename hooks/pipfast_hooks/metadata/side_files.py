"""Metadata files beside archives (PEP 658), out of pip's cache.

pip asks for one when its resolver comes to a candidate. Which one, what is said about it and what is in it stays
pip's to check.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pip._internal.operations.prepare import File

from pipfast import report
from pipfast.address import shown
from pipfast.index.kept import find_metadata, has_metadata
from pipfast.report import timed
from pipfast.wheel.metadata import MAX_BYTES
from pipfast_hooks.guard import guarded
from pipfast_hooks.network.ahead import Ahead
from pipfast_hooks.network.asked import caching_adapter
from pipfast_hooks.network.kept import Keeper, layout_of
from pipfast_hooks.output.lines import StandIn, tell
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    from pipfast_hooks.call import Call

SUFFIX = ".metadata"
"""What the metadata file's address has after the archive's (PEP 658)."""

@dataclass(frozen=True, slots=True)
class SideFile:
    """A metadata file in pip's cache."""

    content: bytes
    path: str


def kept(run: Run, session: Any, link: Any) -> SideFile | None:
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
    # However old: it is what the index says.
    run.note_fresh((Path(path.removesuffix(".body")), Path(path)))
    return SideFile(content, path)


def _string(text: bytes) -> bytes:
    """Return a short string as it stands in a cache entry: as msgpack writes it, its length first."""
    return bytes((0xA0 + len(text),)) + text


def _around_get_http_url(call: Call) -> Any:
    """Answer for a metadata file that is in the cache; everything else is pip's to fetch."""
    link, download = call["link"], call["download"]
    run, found, began = current_run(), None, time.monotonic()
    if call.get("download_dir") is not None or not link.filename.endswith(SUFFIX):
        with timed("file", key=link.url):
            return call.original()
    with guarded("%s is left to pip", shown(link.url)):
        # A file that comes ahead may be in the cache by then, but pip would not have found it there.
        if not run.part(Ahead).requests.is_coming(link.url.split("#", 1)[0]):
            found = kept(run, download._session, link)
    if found is None and run.settings.offline != "off":
        with guarded("%s is asked for", shown(link.url)):
            found = _stored(run, download._session, link)
    if found is None:
        with timed("file", key=link.url):
            file = call.original()
        with guarded("%s is not kept", shown(link.url)):
            if link.hash_name == "sha256":
                # In pip's own folder, which it removes.
                run.part(Keeper).keep_metadata(download._session, link.hash, Path(file.path).read_bytes())
        return file
    if link.hash_name == "sha256" and run.settings.offline == "off":
        run.part(Keeper).keep_metadata(download._session, link.hash, found.content)
    size = len(found.content)
    if report.recorder is not None:
        report.recorder.note("file", began, {"key": link.url, "cache": "pip", "bytes": size})
    tell(StandIn(size, from_cache=True), link, download._progress_bar, size, iter((size,)))
    return File(found.path, None)


def is_kept(run: Run, session: Any, link: Any) -> bool:
    """Tell whether a metadata file can be had without a network."""
    layout = layout_of(run, session)
    stored = link.hash_name == "sha256" and layout.keeps and has_metadata(layout, link.hash)
    return stored or kept(run, session, link) is not None


def _stored(run: Run, session: Any, link: Any) -> SideFile | None:
    """Return what the store holds, in a file: pip reads it from there."""
    layout = layout_of(run, session)
    content = find_metadata(layout, link.hash) if link.hash_name == "sha256" else None
    if content is None:
        return None
    path = run.part(Handed).new_path()
    path.write_bytes(content)
    return SideFile(content, os.fspath(path))


class Handed(Part):
    """The files that pip is handed, in a folder that ends with the run."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._folder = TemporaryDirectory(prefix="pipfast-", ignore_cleanup_errors=True)
        self._numbers = itertools.count()

    def new_path(self) -> Path:
        """Return a path for one more file."""
        return Path(self._folder.name, str(next(self._numbers)))

    def close(self, wait_s: float) -> None:
        """Remove the folder."""
        self._folder.cleanup()
