"""Sources that want the machine for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast.builds.native import has_native_code, is_hungry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", [
    "src/x/_speed.c", "x.CPP", "kernels/k.cu", "x.pyx", "src/lib.rs", "CMakeLists.txt", "meson.build",
    "Cargo.toml", "include/x.h", "configure",
])
def test_sources_for_a_compiler(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    assert has_native_code(str(tmp_path))


@pytest.mark.parametrize("name", ["src/x/__init__.py", "setup.py", "c", "x.c.txt", "docs/h", "py.typed", "x.pyi"])
def test_pure_python(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    assert not has_native_code(str(tmp_path))


@pytest.mark.parametrize(("name", "hungry"), [("x.cpp", True), ("k/X.CU", True), ("lib.rs", True), ("x.c", False)])
def test_sources_for_a_large_compiler(tmp_path: Path, name: str, hungry: bool) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    assert is_hungry(str(tmp_path)) is hungry
