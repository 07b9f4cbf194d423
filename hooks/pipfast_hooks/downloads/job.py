"""One download of pip's: link, archive, folder; its own cache."""

from __future__ import annotations

import contextlib
import mmap
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal.network import download as pip_download

from pipfast.report import logger
from pipfast.store.urls import Origin, find_origin
from pipfast_hooks.guard import guarded
from pipfast_hooks.network.asked import caching_adapter

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from concurrent.futures import Future

    from pipfast.fetch.job import Download, Fetched
    from pipfast.store.archives import Archive
    from pipfast.store.layout import Layout


@dataclass(slots=True)
class Job:
    """One of pip's links on its way into pip's folder ``location``."""

    link: Any
    location: Path
    archive: Archive | None = None
    check: Future[bool] | None = None
    """Tells whether all its bytes are still what they were."""
    size: int | None = None
    """Bytes of the archive, of which the store has tree and bytecode: it need not be fetched."""
    download: Download | None = None
    then: Callable[[Path], None] | None = None
    """Follows with the stored archive, in a thread of ours, once it is there."""
    told: bool = False
    """pip's line about it stands there."""
    here: Path | None = None
    records: list[logging.LogRecord] = field(default_factory=list)
    """What the worker threads logged about it; written out when pip comes to it."""

    @property
    def url(self) -> str:
        """Return the address that is fetched."""
        return str(self.link.url_without_fragment)

    @property
    def digests(self) -> dict[str, str]:
        """Return the digests that the index gives for the link, by algorithm."""
        name, digest = self.link.hash_name, self.link.hash
        return {name: digest} if name and digest else {}

    @property
    def has_failed(self) -> bool:
        """Tell whether it was fetched in vain."""
        return self.download is not None and self.download.finished and self.download.fetched is None

    def name(self, response: Any) -> str:
        """Return the file name that pip would give the file, by its link and the answer's headers."""
        return str(pip_download._get_http_response_filename(getattr(response, "response", response), self.link))


class Scratch:
    """A folder on the store's filesystem, so that keeping a file is a rename; made for the first file."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def new_folder(self, layout: Layout) -> Path:
        """Return a new folder for one file: two links may have the same file name."""
        if self._folder is None:
            self._folder = _in_store(layout) if layout.keeps else None
            if self._folder is None:
                # Downloads go on at once, though each is copied once more; pip would have them there, too.
                self._folder = tempfile.TemporaryDirectory(prefix="pipfast-", ignore_cleanup_errors=True)
        return Path(tempfile.mkdtemp(dir=self._folder.name))

    def close(self) -> None:
        """Remove the folder with all that is left in it."""
        if self._folder is not None:
            self._folder.cleanup()


def _in_store(layout: Layout) -> tempfile.TemporaryDirectory[str] | None:
    try:
        path = layout.new_path(".")
        return tempfile.TemporaryDirectory(prefix=path.name, dir=path.parent, ignore_cleanup_errors=True)
    except OSError as error:
        logger.debug("pipfast: downloads do not go to %s: %s", layout.root, error)
        return None


def move(source: Path, target: Path) -> None:
    """Move a file, to another filesystem if need be. Raises OSError: it can be neither renamed nor copied."""
    with contextlib.suppress(OSError):
        source.replace(target)
        return
    shutil.copyfile(source, target)
    source.unlink()


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
