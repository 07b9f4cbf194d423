"""Fixtures of more than one kind of test, and samples of what is too much for every run.

``PIPFAST_PARITY_SAMPLE`` runs a part of ``parity``, ``PIPFAST_SAMPLE`` a part of what is marked as one of many:
a fraction and a seed, as in ``0.25:pip24``. The same value picks the same tests everywhere; without a seed it is
the empty one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.twin import Laboratory, Twins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Server


PARITY = Path(__file__).parent / "parity"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = {item for item in items if _is_left_out(item)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _is_left_out(item: pytest.Item) -> bool:
    if item.path.is_relative_to(PARITY):
        value = os.environ.get("PIPFAST_PARITY_SAMPLE", "1")
    elif item.get_closest_marker("many") is not None:
        value = os.environ.get("PIPFAST_SAMPLE", "1")
    else:
        return False
    fraction, _, seed = value.partition(":")
    return _draw(item.nodeid, seed) >= float(fraction)


def _draw(nodeid: str, seed: str) -> float:
    """Return a number from 0 to 1 that depends on the test and the seed only."""
    digest = hashlib.sha256(f"{seed}:{nodeid.rpartition('/')[2]}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


@pytest.fixture(scope="session")
def laboratory() -> Iterator[Laboratory]:
    """Build the environments of the twins, once for a test process.

    Not under pytest's own folder: an interpreter's path of more than 127 bytes changes the scripts.
    """
    base = Path(tempfile.mkdtemp(prefix="pf-")).resolve()
    try:
        with serving() as server:
            laboratory = Laboratory(base, server)
            yield laboratory
            laboratory.close()
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def server(laboratory: Laboratory) -> Server:
    """Return the server on loopback, with nothing on it."""
    laboratory.server.clear()
    return laboratory.server


@pytest.fixture
def twins(laboratory: Laboratory, server: Server, tmp_path: Path) -> Twins:
    """Return stock pip and pipfast, ready to do the same in the same place."""
    for folder in ("work", "home"):
        (tmp_path / folder).mkdir()
    return Twins(laboratory, tmp_path)
