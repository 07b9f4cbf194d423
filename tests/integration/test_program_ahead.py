"""Early requests: in parallel, once each, and never to the run's harm."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.index import Answer, Breakage, Manners, serving
from support.pips import since
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.index import Index, Server
    from support.program import Box

pytestmark = pytest.mark.many

LEAVES = ("alpha", "beta", "gamma", "delta")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def fill(index: Index) -> Index:
    index.add(Wheel("top", requires=[*LEAVES, "deep"]).build())
    index.add(Wheel("deep", requires=["deeper"]).build(), Wheel("deeper").build())
    index.add(*(Wheel(name, version=version).build() for name in LEAVES for version in ("1.0", "2.0")))
    return index


def asked(server: Server) -> Counter[str]:
    return Counter(request.path for request in server.requests() if request.method == "GET")


def installed(box: Box) -> set[str]:
    return set(box.installed()) & {"top", "deep", "deeper", *LEAVES}


@pytest.mark.parametrize("cache_control", ["max-age=600", None, "no-store"])
@pytest.mark.parametrize("pages", ["json", "html"])
def test_nothing_is_asked_for_twice(box: Box, server: Server, cache_control: str | None, pages: str) -> None:
    """Each page, metadata file and archive that is needed is asked for once, and nothing else is."""
    manners = Manners(pages=pages, cache_control=cache_control)  # type: ignore[arg-type]
    index = fill(server.index(manners=manners))
    ended = box.pipfast("install", *index.args, "top")
    assert (ended.status, ended.err) == (0, "")
    assert installed(box) == {"top", "deep", "deeper", *LEAVES}
    counted = asked(server)
    # The pages of pip itself are its own business.
    assert {path for path, times in counted.items() if times > 1 and "/simple/pip/" not in path} == set()
    assert not any("-1.0-" in path for path in counted if any(leaf in path for leaf in LEAVES))


def test_pages_come_side_by_side(box: Box, server: Server) -> None:
    """The first page that the resolver waits for is answered only once the next one was asked for."""
    index = fill(server.index())
    pages = [f"a/simple/{name}/" for name in LEAVES]
    server.hold(pages[0], pages[1])
    ended = box.pipfast("install", *index.args, "top")
    assert (ended.status, ended.err) == (0, "")
    assert installed(box) == {"top", "deep", "deeper", *LEAVES}


def _same(answer: Answer, headers: Mapping[str, str]) -> Answer:
    return answer


def test_pages_that_another_server_has(box: Box, server: Server) -> None:
    """Early requests are led to a server that nobody has asked before: one of them is the first there."""
    index, there = fill(server.index()), fill(server.index("b"))
    elsewhere = server.url.replace("127.0.0.1", "localhost")
    server.delay("a/simple/alpha/", 0.5)
    for name in LEAVES[1:]:
        moved = Answer(302, b"", {"Location": f"{elsewhere}/b/simple/{name}/"})
        server.instead(f"a/simple/{name}/", partial(_same, moved))
    ended = box.pipfast("install", *index.args, "top")
    assert (ended.status, ended.err) == (0, "") and there.url
    assert installed(box) == {"top", "deep", "deeper", *LEAVES}
    assert {times for path, times in asked(server).items() if path.startswith("/b/simple/")} == {1}


def test_page_of_another_kind_is_named_once(box: Box, server: Server) -> None:
    """Whoever has fetched it."""
    index = fill(server.index())
    server.override("a/simple/alpha/", 200, headers={"Content-Type": "text/plain"})
    command = ("install", *index.args, "beta", "alpha")
    expected, found = box.pip(*command), box.pipfast(*command)
    assert expected.err.count("Skipping page") == 1
    assert (found.status, found.err) == (expected.status, expected.err)


KEYRING = since("26.2", "it asks a keyring for a password only, of a user who is known")


def with_keyring(box: Box, script: str) -> str:
    """Write a ``keyring`` in shell; return a PATH that has it."""
    tool = box.root / "tools" / "keyring"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
    tool.chmod(0o755)
    return f"{tool.parent}:/usr/bin:/bin"


@KEYRING
def test_keyring_is_asked_once(box: Box, server: Server) -> None:
    """As under pip: it may open a window, or wait for somebody to unlock it."""
    index = fill(server.index(manners=Manners(credentials=("me", "sesame"))))
    log = box.root / "asked"
    path = with_keyring(
        box,
        f'echo "$@" >> "{log}"\n'
        'case "$*" in *creds*) echo \'{"username": "me", "password": "sesame"}\' ;; *) echo sesame ;; esac\n',
    )
    command = ("install", "--keyring-provider", "subprocess", *index.args, "top")
    times = []
    for run in (box.pip, box.pipfast):
        ended = run(*command, PATH=path)
        assert ended.status == 0, ended.err
        times.append(len(log.read_text(encoding="utf-8").splitlines()))
        log.unlink()
        assert box.pip("uninstall", "-y", "top", "deep", "deeper", *LEAVES).status == 0
    assert times[1] == times[0]


@KEYRING
@pytest.mark.parametrize("names", [("alpha",), ("top", "alpha"), ("alpha", "beta", "gamma")])
def test_failing_keyring_is_named_once(box: Box, server: Server, names: tuple[str, ...]) -> None:
    """In whichever thread it has failed."""
    index = fill(server.index())
    for name in ("alpha", "beta"):
        server.override(f"a/files/{name}-2.0-py3-none-any.whl", 401)
    path = with_keyring(box, "echo nonsense\n")
    command = ("install", "--keyring-provider", "subprocess", "--no-input", *index.args, *names)
    expected, found = (run(*command, PATH=path) for run in (box.pip, box.pipfast))
    assert expected.err.count("Keyring is skipped due to an exception") == 1
    assert (found.status, found.err) == (expected.status, expected.err)


def test_server_that_answers_one_request_at_a_time(box: Box, server: Server) -> None:
    """Pages that were refused for being too many at once are asked for again, one by one."""
    index = fill(server.index())
    server.limit(1)
    for name in LEAVES:
        server.delay(f"a/simple/{name}/", 0.05)
    ended = box.pipfast("install", *index.args, "top", PIPFAST_DISABLE="downloads")
    assert ended.status == 0, ended.err
    assert installed(box) == {"top", "deep", "deeper", *LEAVES}


_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Of an object in a warning's text."""


