"""Pages that pip would take from its cache are not read, and are given up when pip would."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from support.index import Manners, serving
from support.pips import since
from support.program import add_shim
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index, Server
    from support.program import Box

COUNTING = """
import atexit, json, time, wrapt
asked = []
@wrapt.when_imported(".".join(["pip", "_vendor", "cachecontrol", "controller"]))
def patch(module):
    stock = module.CacheController.cached_request
    def cached_request(self, request):
        found = stock(self, request)
        asked.append([request.url, bool(found)])
        return found
    module.CacheController.cached_request = cached_request
    module.time.time = lambda stock=time.time: stock() + {later}
@atexit.register
def write():
    if asked:
        with open({log!r}, "w", encoding="utf-8") as file:
            json.dump(asked, file)
"""


pytestmark = [pytest.mark.many, since("26.2", "it asks for each page anew")]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def fill(server: Server, **manners: str | None) -> Index:
    index = server.index(manners=Manners(**manners))  # type: ignore[arg-type]
    index.add(Wheel("first", requires=["second"]).build(), Wheel("second").build())
    return index


def read_pages(box: Box, index: Index, *options: str, later: float = 0.0) -> tuple[str, dict[str, bool]]:
    """Run once; return what was printed, and which pages were looked up in the cache, and found fresh."""
    log: Path = box.root / "looked-up"
    log.unlink(missing_ok=True)
    # The shim's own bytecode would be taken for that of one of the same size from the same second.
    shutil.rmtree(box.site_packages / "__pycache__", ignore_errors=True)
    add_shim(box, COUNTING.format(log=str(log), later=later))
    ended = box.pipfast(
        "install", "--dry-run", *index.args, "--trusted-host", "127.0.0.1", *options, "first")
    assert (ended.status, ended.err) == (0, "")
    rows = json.loads(log.read_text(encoding="utf-8")) if log.exists() else []
    return ended.out, {url.split("/simple/")[1].strip("/"): found for url, found in rows if "/simple/" in url}


def asked(server: Server) -> list[str]:
    return [request.path for request in server.requests() if "/simple/" in request.path]


@pytest.mark.parametrize("pages", ["json", "html"])
def test_a_page_that_is_known_is_not_read_again(box: Box, server: Server, pages: str) -> None:
    """In the first run it comes, in the second it is read and noted, in the third it is looked at."""
    index = fill(server, pages=pages)
    first, _ = read_pages(box, index)
    count = len(asked(server))
    second, found = read_pages(box, index)
    assert found == {"first": True, "second": True}
    third, found = read_pages(box, index)
    assert found == {}
    assert len(asked(server)) == count
    assert first.replace("Downloading", "Using cached") == second.replace("Downloading", "Using cached")
    assert third == second


def test_a_page_that_is_too_old_is_asked_for(box: Box, server: Server) -> None:
    """Neither sooner than pip would ask, nor later."""
    index = fill(server, cache_control="max-age=600")
    for _ in range(2):
        read_pages(box, index)
    count = len(asked(server))
    _, found = read_pages(box, index, later=580)
    assert (found, len(asked(server))) == ({}, count)
    index.add(Wheel("second", "2.0").build())
    out, found = read_pages(box, index, later=601)
    assert set(found) == {"first", "second"} and len(asked(server)) > count, out
    assert "second-2.0" in out


def test_another_entry_in_its_place_is_read(box: Box, server: Server) -> None:
    """Another process, stock pip for one, may fetch a page anew at any time."""
    index = fill(server)
    for _ in range(2):
        read_pages(box, index)
    index.add(Wheel("second", "2.0").build())
    caches = [path for path in (box.root / "home").rglob("http-v2/**/*") if path.is_file()]
    assert caches
    for path in caches:
        path.unlink()
    ended = box.pip("install", "--dry-run", *index.args, "--trusted-host", "127.0.0.1", "first")
    assert "second-2.0" in ended.out
    out, found = read_pages(box, index)
    assert "second-2.0" in out and found == {"first": True, "second": True}


@pytest.mark.parametrize("cache_control", [None, "no-cache", "max-age=0"])
def test_pages_that_are_never_fresh_are_never_taken(
    box: Box, server: Server, cache_control: str | None
) -> None:
    index = fill(server, cache_control=cache_control)
    for _ in range(3):
        read_pages(box, index)
    count = len(asked(server))
    read_pages(box, index)
    assert len(asked(server)) > count


def test_a_user_who_wants_to_know_is_told(box: Box, server: Server) -> None:
    """`--refresh-package` asks for the page of that project, and for no other."""
    index = fill(server)
    for _ in range(2):
        read_pages(box, index)
    before = len(asked(server))
    _, found = read_pages(box, index, "--refresh-package", "second")
    assert set(asked(server)[before:]) == {"/a/simple/second/"}
    assert "first" not in found


def test_what_pip_says_before_it_asks_is_said_once(box: Box) -> None:
    command = ("download", "--no-deps", "--index-url", "git+https://127.0.0.1:1/simple", "first")
    expected, found = box.pip(*command), box.pipfast(*command)
    assert "Cannot look at git URL" in expected.err
    assert (found.status, found.out, found.err) == (expected.status, expected.out, expected.err)
