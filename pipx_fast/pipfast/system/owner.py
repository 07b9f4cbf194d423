"""Owner of the folder that root installs into."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipfast.settings import LinkMode


def is_root() -> bool:
    """Tell whether this process may change owners: the owner of a link is the owner of the store's file."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def effective_mode(asked: LinkMode, target: str) -> LinkMode:
    """Return the link mode for a folder: ``copy`` if root installs into another user's with ``auto``, else as set.

    The files will most likely be given to that user (``chown -R``).

    :param target: a folder that need not exist yet.
    """
    if asked != "auto" or not is_root():
        return asked
    path = os.path.abspath(target)
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return "copy" if os.stat(path).st_uid != 0 else asked
