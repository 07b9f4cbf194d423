"""Wheels that one machine has prepared are had by others of its team, which neither unpack nor compile."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from pipfast.timeline.phases import PHASES
from support.index import Manners, serving
from support.pips import since
from support.program import make_box
from support.snapshot import compare_trees, picture, stale_bytecode
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index, Server
    from support.program import Box, Ended

pytest.importorskip("obstore")
pytestmark = [pytest.mark.many, pytest.mark.once]

UNPACKED, COMPILED, SEALED, ASKED = (PHASES[each].words for each in ("unpack", "compile", "seal", "remote"))

FULL = Wheel(
    "full", requires=["leaf"],
    files={"full/__init__.py": "def main():\n    print('full')\n", "full/deep/er/module.py": "x = 1\n",
           "full/broken.py": "x = = 1\n", "full/run.sh": "#!/bin/sh\n", "full/empty": "",
           "full_top.py": "y = 2\n"},
    data={"scripts/full-script": "#!python\nimport full\nfull.main()\n", "data/share/full/notes.txt": "notes\n",
          "purelib/full_pure.py": "z = 3\n"},
    console={"full": "full:main"}, modes={"full/run.sh": 0o755, "scripts/full-script": 0o755},
).build()
LEAF = Wheel("leaf").build()

_STANDS_IN = since("25.1", "the archive comes beside")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Serve indexes."""
    with serving() as server:
        yield server


def index_of(server: Server, **manners: bool) -> Index:
    """Return an index of two wheels; whatever an earlier test told the server is over."""
    server.clear()
    index = server.index(manners=Manners(**manners))  # type: ignore[arg-type]
    index.add(FULL, LEAF)
    return index


@pytest.fixture(scope="module")
def writer(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Path]:
    """Have a machine prepare the wheels and put them there; return what it said, and the team's folder."""
    root = tmp_path_factory.mktemp("writer")
    (root / "team").mkdir()
    ended = install(make_box(root), index_of(server), PIPFAST_REMOTE_WRITE="on", **variables(root / "team"))
    return ended, root / "team"


@pytest.fixture
def team(tmp_path: Path, writer: tuple[Ended, Path]) -> dict[str, str]:
    """Return the variables of a machine that takes prepared wheels from a team's store of its own."""
    shutil.copytree(writer[1], tmp_path / "team")
    return variables(tmp_path / "team")


def variables(folder: Path) -> dict[str, str]:
    return {"PIPFAST_REMOTE": folder.as_uri(), "PIPFAST_REMOTE_KEY": "the key of a team in tests",
            "PIPFAST_REMOTE_PREPARED": "on"}


def install(box: Box, index: Index, *arguments: str, **variables: str) -> Ended:
    """Install from the index; it succeeds."""
    variables["PIPFAST_TIMELINE"] = str(box.root / "run.html")
    ended = box.pipfast("install", *index.args, *(arguments or ("full",)), **variables)
    assert ended.status == 0, ended.err
    return ended


def done(box: Box) -> set[str]:
    """Return what the last command's processes did, in the words of its timeline."""
    events = json.loads((box.root / "run.json").read_text(encoding="utf-8"))["traceEvents"]
    return {each["name"].partition(":")[0] for each in events}


def objects(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "team").glob("v1/prepared/*/*/*"))


def downloads(server: Server) -> list[str]:
    """Return the wheels that were asked for since the server was rewound."""
    return [each.path.rpartition("/")[2] for each in server.requests() if each.path.endswith(".whl")]


@_STANDS_IN
def test_second_machine_neither_unpacks_nor_compiles(
    tmp_path: Path, server: Server, team: dict[str, str], writer: tuple[Ended, Path]
) -> None:
    """What it has is what pip alone installs, with bytecode for the sources that lie there."""
    index = index_of(server)
    first, _ = writer
    assert len(objects(tmp_path)) == 2
    stock = make_box(tmp_path / "reader")
    assert stock.pip("install", *index.args, "full").status == 0
    expected = picture(stock.root / "venv")
    # At the same path, which scripts have in them.
    stock.root.rename(tmp_path / "stock")
    box = make_box(tmp_path / "reader")
    server.rewind()
    ended = install(box, index, **team)
    assert (ended.out, ended.err) == (first.out, first.err)
    assert done(box).isdisjoint({UNPACKED, SEALED, COMPILED}) and ASKED in done(box)
    assert not downloads(server)
    assert not compare_trees(expected, picture(box.root / "venv"))
    assert not stale_bytecode(picture(box.site_packages))
    checked = box.pipfast("store", "verify")
    assert checked.status == 0 and "none damaged" in checked.out
    assert not box.leftovers()
    assert "/team (wheels, prepared wheels: read only)" in box.pipfast("doctor", **team).out
    # The second time nobody is asked, and pip's own commands find an archive of their own.
    (tmp_path / "team").rename(tmp_path / "away")
    again = install(box, index, "--force-reinstall", "full", **team)
    assert again.err == "" and done(box).isdisjoint({ASKED, UNPACKED, COMPILED}) and not downloads(server)
    assert box.pipfast("download", *index.args, "--no-deps", "full", **team).status == 0
    assert (box.work / FULL.filename).read_bytes() == FULL.data


