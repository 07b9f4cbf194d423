"""Indexes and proxies that fail, lie, or lead elsewhere."""

from __future__ import annotations

import base64
import gzip
import random
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.index import Answer, Breakage, Manners
from support.twin import pip
from support.wheels import Wheel, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.index import Index
    from support.twin import Twins
    from support.wheels import Archive

PAGE, FILE = "a/simple/leaf/", "a/files/leaf-1.0-py3-none-any.whl"
METADATA = f"{FILE}.metadata"

LARGE = 9 << 20
"""Bytes of a wheel that comes in several ranges."""


def large(name: str, seed: str = "") -> Archive:
    noise = random.Random(name + seed).randbytes(LARGE)
    return Wheel(name, files={f"{name}/__init__.py": "", f"{name}/noise.bin": noise}).build()


@pytest.fixture
def index(twins: Twins) -> Index:
    """Serve ``demo``, which needs ``other``, which needs ``leaf``: pip 23.0 takes two in an order of chance."""
    index = twins.server.index()
    return index.add(wheel("demo", "1.0", "other"), wheel("other", "1.0", "leaf"), wheel("leaf"))


def _fails(path: str, always: bool = True) -> bool | None:
    """Tell whether pip has to fail without a file; None: old ones don't ask for metadata files."""
    return None if path == METADATA else always


@pytest.mark.parametrize("path", [PAGE, METADATA, FILE], ids=["page", "metadata", "file"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_burst(twins: Twins, index: Index, status: int, path: str) -> None:
    """Refused twice in a row: where pip asks again, it gets it, and so do we."""
    twins.server.override(path, status, headers={"Retry-After": "0"}, times=2)
    twins.agree(
        pip("install", *index.args, "--retries", "3", "demo", fails=None), more_requests=True, rescued=True,
    )


@pytest.mark.parametrize("status", [429, 500, 503])
def test_refusal_without_end(twins: Twins, index: Index, status: int) -> None:
    """pip's error, in pip's words."""
    twins.server.override(PAGE, status, headers={"Retry-After": "0"})
    twins.agree(
        pip("install", *index.args, "--retries", "1", "demo", fails=True), more_requests=True, warm=False,
    )


@pytest.mark.parametrize("path", [PAGE, METADATA, FILE], ids=["page", "metadata", "file"])
@pytest.mark.parametrize("times", [1, 99])
def test_connection_that_is_dropped(twins: Twins, index: Index, path: str, times: int) -> None:
    """Before any answer."""
    twins.server.break_off(path, Breakage.DROPPED, times=times)
    twins.agree(
        pip("install", *index.args, "--retries", "2", "demo", fails=_fails(path, times > 1)),
        more_requests=True, rescued=True, warm=False,
    )


@pytest.mark.parametrize("path", [PAGE, METADATA, FILE], ids=["page", "metadata", "file"])
def test_answer_that_does_not_come_in_time(twins: Twins, index: Index, path: str) -> None:
    """Within pip's own timeout; nobody waits longer than pip does."""
    twins.server.delay(path, 3.0)
    twins.agree(
        pip("install", *index.args, "--retries", "0", "--timeout", "1", "demo", fails=_fails(path)),
        more_requests=True, rescued=True, warm=False,
    )


def test_file_that_changes_between_two_ranges(twins: Twins) -> None:
    """Each range is of another upload, under the same validator: the digest tells, and the file comes whole."""
    right, wrong = large("demo"), large("demo", "other")
    index = twins.server.index().add(right)

    def mixed(headers: Mapping[str, str]) -> Answer | None:
        if "range" not in headers:
            return None
        answer = twins.server.index("b").add(right, served=wrong.data).answer(f"files/{right.filename}", headers)
        etag = index.answer(f"files/{right.filename}", {}).headers["ETag"]
        return replace(answer, headers={**answer.headers, "ETag": etag})

    twins.server.instead(f"a/files/{right.filename}", mixed)
    twins.agree(pip("install", *index.args, "demo"), installed={"demo": "1.0"}, more_requests=True)


@pytest.mark.parametrize("surplus", [-1000, 1000], ids=["too short", "too long"])
def test_length_that_is_wrong(twins: Twins, surplus: int) -> None:
    """As pip takes it: what is cut off is resumed or refused."""
    archive = large("demo")
    index = twins.server.index(manners=Manners(ranges=False)).add(archive)
    length = str(len(archive.data) + surplus)

    def wrong(_: Mapping[str, str]) -> Answer:
        return Answer(200, archive.data, {"Content-Length": length, "Connection": "close"})

    twins.server.instead(f"a/files/{archive.filename}", wrong)
    twins.agree(
        pip("install", *index.args, "--retries", "1", "--timeout", "3", "demo", fails=None), more_requests=True,
        rescued=True, warm=False,
    )


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "nonsense"])
@pytest.mark.parametrize("path", [PAGE, METADATA, FILE], ids=["page", "metadata", "file"])
def test_encoding_that_is_a_lie(twins: Twins, index: Index, path: str, encoding: str) -> None:
    """What is called compressed and is not."""
    plain = twins.server.index("b", Manners(compressed=False)).add(wheel("leaf"))

    def lie(headers: Mapping[str, str]) -> Answer:
        answer = plain.answer(path.removeprefix("a/"), headers)
        return replace(answer, headers={**answer.headers, "Content-Encoding": encoding})

    twins.server.instead(path, lie)
    twins.agree(
        pip("install", *index.args, "--retries", "0", "demo", fails=None), more_requests=True, warm=False,
    )


