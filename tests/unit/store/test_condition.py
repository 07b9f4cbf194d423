"""Stores in which nothing new can be kept."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from pipfast.store import archives, urls
from pipfast.store.condition import find_condition, take_refusal
from pipfast.store.layout import Layout, open_layout
from pipfast.store.names import PAGES
from pipfast.store.notes import write_note

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _add(layout: Layout, source: Path) -> None:
    archives.add_archive(layout, source, "0" * 64, source.name, move=True)


def _note(layout: Layout, source: Path) -> None:
    write_note(layout, PAGES, "0" * 64, b"")


def _address(layout: Layout, source: Path) -> None:
    urls.note_url(layout, "https://somewhere.example/", "0" * 64, urls.Origin(kept=True, sized=True))


@pytest.mark.parametrize("keep", [_add, _note, _address])
@pytest.mark.parametrize("number, how", [
    (errno.ENOSPC, "is on a filesystem that is full"), (errno.EDQUOT, "is on a filesystem that is full"),
    (errno.EROFS, "is read-only"), (errno.EIO, ""),
])
def test_refusal_is_noted_wherever_something_is_kept(
    keep: Callable[[Layout, Path], None], number: int, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And taken once; what a store cannot help is none."""
    layout = open_layout(tmp_path / "store")
    source = tmp_path / "a-1-py3-none-any.whl"
    source.write_bytes(b"")

    def refuse(self: Layout, suffix: str = "") -> Path:
        raise OSError(number, "as the filesystem says")

    monkeypatch.setattr(Layout, "new_path", refuse)
    keep(layout, source)
    found = take_refusal(layout)
    assert (found.how if found else "") == how
    assert take_refusal(layout) is None


def test_hint_mends_what_is_wrong(tmp_path: Path) -> None:
    """Room does not make a store writable; nor is any folder proposed that others can foresee."""
    for number, begins in ((errno.ENOSPC, "make room"), (errno.EROFS, "make it writable")):
        layout = Layout(tmp_path)
        layout.note_refusal(number)
        found = take_refusal(layout)
        assert found is not None and found.hint == f"{begins}, or export PIPFAST_STORE=/path/to/a/folder/of/yours"


def test_nothing_is_wrong(tmp_path: Path) -> None:
    assert find_condition(open_layout(tmp_path / "store").root) is None
