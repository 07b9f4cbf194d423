"""Wheels that one machine has built are had by others of its team."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import make_box
from support.sources import archive, backend, built_with, seeing, torch
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box, Ended

pytest.importorskip("obstore")
pytestmark = pytest.mark.once

KEY = "the key of a team in tests"

PLAIN = built_with("maker", "plain", scripts={})

_PRYING = """
import os
os.makedirs("src/prying", exist_ok=True)
with open("src/prying/seen.txt", "w") as stream:
    stream.write(" ".join(name for name in os.environ if name.startswith("PIPFAST_REMOTE")))
"""

_EDITING = """
import maker, os
with open(os.path.join(os.path.dirname(maker.__file__), "maker_data.txt"), "w") as stream:
    stream.write("edited")
"""


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    """Serve an isolated source, a backend for it, and a source that must be rescued."""
    with serving() as server:
        index = server.index()
        index.add(
            backend("maker"), PLAIN, torch("1.0"), torch("2.0"),
            built_with("maker", "prying", scripts={"wheel": _PRYING}),
            built_with("maker", "editing", scripts={"wheel": _EDITING}),
            archive("needy", scripts={"requires": seeing("torch", "needy"), "wheel": seeing("torch", "needy")}),
        )
        yield index


@pytest.fixture
def team(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a machine that takes wheels from the team's store."""
    (tmp_path / "team").mkdir()
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
    third = machine(tmp_path, "other")
    ended = install(third, index, "torch==2.0", "needy", **team)
    assert "comes from the team's store" not in ended.err
    assert (third.site_packages / "needy" / "seen.txt").read_text(encoding="utf-8") == "2.0"


def test_builds_see_neither_key_nor_address(tmp_path: Path, index: Index, team: dict[str, str]) -> None:
    """They run strangers' code."""
    box = built(tmp_path, index, team, "prying")
    seen = (box.site_packages / "prying" / "seen.txt").read_text(encoding="utf-8")
    assert seen in ("", "PIPFAST_REMOTE_WRITE")


def test_what_was_built_with_something_that_changed_meanwhile_is_not_shared(
    tmp_path: Path, index: Index, team: dict[str, str]
) -> None:
    box = machine(tmp_path, "writer")
    ended = install(box, index, "editing", PIPFAST_REMOTE_WRITE="on", **team)
    assert ended.err == ""
    assert not list((tmp_path / "team").rglob("wheels/*/*/*"))


def test_required_hashes_must_name_the_source(tmp_path: Path, index: Index, team: dict[str, str]) -> None:
    """The user's hash decides, not the index's: with another one nothing is taken, and pip ends as it would."""
    built(tmp_path, index, team, "plain")
    box = machine(tmp_path, "reader")
    for digest, status in ((PLAIN.sha256, 0), ("ab" * 32, 1)):
        requirements = box.work / "requirements.txt"
        requirements.write_text(f"plain==1.0 --hash=sha256:{digest}\n", encoding="utf-8")
        ended = box.pipfast("install", *index.args, "--force-reinstall", "-r", str(requirements), **team)
        assert ended.status == status, ended.err
        assert ("comes from the team's store" in ended.err) is (status == 0)


def test_build_requirement_that_pip_would_choose_now_decides(tmp_path: Path, team: dict[str, str]) -> None:
    """With a newer backend on the index a wheel of the older one is not taken; a folder's never is."""
    with serving() as server:
        index = server.index()
        index.add(backend("maker"), PLAIN)
        built(tmp_path, index, team, "plain")
        index.add(Wheel("maker", "2.0", files={"maker.py": _source_of_backend()}).build())
        box = machine(tmp_path, "reader")
        ended = install(box, index, "plain", PIPFAST_REMOTE_WRITE="on", **team)
        assert "Building wheel for plain (" in ended.out
        assert ended.err == "pipfast: plain-1.0-py3-none-any.whl is in the team's store now\n"
        third = machine(tmp_path, "third")
        assert "comes from the team's store" in install(third, index, "plain", **team).err


def test_remote_that_is_down_changes_nothing_but_one_line(tmp_path: Path, index: Index) -> None:
    box = machine(tmp_path, "reader")
    ended = install(box, index, "plain", PIPFAST_REMOTE="http://127.0.0.1:9/team", PIPFAST_REMOTE_KEY=KEY)
    assert "Building wheel for plain (" in ended.out
    assert ended.err.startswith("pipfast: the team's store is left out: http://127.0.0.1:9/team cannot be reached")
    assert ended.err.count("pipfast: ") == 1


def test_archives_come_from_the_team(tmp_path: Path, team: dict[str, str]) -> None:
    """pip prints what it prints of a download, and the index is not asked for the file."""
    variables = {**team, "PIPFAST_REMOTE_ARCHIVES": "on"}
    with serving() as server:
        index = server.index()
        index.add(torch("1.0"))
        first = install(machine(tmp_path, "writer"), index, "torch==1.0", PIPFAST_REMOTE_WRITE="on", **variables)
        assert len(list((tmp_path / "team").rglob("archives/*/*"))) == 1
        server.rewind()
        second = install(machine(tmp_path, "reader"), index, "torch==1.0", **variables)
        asked = [request.path for request in server.requests()]
    assert (second.out, second.err) == (first.out, "")
    assert asked and not [path for path in asked if path.endswith(".whl")]


def _source_of_backend() -> str:
    with zipfile.ZipFile(io.BytesIO(backend("maker").data)) as wheel:
        return wheel.read("maker.py").decode()
