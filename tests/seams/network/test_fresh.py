"""Pages of pip's cache stay compressed where their content is known."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pip._internal.index import collector

from pipfast.store.layout import Nowhere, open_layout
from pipfast_hooks.network import fresh as compressed

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""Old pips on new Pythons."""

CONTENT = b'{"files": []}' * 50
DIGEST = hashlib.sha256(CONTENT).digest()
STORED = gzip.compress(CONTENT, mtime=0)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return open_layout(tmp_path / "store")


def response(stored: bytes = STORED, encoding: str = "gzip") -> Any:
    raw = SimpleNamespace(read=lambda decode_content: io.BytesIO(stored).read())
    return SimpleNamespace(headers={"Content-Encoding": encoding}, raw=raw)


def page(content: bytes | None) -> Any:
    """Return this pip's page, which nobody may change from 24.1 on."""
    kind = getattr(collector, "IndexContent", None) or collector.HTMLPage
    return kind(content, "application/vnd.pypi.simple.v1+json", None, "https://index.test/", True)


def accepted_page() -> Any:
    with compressed.accepted():
        return page(compressed.content_of(response()))


def test_only_who_can_do_with_it_gets_a_compressed_page() -> None:
    assert compressed.content_of(response()) == CONTENT
    with compressed.accepted():
        content = compressed.content_of(response())
    assert isinstance(content, compressed.Compressed)
    assert compressed.content_of(response()) == CONTENT
    assert compressed.content_of(response(encoding="br")) is None


def test_content_is_inflated_once(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time its digest is known; whoever needs the content has it all the same."""
    assert compressed.digest_of(layout, accepted_page()) == DIGEST
    assert compressed.inflated(accepted_page()).content == CONTENT
    monkeypatch.setattr(compressed, "_inflate", lambda stored: pytest.fail("inflated again"))
    assert compressed.digest_of(layout, accepted_page()) == DIGEST
    assert compressed.digest_of(Nowhere(), page(CONTENT)) == DIGEST
    whole = page(CONTENT)
    assert compressed.inflated(whole) is whole


@pytest.mark.parametrize("damage", [b"", STORED, b"pipfast-note-1 short"], ids=["empty", "a page", "short"])
def test_damaged_digest_is_made_again(layout: Layout, damage: bytes) -> None:
    compressed.digest_of(layout, accepted_page())
    (entry,) = layout.root.glob("pages-v*/*/*")
    entry.write_bytes(damage)
    assert compressed.digest_of(layout, accepted_page()) == DIGEST
    assert compressed.digest_of(layout, accepted_page()) == DIGEST


def test_without_a_store_it_is_inflated(layout: Layout) -> None:
    assert compressed.digest_of(Nowhere(), accepted_page()) == DIGEST
    assert not list(layout.root.glob("pages-v*/*/*"))


@pytest.mark.parametrize("stored", [b"", STORED[:-9], STORED + b"more", b"no gzip"],
                         ids=["empty", "cut off", "more", "no gzip"])
def test_damaged_page_is_nobodys(layout: Layout, stored: bytes) -> None:
    """Found out when it is needed, whoever needs it: the request is pip's then."""
    with pytest.raises(zlib.error):
        compressed.content_of(response(stored))
    with compressed.accepted():
        odd = page(compressed.content_of(response(stored)))
    with pytest.raises(zlib.error):
        compressed.digest_of(layout, odd)
    with pytest.raises(zlib.error):
        compressed.inflated(odd)
    assert not list(layout.root.glob("pages-v*/*/*"))
