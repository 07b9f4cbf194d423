"""Preparation of built wheels, while others are still being built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.report import logger
from pipfast.store.archives import add_archive, find_archive, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast_hooks.run import Run


def prepare(run: Run, path: Path) -> None:
    """Keep a wheel in the store and have it prepared; returns at once. What fails is done when it is installed."""
    try:
        preparer, layout = run.store.preparer(), run.store.layout
        if preparer is None:
            return
        digest = sha256_of(path)
        archive = find_archive(layout, digest)
        hashed = archive is None
        archive = archive or add_archive(layout, path, digest, path.name, move=False)
        if archive is not None:
            run.store.remember(path, {"sha256": digest})
            preparer.start(digest, archive.path, hashed=hashed)
    except Exception:
        logger.debug("pipfast: %s is prepared when it is installed", path.name, exc_info=True)


def prepare_all(run: Run, requirements: Iterable[Any]) -> None:
    """Prepare the wheels of requirements that were built, but for those of local folders, which do not last."""
    for each in requirements:
        source, path = each.original_link, each.local_file_path
        if path and not (source is not None and source.is_existing_dir()):
            prepare(run, Path(path))
