"""METADATA headers: as the email package reads them, or left to it."""

from __future__ import annotations

import email
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipfast.wheel.metadata import NAMES, read_header

if TYPE_CHECKING:
    from pipfast.wheel.metadata import Header

PLAIN = """\
Metadata-Version: 2.4
Name: Demo
Version: 1.0
Summary: one
  that is folded
Requires-Python: >=3.8
Requires-Dist: a>1
requires-dist:b ; extra == "x"
Provides-Extra: x
Author: M\u00fcller

Requires-Dist: body
"""

ODD = {
    "folded requirement": "Name: a\nRequires-Dist: b\n ; extra == 'x'\n",
    "carriage return": "Name: a\rVersion: 1\n",
    "not ascii": "Name: \u00e4\n",
    "form feed": "Name: a\x0cb\n",
    "line separator": "Name: a\x1cb\n",
    "no field": "Name: a\nnothing\nVersion: 1\n",
    "from line": "From me\nName: a\n",
    "space before the colon": "Name : a\n",
    "blank first": "\nName: a\n",
}


def agrees(text: str, header: Header) -> None:
    message = email.message_from_string(text)
    for name in NAMES:
        assert header.fields[name] == message.get_all(name, []), name


def test_a_plain_header_is_read() -> None:
    header = read_header(PLAIN)
    assert header is not None
    agrees(PLAIN, header)
    assert header.first("name") == "Demo"
    assert header.requires == ["a>1", 'b ; extra == "x"']
    assert header.first("metadata-version") == "2.4"


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_an_odd_header_is_left_to_the_email_package(text: str) -> None:
    assert read_header(text) is None


LINES = st.lists(st.one_of(
    st.sampled_from(["Name: a", "Version:1", "", " folded", "\tfolded", "Requires-Dist: b;extra=='x' ", "x",
                     "From x", ": y", "Requires-Dist:", "Content-Type: multipart/mixed; boundary=x", "--x"]),
    st.text("aN: \t\r\x0b\x85\u2028-", max_size=9),
), max_size=8)


@given(LINES)
def test_nothing_is_read_otherwise_than_by_the_email_package(lines: list[str]) -> None:
    text = "\n".join(lines)
    header = read_header(text)
    if header is not None:
        agrees(text, header)
