"""Environment, loopback index, and a server whose downloads never end."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.loopback import Loopback
from support.program import make_box
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index
    from support.loopback import Exchange
    from support.program import Box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Return an environment that nothing is installed in."""
    return make_box(tmp_path)


@pytest.fixture(scope="session")
def index() -> Iterator[Index]:
    """Serve ``app``, which needs ``library``."""
    with serving() as server:
        index = server.index()
        index.add(Wheel("app", requires=["library"], console={"app": "app:main"}).build())
        index.add(Wheel("library").build())
        yield index


class EndlessServer(Loopback):
    """Serves ``/simple/endless/``; the wheel there stops after its first part, until the server ends."""

    def __init__(self) -> None:
        super().__init__(self._answer)

    def _answer(self, exchange: Exchange) -> None:
        if exchange.path.endswith("/endless/"):
            exchange.page('<a href="/endless-1.0-py3-none-any.whl">endless-1.0-py3-none-any.whl</a>')
            return
        exchange.head(200, {"Content-Length": str(8 << 20)})
        with suppress(OSError):
            exchange.send(bytes(1 << 20))
        self.over.wait()


@pytest.fixture
def endless() -> Iterator[EndlessServer]:
    """Serve a download that never ends."""
    with EndlessServer() as server:
        yield server
