"""One download of pip's: link, stored archive, transfer, log records."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal.network import download as pip_download

from pipfast.report import logger

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from concurrent.futures import Future

    from pipfast.fetch.job import Download
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
    """Make the folder in the store; None if that cannot be written: read-only, or no space or inode left."""
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
