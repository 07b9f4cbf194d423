"""Servers that answer an early request badly: pip asks again."""

from __future__ import annotations

import base64
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.pips import IN_ORDER
from support.poor import NAMES, PoorServer, kind_of
from support.twin import pip

if TYPE_CHECKING:
    from email.message import Message

    from support.twin import Twins

pytestmark = [pytest.mark.many, pytest.mark.once]

WHO = {"WWW-Authenticate": 'Basic realm="tests"'}


def is_of(path: str, kind: str, name: str = "alpha") -> bool:
    return name in path and kind_of(path) == kind


class Private:
    """Of one project, something that wants a password."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, path: str, headers: Message) -> tuple[int, dict[str, str]] | None:
        right = headers["Authorization"] == f"Basic {base64.b64encode(b'me:sesame').decode()}"
        return (401, WHO) if is_of(path, self.kind) and not right else None


class Resting:
    """Of one project, something that is to be asked for again after a second, and not before."""

    def __init__(self, kind: str, status: int) -> None:
        self.kind, self.status = kind, status
        self.until = 0.0

    def __call__(self, path: str, headers: Message) -> tuple[int, dict[str, str]] | None:
        if not is_of(path, self.kind):
            return None
        self.until = self.until or time.monotonic() + 0.9
        return (self.status, {"Retry-After": "1"}) if time.monotonic() < self.until else None


def agree(
    twins: Twins,
    server: PoorServer,
    *args: str,
    command: str = "install",
    fails: bool = False,
    manner: Resting | None = None,
) -> tuple[Counter[str], Counter[str]]:
    """Install with both; return what each has asked for."""
    asked: list[Counter[str]] = []

    def prepare(_: object) -> None:
        if asked:
            asked[-1] += Counter(server.asked)
        server.asked.clear()
        asked.append(Counter())
        if manner is not None:
            manner.until = 0.0

    twins.agree(
        pip(command, "--no-input", *args, "top", fails=fails),
        warm=False,
        prepare=prepare,
        environ=IN_ORDER,
        installed=None if fails else dict.fromkeys(("top", *NAMES), "1.0"),
    )
    stock, ours = asked
    return stock, ours + Counter(server.asked)


@pytest.mark.parametrize(
    ("kind", "password"), [("page", ""), ("metadata", ""), ("archive", ""), ("page", "wrong")]
)
def test_refusal_of_a_stranger(twins: Twins, kind: str, password: str) -> None:
    """Nobody is asked for a password: the refusal is pip's, with the requests that pip makes."""
    with PoorServer(instead=Private(kind)) as server:
        url = server.url.replace("://", f"://me:{password}@") if password else server.url
        stock, ours = agree(twins, server, "--index-url", url, fails=True)
        path = next(path for path in stock if is_of(path, kind))
        # It is asked for again where others were under way: of those it may have been too many.
        assert ours[path] - stock[path] in (0, 1)


@pytest.mark.parametrize("kind", ["page", "metadata"])
def test_refusal_that_is_pips_first(twins: Twins, kind: str) -> None:
    """With nothing else under way pip would have got the same, and nobody sends it again."""
    with PoorServer(names=NAMES[:1], instead=Private(kind)) as server:
        stock, ours = agree(twins, server, "--index-url", server.url, command="download", fails=True)
        assert not ours - stock


@pytest.mark.parametrize(("kind", "by"), [("page", "netrc"), ("metadata", "address"), ("archive", "netrc")])
def test_password_that_is_known(twins: Twins, kind: str, by: str) -> None:
    """It is sent at once, as pip does."""
    with PoorServer(instead=Private(kind)) as server:
        url = server.url
        if by == "address":
            url = url.replace("://", "://me:sesame@")
        else:
            twins.write({".netrc": "machine 127.0.0.1 login me password sesame\n"}, under="home")
            (twins.inputs / "home/.netrc").chmod(0o600)
        stock, ours = agree(twins, server, "--index-url", url)
        assert not ours - stock


@pytest.mark.parametrize(
    ("kind", "status"), [("page", 429), ("metadata", 429), ("archive", 429), ("page", 503)]
)
def test_rest_that_a_server_wants(twins: Twins, kind: str, status: int) -> None:
    """pip waits as long as it was told, and asks once more: so does pipfast, whoever was told."""
    manner = Resting(kind, status)
    with PoorServer(instead=manner) as server:
        stock, ours = agree(twins, server, "--index-url", server.url, manner=manner)
        path = next(path for path in stock if is_of(path, kind))
        assert ours[path] <= stock[path]
        assert stock[path] > 1


def test_one_archive_at_a_time(twins: Twins) -> None:
    """What waits for its turn is no refusal, and nothing is asked for twice."""
    with PoorServer(serial=True) as server:
        stock, ours = agree(twins, server, "--index-url", server.url)
        assert not ours - stock
