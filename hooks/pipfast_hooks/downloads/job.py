"""One download of pip's: link, stored archive, transfer, log records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pip._internal.network import download as pip_download

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from pipfast.fetch.job import Download
    from pipfast.store.archives import Archive


@dataclass(slots=True)
class Job:
    """One of pip's links on its way into pip's folder ``location``."""

    link: Any
    location: Path
    archive: Archive | None = None
    """It is in the store."""
    check: Future[bool] | None = None
    """Tells whether all its bytes are still what they were."""
    download: Download | None = None
    """It is being fetched."""
    then: Callable[[Path], None] | None = None
    """Follows with the stored archive, in a thread of ours, once it is there."""
    told: bool = False
    """pip's line about it stands there."""
    here: Path | None = None
    """Where the stored archive is, once its bytes were read."""
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
