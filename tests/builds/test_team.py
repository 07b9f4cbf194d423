"""Wheels that one machine has built are had by others of its team."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import make_box
from support.sources import archive, backend, built_with, seeing, torch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box, Ended

pytest.importorskip("obstore")
pytestmark = pytest.mark.once

KEY = "the key of a team in tests"


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    """Serve an isolated source, a backend for it, and a source that must be rescued."""
    with serving() as server:
        index = server.index()
        index.add(
            backend("maker"), built_with("maker", "plain", scripts={}), torch("1.0"), torch("2.0"),
            archive("needy", scripts={"requires": seeing("torch", "needy"), "wheel": seeing("torch", "needy")}),
        )
        yield index


@pytest.fixture
def team(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a machine that takes wheels from the team's store."""
    return {"PIPFAST_REMOTE": f"file://{tmp_path}/team", "PIPFAST_REMOTE_KEY": KEY}


def machine(tmp_path: Path, name: str) -> Box:
    """Return a machine of the team: nothing of another one's store, cache or home."""
    return make_box(tmp_path / name)


def install(box: Box, index: Index, *arguments: str, **variables: str) -> Ended:
    """Install from the index; it succeeds."""
    ended = box.pipfast("install", *index.args, *arguments, **variables)
    assert ended.status == 0, ended.err
    return ended


def built(tmp_path: Path, index: Index, team: dict[str, str], *arguments: str) -> Box:
    """Have a machine build and put its wheel into the team's store."""
    box = machine(tmp_path, "writer")
    ended = install(box, index, *arguments, PIPFAST_REMOTE_WRITE="on", **team)
    assert "is in the team's store now" in ended.err
    return box


def test_second_machine_has_the_wheel_of_an_isolated_build(
    tmp_path: Path, index: Index, team: dict[str, str]
) -> None:
    """Nothing is built or fetched: pip prints what it prints of a wheel in its cache, and we one line."""
    first = built(tmp_path, index, team, "plain")
    again = first.pipfast("install", *index.args, "--force-reinstall", "--no-deps", "plain")
    second = machine(tmp_path, "reader")
    ended = install(second, index, "plain", **team)
    assert ended.out == again.out.replace("  Attempting uninstall: plain\n", "").replace(
        "    Found existing installation: plain 1.0\n    Uninstalling plain-1.0:\n"
        "      Successfully uninstalled plain-1.0\n", "")
    assert ended.err.startswith("pipfast: plain 1.0 comes from the team's store (built on ")
    assert ended.err.count("\n") == 1


def test_second_machine_has_the_wheel_of_a_rescued_build(
    tmp_path: Path, index: Index, team: dict[str, str]
) -> None:
    built(tmp_path, index, team, "torch==1.0", "needy")
    second = machine(tmp_path, "reader")
    ended = install(second, index, "torch==1.0", "needy", **team)
    assert "Building wheel for needy (" not in ended.out
    assert ended.err.startswith("pipfast: needy 1.0 comes from the team's store (built on ")
    assert ended.err.count("\n") == 1
    third = replace(machine(tmp_path, "other"))
    ended = install(third, index, "torch==2.0", "needy", **team)
    assert "comes from the team's store" not in ended.err
    assert (third.site_packages / "needy" / "seen.txt").read_text(encoding="utf-8") == "2.0"