@pytest.mark.parametrize("breakage", list(Breakage))
def test_page_that_breaks_off_is_asked_for_again(box: Box, server: Server, breakage: Breakage) -> None:
    index = fill(server.index())
    server.break_off("a/simple/gamma/", breakage, times=1)
    ended = box.pipfast("install", *index.args, "top")
    assert ended.status == 0, ended.err
    assert installed(box) == {"top", "deep", "deeper", *LEAVES}


def test_page_that_is_not_there_is_pips_error(box: Box, server: Server) -> None:
    """An index without the page of a dependency: pip's words, in pip's place."""
    index = fill(server.index())
    server.override("a/simple/deeper/", 404)
    ended = box.pipfast("install", *index.args, "top")
    assert ended.status == 1
    assert "No matching distribution found for deeper" in ended.err
    assert installed(box) == set()


def test_metadata_that_is_damaged_is_pips_error(box: Box, server: Server) -> None:
    index = server.index()
    index.add(Wheel("top", requires=["leaf"]).build())
    index.add(Wheel("leaf").build(), metadata=b"Metadata-Version: 2.1\nName: other\nVersion: 3\n")
    ended = box.pipfast("install", *index.args, "top")
    stock = box.run("-m", "pip", "install", *index.args, "top")
    assert (ended.status, ended.err) == (stock.status, stock.err)


def test_nothing_is_asked_for_that_is_installed(box: Box, server: Server) -> None:
    """A dependency that is there and fits is not asked for."""
    index = fill(server.index())
    assert box.pipfast("install", *index.args, "alpha==1.0", "deep").status == 0
    server.rewind()
    assert box.pipfast("install", *index.args, "--no-cache-dir", "top").status == 0
    assert not {path for path in asked(server) if "/alpha" in path or "/deep" in path}


def test_no_dependencies_are_asked_for_without_need(box: Box, server: Server) -> None:
    index = fill(server.index())
    assert box.pipfast("install", *index.args, "--no-deps", "top").status == 0
    assert {path.partition("/simple/")[2] for path in asked(server) if "/simple/" in path} <= {"top/", "pip/"}


def test_second_index_is_asked_too(box: Box, server: Server) -> None:
    """The metadata of the best file of both indexes is fetched, and the best is installed."""
    first, second = fill(server.index("a")), server.index("b")
    second.add(Wheel("alpha", version="3.0").build(), Wheel("beta", version="0.5").build())
    ended = box.pipfast("install", *first.args, "--extra-index-url", second.url, "top")
    assert (ended.status, ended.err) == (0, "")
    assert {"alpha-3.0.dist-info", "beta-2.0.dist-info"} <= set(box.installed())
    # That a refusal in company is an honest one is seen once, alone.
    twice = {path for path, times in asked(server).items() if times > 1}
    assert len(twice) <= 1
    assert all(path.startswith("/b/simple/") for path in twice)


@pytest.mark.parametrize("names", [["top"], ["top", "deep", "deeper"]], ids=["one", "three"])
def test_index_that_is_dead_is_asked_as_often_as_pip_asks(box: Box, names: list[str]) -> None:
    """pip's warnings, once each, though requests were under way beside its own."""
    arguments = ["install", "--retries", "1", "--index-url", "http://127.0.0.1:9/simple/", *names]
    stock, ended = box.run("-m", "pip", *arguments), box.pipfast(*arguments)
    assert (ended.status, ended.out) == (stock.status, stock.out)
    assert _ADDRESS.sub("", ended.err) == _ADDRESS.sub("", stock.err)
