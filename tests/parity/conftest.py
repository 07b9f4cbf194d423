"""Twins: stock pip and pipfast do the same things in the same place.

``PIPFAST_PARITY_SAMPLE`` runs a part of it, for the members of the matrix that need not run all: a fraction of
the tests and a seed, as in ``PIPFAST_PARITY_SAMPLE=0.25:pip24``. The same value picks the same tests everywhere;
without a seed it is the empty one. ``PIPFAST_TWIN=pip`` compares pip with itself, which tries the suite;
``PIPFAST_TWIN=attached`` compares it with itself in an attached environment, the path of a ``runner.py`` with
the pipfast that is installed there.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    fraction, _, seed = os.environ.get("PIPFAST_PARITY_SAMPLE", "1").partition(":")
    left_out = [
        item for item in items if item.path.is_relative_to(HERE) and _draw(item.nodeid, seed) >= float(fraction)
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _draw(nodeid: str, seed: str) -> float:
    """Return a number from 0 to 1 that depends on the test and the seed only."""
    digest = hashlib.sha256(f"{seed}:{nodeid.rpartition('/')[2]}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
