"""One archive, asked for by pip and ahead of the resolver, in either order."""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pip._internal.exceptions import NetworkConnectionError
from pip._internal.models.link import Link
from pip._internal.network.session import PipSession

from pipfast.fetch.pool import DownloadPool
from pipfast.settings import Settings
from pipfast_hooks.network.early import EarlyRequests
from pipfast_hooks.run import begin_run, end_run
from support.index import serving
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipfast_hooks.downloads.connections import Connections
    from support.index import Index, Server

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""Old pips on new Pythons."""

ARCHIVE = Wheel("alpha").build()
PATH = f"a/files/{ARCHIVE.filename}"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def index(server: Server) -> Index:
    return server.index().add(ARCHIVE)


@pytest.fixture
def link(index: Index) -> Link:
    return Link(f"{index.file_url(ARCHIVE)}#sha256={ARCHIVE.sha256}")


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[Connections]:
    """Return the connections of a session with a cache and a store."""
    # pip 25.3's progress bars cannot be imported before its requirements.
    importlib.import_module("pip._internal.req")
    from pipfast_hooks.downloads.connections import Connections

    run = begin_run(Settings(store=tmp_path / "store"))
    with PipSession(cache=str(tmp_path / "cache")) as session:
        connections = Connections(session, run, run.part(EarlyRequests))
        yield connections
        connections.close(1.0)
    end_run()


class Follower:
    """Waits for a stored archive."""

    def __init__(self) -> None:
        self.archive = b""
        self._called = threading.Event()

    def __call__(self, path: Path) -> None:
        self.archive = path.read_bytes()
        self._called.set()

    def was_called(self) -> bool:
        return self._called.wait(10) and self.archive == ARCHIVE.data


def fetches(server: Server) -> int:
    return sum(each.path == f"/{PATH}" for each in server.requests())


def test_what_pip_is_fetching_is_not_fetched_ahead(
    connections: Connections, server: Server, index: Index, link: Link, tmp_path: Path
) -> None:
    """Who wanted it ahead waits for pip's; it ends in pip's folder."""
    server.hold(PATH, "a/simple/go/")
    follower = Follower()
    job = connections.begin(link, str(tmp_path))
    connections.begin_ahead("alpha", link, needed=True, then=follower)
    connections.session.get(f"{index.url}go/").close()
    assert connections.finish(job, "off")[0] == str(tmp_path / ARCHIVE.filename)
    assert (tmp_path / ARCHIVE.filename).read_bytes() == ARCHIVE.data
    assert follower.was_called()
    assert fetches(server) == 1


def test_what_pip_has_fetched_is_not_fetched_ahead(
    connections: Connections, server: Server, link: Link, tmp_path: Path
) -> None:
    follower = Follower()
    connections.finish(connections.begin(link, str(tmp_path)), "off")
    connections.begin_ahead("alpha", link, needed=True, then=follower)
    assert follower.was_called()
    assert fetches(server) == 1


def test_pip_is_given_what_came_ahead(
    connections: Connections, server: Server, link: Link, tmp_path: Path
) -> None:
    follower = Follower()
    connections.begin_ahead("alpha", link, needed=True, then=follower)
    connections.finish(connections.begin(link, str(tmp_path)), "off")
    assert follower.was_called()
    assert fetches(server) == 1


@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_over_at_once(
    connections: Connections, link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: bool
) -> None:
    """A small file may be there before the thread that has begun it goes on."""
    stock = DownloadPool.submit

    def submit(self: DownloadPool, *args: Any, **kwargs: Any) -> Any:
        download = stock(self, *args, **kwargs)
        download.result()
        return download

    monkeypatch.setattr(DownloadPool, "submit", submit)
    follower = Follower()
    if ahead:
        connections.begin_ahead("alpha", link, needed=True, then=follower)
    job = connections.begin(link, str(tmp_path))
    if not ahead:
        connections.begin_ahead("alpha", link, needed=True, then=follower)
    assert connections.finish(job, "off")[0] == str(tmp_path / ARCHIVE.filename)
    assert follower.was_called()


def test_one_address_begun_twice_by_pip(
    connections: Connections, server: Server, index: Index, link: Link, tmp_path: Path
) -> None:
    """Each has its own file."""
    server.hold(PATH, "a/simple/go/")
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
    jobs = [connections.begin(link, str(place)) for place in places]
    connections.session.get(f"{index.url}go/").close()
    for job, place in zip(jobs, places, strict=True):
        assert connections.finish(job, "off")[0] == str(place / ARCHIVE.filename)
        assert (place / ARCHIVE.filename).read_bytes() == ARCHIVE.data


def test_what_failed_for_pip_may_be_fetched_ahead(
    connections: Connections, server: Server, index: Index, link: Link, tmp_path: Path
) -> None:
    """A link that is chosen later is not lost for an earlier answer."""
    server.override(PATH, 404, times=1)
    job = connections.begin(link, str(tmp_path))
    with pytest.raises(NetworkConnectionError, match="404") as caught:
        connections.finish(job, "off")
    caught.value.response.close()
    follower = Follower()
    connections.begin_ahead("alpha", link, needed=True, then=follower)
    assert follower.was_called()
