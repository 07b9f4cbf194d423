"""A team's folder, and a machine that has nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast import report
from pipfast.store.layout import Layout, open_layout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def address(tmp_path: Path) -> str:
    (tmp_path / "team").mkdir()
    return f"file://{tmp_path}/team"


@pytest.fixture
def reader(tmp_path: Path) -> Layout:
    """Return the store of a machine that has nothing."""
    return open_layout(tmp_path / "reader")


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_said", set())
