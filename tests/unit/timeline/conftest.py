"""A run whose events are made by hand."""

from __future__ import annotations

import pytest

from support.told import Told


@pytest.fixture
def told() -> Told:
    return Told()
