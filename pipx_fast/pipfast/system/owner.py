"""Whose the folder is that root installs into."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipfast.settings import LinkMode


def is_root() -> bool:
    """Tell whether this process may change owners: a link that root gives away gives the store's file away."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def effective_mode(asked: LinkMode, target: str) -> LinkMode:
    """Return the link mode for a folder: the one that is set, but copies where root installs into another user's.

    Whose it is will most likely get the files, too (``chown -R``).

    :param asked: only ``auto`` is changed.
    :param target: it need not be there yet.
    """
    if asked != "auto" or not is_root():
        return asked
    path = os.path.abspath(target)
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return "copy" if os.stat(path).st_uid != 0 else asked