@_STANDS_IN
def test_archive_is_fetched_where_pip_itself_installs(
    tmp_path: Path, server: Server, team: dict[str, str]
) -> None:
    """A link is in the way of a file, so that nothing of ours may write there."""
    index = index_of(server)
    box, stock = make_box(tmp_path / "reader"), make_box(tmp_path / "stock")
    for each in (box, stock):
        (each.site_packages / "full_top.py").symlink_to(each.root / "nowhere")
    server.rewind()
    ended = install(box, index, **team)
    assert ended.err == "" and downloads(server) == [FULL.filename]
    assert stock.pip("install", *index.args, "full").status == 0
    assert picture(box.site_packages).keys() == picture(stock.site_packages).keys()
    assert box.run("-c", "import full, full_top, leaf").status == 0


def test_archive_that_cannot_be_had_any_more_is_pips_error(
    tmp_path: Path, server: Server, team: dict[str, str]
) -> None:
    index = index_of(server)
    box = make_box(tmp_path / "reader")
    (box.site_packages / "leaf").mkdir()
    (box.site_packages / "leaf" / "__init__.py").symlink_to(box.root / "nowhere")
    server.override(f"a/files/{LEAF.filename}", 404, times=9)
    ended = box.pipfast("install", *index.args, "leaf", **team)
    assert ended.status == 1 and f"ERROR: {LEAF.filename} cannot be fetched: " in ended.err
    assert not (box.site_packages / "leaf-1.0.dist-info").exists()


@pytest.mark.parametrize("change", [{"PIPFAST_DISABLE": "metadata"}, {"_PIP_USE_IMPORTLIB_METADATA": "0"}])
def test_archive_comes_where_pip_itself_reads_it(
    tmp_path: Path, server: Server, team: dict[str, str], change: dict[str, str]
) -> None:
    """Nothing is unpacked or compiled all the same."""
    index = index_of(server)
    box = make_box(tmp_path / "reader")
    server.rewind()
    install(box, index, **team, **change)
    assert sorted(downloads(server)) == [FULL.filename, LEAF.filename]
    assert done(box).isdisjoint({UNPACKED, SEALED, COMPILED}) and ASKED in done(box)


@_STANDS_IN
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_required_hashes(tmp_path: Path, server: Server, team: dict[str, str], algorithm: str) -> None:
    """Of another algorithm than the index's only the archive can tell."""
    index = index_of(server)
    box = make_box(tmp_path / "reader")
    digest = hashlib.new(algorithm, LEAF.data).hexdigest()
    for each, status in ((digest, 0), ("0" * len(digest), 1)):
        (box.work / "r.txt").write_text(f"leaf==1.0 --hash={algorithm}:{each}\n", encoding="utf-8")
        server.rewind()
        ended = box.pipfast("install", *index.args, "--force-reinstall", "-r", "r.txt", **team)
        assert ended.status == status, ended.err
        assert status == 1 or bool(downloads(server)) is (algorithm == "sha512")


@pytest.mark.parametrize("manners", [{"hashes": False}, {"core_metadata": False}])
def test_wheel_that_is_needed_for_what_is_in_it(
    tmp_path: Path, server: Server, team: dict[str, str], manners: dict[str, bool]
) -> None:
    """It is asked for when the archive is here, or comes."""
    index = index_of(server, **manners)
    box = make_box(tmp_path / "reader")
    install(box, index, "leaf", **team)
    assert ASKED in done(box) and done(box).isdisjoint({UNPACKED, COMPILED})


def test_tampered_object_is_prepared_here(tmp_path: Path, server: Server, team: dict[str, str]) -> None:
    index = index_of(server)
    for path in objects(tmp_path):
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
    box = make_box(tmp_path / "reader")
    ended = install(box, index, **team)
    assert ended.err.count("pipfast: ") == 1 and "is not believed: it was altered" in ended.err
    assert {UNPACKED, COMPILED} <= done(box) and not box.leftovers()
    assert box.run("-c", "import full, leaf").status == 0


def test_machine_of_another_kind_prepares_by_itself(tmp_path: Path, server: Server, team: dict[str, str]) -> None:
    """Without the key, with other bytecode, or without the setting."""
    index = index_of(server)
    box = make_box(tmp_path / "reader")
    for change, said in (
        ({"PIPFAST_REMOTE_KEY": ""}, "without the team's key"), ({"SOURCE_DATE_EPOCH": "1"}, ""),
        ({"PYTHONOPTIMIZE": "1"}, ""), ({"PIPFAST_REMOTE_PREPARED": ""}, ""),
    ):
        store = str(tmp_path / f"store-{next(iter(change))}")
        ended = install(box, index, "--force-reinstall", "leaf", **{**team, **change, "PIPFAST_STORE": store})
        assert {UNPACKED, COMPILED} <= done(box)
        assert ended.err.count("pipfast: ") == bool(said) and said in ended.err


def test_server_that_is_down_costs_one_line(tmp_path: Path, server: Server, team: dict[str, str]) -> None:
    box = make_box(tmp_path / "reader")
    ended = install(box, index_of(server), **{**team, "PIPFAST_REMOTE": "http://127.0.0.1:9/team"})
    assert ended.err.startswith("pipfast: the team's store is left out: http://127.0.0.1:9/team cannot be reached")
    assert ended.err.count("pipfast: ") == 1
    assert {UNPACKED, COMPILED} <= done(box)
