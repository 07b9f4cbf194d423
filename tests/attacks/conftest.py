"""Environment of each test, and an index of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import make_box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Server
    from support.program import Box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Return an environment that nothing is installed in."""
    return make_box(tmp_path)


@pytest.fixture
def host() -> Iterator[Server]:
    """Return a server with nothing on it, and nobody else's."""
    with serving() as server:
        yield server
