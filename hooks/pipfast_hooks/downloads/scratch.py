"""Temporary folder of one session, in which downloads arrive."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.report import logger

if TYPE_CHECKING:
    from pipfast.store.layout import Layout


class Scratch:
    """A folder on the store's filesystem, so that keeping a file is a rename; made for the first file."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def new_folder(self, layout: Layout) -> Path:
        """Return a new folder for one file: two links may have the same file name.

        :raises OSError: it cannot be made.
        """
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
    """Move a file, to another filesystem if need be.

    :raises OSError: it can be neither renamed nor copied.
    """
    with contextlib.suppress(OSError):
        source.replace(target)
        return
    shutil.copyfile(source, target)
    source.unlink()
