"""Installed distributions, read from real folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipfast.rescue.installed import installed_at, modules_in, record_of

if TYPE_CHECKING:
    from pathlib import Path

RECORD = "yaml/__init__.py,sha256=aa,1\nyaml/nodes.py,sha256=bb,1\nPyYAML-1.0.dist-info/RECORD,,\n"


def install(site: Path, name: str, version: str, record: str | None = RECORD) -> None:
    """Write the metadata of an installed distribution."""
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (folder / "METADATA").write_text(metadata, encoding="utf-8")
    if record is not None:
        (folder / "RECORD").write_text(record, encoding="utf-8")


def test_the_first_of_a_name_is_the_one_that_is_imported(tmp_path: Path) -> None:
    """However it is spelt."""
    install(tmp_path / "first", "PyYAML", "1.0")
    install(tmp_path / "second", "pyyaml", "2.0")
    there = installed_at([str(tmp_path / "first"), str(tmp_path / "second")])
    assert {name: each.version for name, each in there.items()} == {"pyyaml": "1.0"}


def test_modules_and_record_are_the_distributions_own(tmp_path: Path) -> None:
    """One without a record brings nothing that is known, and is like no other."""
    install(tmp_path, "PyYAML", "1.0")
    install(tmp_path, "bare", "1.0", None)
    there = installed_at([str(tmp_path)])
    assert modules_in(there["pyyaml"]) == {"yaml"}
    assert modules_in(there["bare"]) == frozenset()
    assert record_of(there["pyyaml"]) != record_of(there["bare"])
