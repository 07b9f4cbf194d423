"""Wheels are kept with what they were built against, and named where that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast.rescue import wheels
from pipfast.rescue.wheels import BuiltWheel, Visible
from pipfast.store.layout import Layout, open_layout
from support.wheels import Wheel

if TYPE_CHECKING:
    from pathlib import Path

KEY = "ab" * 32
SOURCE = f"sha256:{'cd' * 32}"
TORCH = Visible("torch", "1.0", record="11" * 32)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return open_layout(tmp_path / "store")


def kept(layout: Layout, tmp_path: Path, *visible: Visible) -> BuiltWheel:
    """Keep a wheel that was built beside these."""
    archive = Wheel("needy", "1.0", files={"needy.py": ""}).build()
    path = tmp_path / archive.filename
    path.write_bytes(archive.data)
    built = wheels.keep(layout, KEY, path, "needy", SOURCE, visible)
    assert built is not None
    return built


def test_wheel_is_found_beside_the_same_only(layout: Layout, tmp_path: Path) -> None:
    """Name, version and files count, and that nothing is there besides."""
    built = kept(layout, tmp_path, TORCH)
    found = wheels.find(layout, KEY, [TORCH])
    assert found is not None and found[0] == built
    for other in (Visible("torch", "2.0", record=TORCH.record), Visible("torch", "1.0", record="22" * 32),
                  Visible("torch", "1.0")):
        assert wheels.find(layout, KEY, [other]) is None
    assert wheels.find(layout, KEY, [TORCH, Visible("sympy", "1.0", record="33" * 32)]) is None


@pytest.mark.parametrize(("visible", "named"), [
    ([TORCH], ["torch 1.0, and 2.0 is here"]),
    ([Visible("torch", "2.0"), Visible("sympy", "1.0", needed=False)], []),
    ([Visible("torch", "2.0"), Visible("setuptools", "80.0")], []),
])
def test_what_is_named_is_what_the_build_needed(
    layout: Layout, tmp_path: Path, visible: list[Visible], named: list[str]
) -> None:
    """Torch's own dependencies come and go, and so do build tools: nothing is to be built again for these."""
    built = kept(layout, tmp_path, *visible)
    there = {"needy": ("1.0", built.record), "torch": ("2.0", "44" * 32), "sympy": ("2.0", "55" * 32),
             "setuptools": ("82.0", "66" * 32)}
    assert [differences for _, differences in wheels.stale(layout, there)] == [named]


@pytest.mark.parametrize("version", ["2024.01.05", "1.0_1", "2004d"])
def test_a_version_is_kept_as_it_is_spelt(layout: Layout, tmp_path: Path, version: str) -> None:
    """As the installed metadata spells it, so that a wheel is found to be stale; also one that is no version."""
    plain = Wheel("needy", "1.0", files={"needy.py": ""}).build()
    path = tmp_path / f"needy-{version}-py3-none-any.whl"
    path.write_bytes(plain.data)
    built = wheels.keep(layout, KEY, path, "needy", SOURCE, [TORCH])
    assert built is not None and built.version == version
    there = {"needy": (version, built.record), "torch": ("2.0", "44" * 32)}
    assert [each for each, _ in wheels.stale(layout, there)] == [built]
