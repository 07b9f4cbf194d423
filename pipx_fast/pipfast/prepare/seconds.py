"""Unique modification times of unpacked trees.

A .pyc file is valid for a source's path, size and time in whole seconds. Kept outside of the environment
(``PYTHONPYCACHEPREFIX``), it outlives an upgrade: if two versions of a module have one size and were unpacked
within one second, Python runs the old one. So all files of a tree get a second of their own. A process claims it
by making a file with its name: the present second, or if that is taken, one drawn from the last 2, 4, 8 … seconds.
Times are never in the future, and at most minutes in the past unless thousands of trees are unpacked at once.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pipfast.store.names import SECONDS

if TYPE_CHECKING:
    from pipfast.store.layout import Layout

KEPT_S = 7 * 86_400
"""Seconds for which a claim is kept. Nobody draws from that far back: of 20 tries even 100,000 claims leave one
free."""

_LOOK_EVERY = 256
"""Average number of claims between two searches for old ones."""


def claim_second(layout: Layout) -> int:
    """Return a second since the epoch that no other tree of this store has.

    :raises OSError: nothing can be written there.
    """
    if not secrets.randbelow(_LOOK_EVERY):
        forget_old_claims(layout)
    now = int(time.time())
    for power in itertools.count():
        second = now - secrets.randbelow(1 << power)
        try:
            _claim(layout, second)
        except FileExistsError:
            continue
        return second
    raise AssertionError


def _claim(layout: Layout, second: int) -> None:
    path, flags = f"{layout.root}/{SECONDS}/{second}", os.O_CREAT | os.O_EXCL | os.O_WRONLY
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        layout.make_folder(os.path.dirname(path))
        descriptor = os.open(path, flags, 0o600)
    os.close(descriptor)


def forget_old_claims(layout: Layout) -> None:
    """Remove claims of seconds that nobody draws any more; a claim that cannot be removed stays."""
    oldest = time.time() - KEPT_S
    with suppress(OSError):
        for name in os.listdir(layout.root / SECONDS):
            if name.isascii() and name.isdigit() and int(name) < oldest:
                with suppress(OSError):
                    (layout.root / SECONDS / name).unlink()
