"""The null form of a store: nothing is found, nothing is kept."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from pipfast.store.layout import Layout


class Nowhere(Layout):
    """The layout of a command without a store: who reads finds nothing there, and who writes cannot."""

    def __init__(self) -> None:
        # A name that nobody can foresee.
        super().__init__(Path(os.sep, f".pipfast-{secrets.token_hex(16)}"))

    @property
    def keeps(self) -> bool:
        """Tell whether anything can be kept here: it cannot."""
        return False

    def new_path(self, suffix: str = "") -> Path:
        """Raise OSError, as a store does that cannot be written."""
        raise FileNotFoundError(errno.ENOENT, "there is no store", os.fspath(self.root))

    def make_folder(self, folder: Path | str) -> None:
        """Raise OSError, as a store does that cannot be written."""
        raise FileNotFoundError(errno.ENOENT, "there is no store", os.fspath(folder))
