"""Addresses as they are shown."""

from __future__ import annotations

import pytest

from pipfast.address import file_name, redacted, shown
from pipfast.fetch.errors import DownloadCancelled, TruncatedBody, UnsafeName

SIGNED = "https://me:secret@host.test:8443/files/a-1.0.whl?X-Token=secret&b=/c#sha256=0"


@pytest.mark.parametrize(("url", "expected"), [
    (SIGNED, "https://host.test:8443/files/a-1.0.whl"),
    ("https://host.test/a-1.0.whl", "https://host.test/a-1.0.whl"),
    ("file:///a%20b.whl?x", "file:///a%20b.whl"),
    ("https://[secret/a.whl", "an address"),
])
def test_nothing_secret_is_shown(url: str, expected: str) -> None:
    assert shown(url) == expected


def test_a_query_is_no_file_name() -> None:
    assert file_name(SIGNED) == "a-1.0.whl"


@pytest.mark.parametrize("error", [
    TruncatedBody(SIGNED, 1, 2), UnsafeName(SIGNED, "../x"), DownloadCancelled(SIGNED),
], ids=lambda error: type(error).__name__)
def test_errors_keep_secrets_to_themselves(error: Exception) -> None:
    """Also where a debug log writes them as they are."""
    assert "secret" not in f"{error} {error!r}"


@pytest.mark.parametrize(("text", "expected"), [
    ("see https://me:a@b@h.test/x, git+ssh://me@h.test/y", "see https://****@h.test/x, git+ssh://****@h.test/y"),
    ('{"a": ["torch @ https://h.test/a.whl?token=secret"]}', '{"a": ["torch @ https://h.test/a.whl?****"]}'),
    ("no address: me@host?", "no address: me@host?"),
])
def test_redacted_texts(text: str, expected: str) -> None:
    assert redacted(text) == expected
