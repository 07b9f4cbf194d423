"""Preparation of built wheels, while others are still being built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.store.archives import add_archive, find_archive, sha256_of
from pipfast_hooks.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipfast_hooks.run import Run


def prepare(run: Run, path: Path) -> None:
    """Keep a wheel in the store and begin to unpack and compile it; what fails is done at its installation."""
    with guarded("%s is prepared when it is installed", path.name):
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


def prepare_all(run: Run, requirements: Iterable[Any]) -> None:
    """Prepare the wheels that were built of requirements; not those of local folders, which change."""
    for each in requirements:
        source, path = each.original_link, each.local_file_path
        if path and not (source is not None and source.is_existing_dir()):
            prepare(run, Path(path))
