"""Environment of this pip for each module's tests, and a wheel to install."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pip._internal.commands.install  # noqa: F401  # as in a run: on 25.1 some modules cannot be imported first
import pytest

from support.index import serving
from support.program import make_box
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.program import Box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Return an environment that nothing is installed in."""
    return make_box(tmp_path)


@pytest.fixture(scope="session")
def index_url() -> Iterator[str]:
    """Serve one wheel, ``seamless``, which needs another one, ``needed``."""
    with serving() as server:
        index = server.index()
        index.add(Wheel("seamless", requires=["needed"], console={"seamless": "seamless:main"}).build())
        index.add(Wheel("needed").build())
        yield index.url
