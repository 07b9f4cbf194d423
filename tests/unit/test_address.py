"""Addresses as they are shown."""

from __future__ import annotations

import json

import pytest

from pipfast.address import concealed, file_name, redacted, shown
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


MARKER = "MARKER"

ODD = [
    # What a user may write who does not escape a password.
    "https://user:pa/MARKER@host.test/team", "https://user:MARKER/ss@host.test/team",
    "https://user:1234/MARKER@host.test/team", "https://MARKER/x@host.test/team",
    "https://user:pa@MARKER@host.test/team", "https://user:pa@ss/MARKER@host.test/team",
    "https://user:pa#MARKER@host.test/team", "https://user:pa?MARKER@host.test/team",
    "https://user:pa%MARKER@host.test/team", "https://user:pa%2FMARKER@host.test/team",
    "https://user:pa'MARKER@host.test/team", 'https://user:pa"MARKER@host.test/team',
    "https://user:pa\\MARKER@host.test/team", "https://user:[MARKER]@host.test/team",
    "https://user:a/b?c#d@e%f/MARKER@host.test/team", "https://user:://MARKER@host.test/team",
    "https://MARKER:pass@host.test/team", "https://MARKER@host.test/team", "http://:MARKER@host.test:80/team",
    "s3://AKIA:wJal/MARKER+x@bucket/prefix", "az://account:MARKER==@container/prefix",
    "s3://bucket/prefix?secret_access_key=MARKER", "s3://bucket/prefix?key=a/b#MARKER", "s3://bucket?k=a?MARKER",
    "s3://bucket/prefix?key=a,MARKER", "s3://bucket/prefix?key=a;MARKER", "s3://bucket/prefix?key=a'MARKER",
    "https://host.test/simple/?token=MARKER@x", "git+https://user:pa/MARKER@host.test/a.git@v1",
    "git+https://user:MARKER@host.test/a.git@v1", "git+https://user:p@ss/MARKER@host.test/a.git",
]


@pytest.mark.parametrize("address", ODD)
def test_no_part_of_an_odd_password_is_shown(address: str) -> None:
    """Not in an address, a setting, a sentence, or a document."""
    for text in (shown(address), concealed(address), concealed(address.partition("://")[2]), redacted(address),
                 redacted(f"cannot read {address}, sorry"), redacted(f"({address})"), redacted(f"<{address}>."),
                 redacted(f"a {address!r} b"), redacted(repr([address, "x"])),
                 redacted(json.dumps({"a": address})), redacted(f"file:///a,{address}"),
                 redacted(f"-i={address} {address}")):
        assert MARKER not in text, text


def test_password_with_a_space_in_a_setting() -> None:
    address = "https://user:pa MARKER@host.test/team"
    assert concealed(address) == redacted(address) == "https://****@host.test/team"


@pytest.mark.parametrize("text", [
    "file:///home/me@work/team", "git+https://github.com/a/b.git@v1.0", "git+ssh://host:22/a.git@main",
    "git+https://github.com/a/b.git@feature/one", "https://host.test:8080/simple/", "https://host.test/a#sha256=00",
    "did you mean https://host.test/simple/?",
])
def test_address_without_a_password_is_shown_whole(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(("text", "expected"), [
    ("git+ssh://git@host:22/a.git@v1", "git+ssh://****@host:22/a.git@v1"),
    ("git+https://me:pw@gitlab.com/a/b.git@main", "git+https://****@gitlab.com/a/b.git@main"),
    ("see https://host.test:8080, or ask me@host.test", "see https://host.test:8080, or ask me@host.test"),
    ("(see https://host.test/?token=a). More", "(see https://host.test/?****). More"),
])
def test_what_is_no_password_stays(text: str, expected: str) -> None:
    assert redacted(text) == expected


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
