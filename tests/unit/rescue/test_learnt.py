"""A source's next build knows what the last one missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast.rescue.diagnosis.causes import MissingDistribution, MissingModule, NeedsOlderSetuptools
from pipfast.rescue.learnt import forget, recall, remember, source_key
from pipfast.store.layout import Layout, open_layout
from pipfast.store.names import LEARNT
from pipfast.store.notes import write_note

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "sha256:" + "ab" * 32


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return open_layout(tmp_path / "store")


def test_causes_come_back_in_their_order(layout: Layout) -> None:
    """Who was trusted is not kept: that is another run's."""
    remember(layout, SOURCE, [
        MissingModule("torch"), MissingModule("hatchling", backend=True),
        MissingDistribution("wheel"), MissingDistribution("numpy>=1", "scipy"),
        NeedsOlderSetuptools("pkg_resources", "82"),
    ])
    assert recall(layout, SOURCE) == (
        MissingModule("torch"), MissingModule("hatchling", backend=True),
        MissingDistribution("wheel"), MissingDistribution("numpy>=1", "scipy"),
        NeedsOlderSetuptools("pkg_resources", "82"),
    )


def test_sources_are_told_apart(layout: Layout) -> None:
    remember(layout, SOURCE, [MissingModule("torch")])
    assert recall(layout, "sha256:" + "cd" * 32) == ()
    assert recall(layout, "git+https://host/repository@0123#subdirectory=a") == ()


def test_the_later_build_replaces_the_earlier(layout: Layout) -> None:
    remember(layout, SOURCE, [MissingModule("torch")])
    remember(layout, SOURCE, [MissingModule("numpy")])
    assert [cause.subject for cause in recall(layout, SOURCE)] == ["numpy"]
    forget(layout, SOURCE)
    assert recall(layout, SOURCE) == ()


@pytest.mark.parametrize(
    "payload",
    [b"{}", b"[1]", b"not json", b"\xff", b'[{"missing": "module"}]', b'[{"missing": "other"}]',
     b'[{"missing": "module", "module": 3, "backend": false}]', b"[" + b"[]," * 40 + b"[]]"],
)
def test_a_damaged_note_is_thrown_away(layout: Layout, payload: bytes) -> None:
    """Nothing was learnt then, and the next note is not in its way."""
    write_note(layout, LEARNT, source_key(SOURCE), payload)
    assert recall(layout, SOURCE) == ()
    assert not list((layout.root / LEARNT).glob("*/*"))
    remember(layout, SOURCE, [MissingModule("torch")])
    assert len(recall(layout, SOURCE)) == 1


def test_nothing_learnt_is_nothing_kept(layout: Layout) -> None:
    remember(layout, SOURCE, [])
    assert not list(layout.root.glob(f"{LEARNT}/*/*"))
