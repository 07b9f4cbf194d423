"""Certificate authorities are read at the first connection."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pip._vendor import certifi

from pipfast_hooks.call import Call
from pipfast_hooks.startup.certificates import _around_create_context

if TYPE_CHECKING:
    from pathlib import Path

truststore = pytest.importorskip("pip._vendor.truststore")


def made(cafile: str | None = None) -> Any:
    def stock() -> Any:
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile or certifi.where())
        return context

    before = truststore.SSLContext
    context = _around_create_context(Call(stock, None, (), {}, {}))
    assert truststore.SSLContext is before
    assert isinstance(context, before)
    return context


def count(context: Any) -> int:
    return int(context._ctx.cert_store_stats()["x509_ca"])


@pytest.fixture
def authorities() -> int:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    return count(context)


@pytest.mark.parametrize("use", [
    lambda context: context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost"),
    lambda context: context.load_verify_locations(certifi.where()), lambda context: context.load_default_certs(),
], ids=["connection", "further", "default"])
def test_they_are_there_for_what_uses_them(authorities: int, use: Any) -> None:
    context = made()
    assert count(context) == 0
    use(context)
    assert count(context) >= authorities > 0


def test_many_connections_at_once_wait_for_them(authorities: int) -> None:
    context = made()
    seen: list[int] = []

    def connect() -> None:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
        seen.append(count(context))

    threads = [threading.Thread(target=connect) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(each >= authorities for each in seen)
    assert len(seen) == 8


def test_what_cannot_be_read_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        made(str(tmp_path / "missing.pem"))
    (tmp_path / "folder.pem").mkdir()
    with pytest.raises(OSError):
        made(str(tmp_path / "folder.pem"))


def test_a_bundle_that_is_none_stays_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate", encoding="utf-8")
    context = made(str(tmp_path / "bad.pem"))
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")


def test_settings_reach_the_context() -> None:
    context = made()
    context.verify_mode = ssl.CERT_OPTIONAL
    context.check_hostname = False
    assert (context._ctx.verify_mode, context._ctx.check_hostname) == (ssl.CERT_OPTIONAL, False)
