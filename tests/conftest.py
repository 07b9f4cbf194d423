"""Fixtures of more than one kind of test."""

from __future__ import annotations

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