def test_page_that_is_a_bomb(twins: Twins, index: Index) -> None:
    """Of 64 MB that come as some 64 kB, and are as good as any other page."""
    page = index.answer("simple/leaf/", {"accept": "text/html"})
    body = gzip.compress(page.body + b" " * (64 << 20), mtime=0)
    bomb = replace(page, body=body, headers={**page.headers, "Content-Encoding": "gzip"})
    twins.server.instead(PAGE, lambda _: bomb)
    twins.agree(pip("install", *index.args, "demo"), installed={"leaf": "1.0"})


def authorization(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("what", ["page", "metadata", "file"])
def test_credentials_do_not_follow_to_another_host(twins: Twins, what: str) -> None:
    """Neither a redirected page nor redirected files are asked for with the password of the first host."""
    index = twins.server.index(manners=Manners(credentials=("me", "sesame"))).add(wheel("demo", "1.0", "leaf"))
    index.add(wheel("leaf"))
    other = twins.server.index("b").add(wheel("leaf"))
    elsewhere = twins.server.url.replace("127.0.0.1", "localhost")
    path = {"page": PAGE, "metadata": METADATA, "file": FILE}[what]
    there = path.replace("a/", f"{elsewhere}/b/", 1)
    twins.server.instead(path, lambda _: Answer(302, b"", {"Location": there}))
    assert other.url
    twins.agree(
        pip("install", "--index-url", index.authenticated("me", "sesame"), "demo"), warm=False,
        installed={"leaf": "1.0"},
    )
    asked = twins.server.requests()
    # Old pips ask for no metadata file.
    led = any(each.path == f"/{path}" for each in asked)
    assert led is any(each.path.startswith("/b/") for each in asked) and (led or what == "metadata")
    for each in asked:
        expected = authorization("me", "sesame") if each.path.startswith("/a/") else None
        assert each.headers.get("authorization") == expected, each.path


@pytest.mark.parametrize("options", [
    ["--index-url", "http://nowhere.invalid/simple/"],
    ["--extra-index-url", "http://nowhere.invalid/simple/"],
    ["--find-links", "http://nowhere.invalid/files/"],
], ids=lambda options: options[0])
def test_name_that_is_not_known(twins: Twins, index: Index, options: list[str]) -> None:
    """No address for a host: pip's words, and pip's result."""
    twins.agree(
        pip("install", *index.args, *options, "--retries", "0", "demo", fails=None), rescued=True, warm=False,
    )


def test_file_at_a_host_that_is_not_known(twins: Twins) -> None:
    page = '<a href="http://nowhere.invalid/demo-1.0-py3-none-any.whl">demo-1.0-py3-none-any.whl</a>'
    twins.server.file("c/simple/demo/", page)
    url = f"{twins.server.url}/c/simple/"
    twins.agree(pip("install", "--index-url", url, "--retries", "0", "demo", fails=True), warm=False)


@contextmanager
def dropping_proxy() -> Iterator[str]:
    """Run a proxy that closes each connection as soon as something was asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_drops_all(twins: Twins, scheme: str) -> None:
    """pip's words."""
    with dropping_proxy() as proxy:
        url = f"{scheme}://index.invalid/simple/"
        twins.agree(
            pip("install", "--index-url", url, "--proxy", proxy, "--retries", "1", "demo", fails=True), warm=False,
        )


@pytest.mark.parametrize("path", [PAGE, METADATA, FILE], ids=["page", "metadata", "file"])
def test_proxy_that_drops_some(twins: Twins, index: Index, path: str) -> None:
    """What pip asks for again comes."""
    twins.server.break_off(path, Breakage.DROPPED, times=1)
    url = index.url.replace(twins.server.url, "http://index.invalid")
    twins.agree(
        pip("install", "--index-url", url, "--proxy", twins.server.url, "--trusted-host", "index.invalid",
            "--retries", "3", "demo"),
        installed={"demo": "1.0", "leaf": "1.0"}, more_requests=True, rescued=True, warm=False,
    )


@pytest.mark.parametrize("port", ["99999", "http", "-1"])
@pytest.mark.parametrize("what", ["index", "file"])
def test_port_that_is_none(twins: Twins, index: Index, port: str, what: str) -> None:
    """pip's error for an address that cannot be parsed, whoever looks at it first."""
    url = f"http://127.0.0.1:{port}/simple/"
    if what == "file":
        page = f'<a href="http://127.0.0.1:{port}/demo-1.0-py3-none-any.whl">demo-1.0-py3-none-any.whl</a>'
        twins.server.instead("a/simple/demo/", lambda _: Answer(200, page.encode(), {"Content-Type": "text/html"}))
        url = index.url
    twins.agree(pip("install", "--index-url", url, "--retries", "0", "leaf", "demo", fails=True), warm=False)
