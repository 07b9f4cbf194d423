from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.stores import new_store

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return new_store(tmp_path / "store")
