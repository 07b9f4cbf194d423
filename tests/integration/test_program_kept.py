"""A store and an environment that older code has made, as they were on disk.

``kept/`` has both for each format of the store that was ever in use, named for it, with hard links between them.
After a change of the format this makes the next one; those that are there are never made again::

    cd tests && python -c 'from integration.test_program_kept import make; make()'
"""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from pipfast.index.pages import find_table
from pipfast.rescue import learnt
from pipfast.rescue.diagnosis.causes import MissingModule
from pipfast.rescue.learnt import recall
from pipfast.rescue.wheels import all_built, find
from pipfast.store.archives import find_archive, is_sound
from pipfast.store.layout import Layout, open_layout
from pipfast.store.names import ARCHIVES, BUCKETS, BUILT, BYTECODE, LEARNT, OUTDATED, PAGES, TREES
from pipfast.upkeep.verify import verify
from support.index import serving
from support.program import make_box
from support.sources import archive, seeing
from support.stores import preparing
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.program import Box

KEPT = sorted((Path(__file__).parent / "kept").glob("*.tar.gz"))
NAME = f"{ARCHIVES}_{TREES}_{BYTECODE}.tar.gz"
WHEEL = Wheel("kept", files={"kept/__init__.py": "x = 1\n", "kept/data.txt": "data\n"},
              console={"kept": "kept:x"}).build()


def make() -> None:
    """Make the store and the environment of the present format with the present code."""
    base = Path(tempfile.mkdtemp())
    box = make_box(base)
    with serving() as server:
        index = server.index()
        index.add(WHEEL, Wheel("torch").build(), archive("needy", scripts={"wheel": seeing("torch", "needy")}))
        ended = box.pipfast("install", *index.args, "torch", "kept", "needy", PIPFAST_DISABLE="program",
                            PIPFAST_LINK_MODE="hardlink")
    assert ended.status == 0, ended.err
    (base / "store" / "boots").unlink(missing_ok=True)

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(Path(__file__).parent / "kept" / NAME, "x:gz") as file:
        file.add(base / "store", "store", filter=plain)
        for path in sorted(box.site_packages.glob("[kn]e*")):
            file.add(path, f"site-packages/{path.name}", filter=plain)
        file.add(box.python.with_name("kept"), "bin/kept", filter=plain)


@pytest.fixture(params=KEPT, ids=lambda path: path.name.removesuffix(".tar.gz"))
def kept(request: pytest.FixtureRequest, box: Box) -> Box:
    """Return an environment and a store with what older code has put there."""
    with tarfile.open(request.param) as file:
        # The archive is our own; owners and modes are those of the store.
        file.extraction_filter = tarfile.fully_trusted_filter
        file.extractall(box.root)
    for path in [*(box.root / "site-packages").iterdir(), box.root / "bin" / "kept"]:
        path.rename((box.site_packages if path.parent.name == "site-packages" else box.python.parent) / path.name)
    return box


def test_there_is_one_of_the_present_format() -> None:
    """After a change of the format: run ``make``, see above."""
    assert NAME in [path.name for path in KEPT]


def test_store_is_used_or_passed_over(kept: Box) -> None:
    """A bucket of the present format is read; one of an older format is left alone until somebody prunes."""
    root, digest = kept.store, WHEEL.sha256
    before = {path.name: {each for each in path.rglob("*") if each.is_file()} for path in root.glob("*-v*")}
    assert all(before[bucket] for bucket in NAME.removesuffix(".tar.gz").split("_") if bucket in before)
    layout = open_layout(root)
    assert [each.reason for each in verify(layout).damages] == []
    if ARCHIVES in before:
        found = find_archive(layout, digest)
        assert found is not None and is_sound(layout, found) and found.name == WHEEL.filename
        path = found.path
    else:
        path = root.parent / WHEEL.filename
        path.write_bytes(WHEEL.data)
    tree = layout.tree(digest, 0o022)
    inode = tree.stat().st_ino if TREES in before else None
    with preparing(layout) as preparer:
        prepared = preparer.wait(digest, path)
    assert prepared is not None and prepared.tree == tree and prepared.bytecode is not None
    assert inode in (None, tree.stat().st_ino)
    if BUILT in before:
        assert [each.name for each in all_built(layout)] == ["needy"]
    for bucket in set(before) - set(BUCKETS):
        assert {each for each in (root / bucket).rglob("*") if each.is_file()} == before[bucket]
        assert bucket in OUTDATED


def test_notes_of_rescues_and_pages_are_read(kept: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the present formats: they are lost without a word otherwise, and made again at the cost of time."""
    layout = open_layout(kept.store)
    keys = {bucket: [path.name for path in (kept.store / bucket).glob("*/*")] for bucket in (PAGES, LEARNT, BUILT)}
    tables = [find_table(layout, key) for key in keys[PAGES]]
    assert [table and (table.versions, len(table.files)) for table in tables] == [(("1.0",), 1)] * len(tables)
    # What a build misses depends on the interpreter.
    monkeypatch.setattr(learnt, "sys", SimpleNamespace(
        implementation=SimpleNamespace(cache_tag="cpython-311"), platform="linux",
    ))
    built = list(all_built(layout))
    assert len(built) == len(keys[BUILT])
    for wheel, key in zip(built, keys[BUILT], strict=True):
        if keys[LEARNT]:
            assert recall(layout, wheel.source) == (MissingModule("torch"),)
        found = find(layout, key, wheel.visible)
        assert found is not None and found[0] == wheel and found[1].name == wheel.filename


@pytest.mark.once
def test_environment_is_known_and_can_be_changed(kept: Box) -> None:
    """What is installed is installed again from the store, and removed without a rest."""
    before = json.loads(kept.pipfast("store", "info", "--json").out)["buckets"].keys()
    assert set(BUCKETS) == set(before)
    listed = kept.pipfast("list", "--format=freeze").out
    assert {"kept==1.0", "needy==1.0"} <= set(listed.split())
    other = kept.site_packages / "torch-2.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.0\n", encoding="utf-8")
    stale = json.loads(kept.pipfast("doctor", "--json").out)["built_against_something_else"]
    assert len(stale) == 1 and re.match("needy.* torch 1.0.* 2.0", stale[0])
    (kept.work / WHEEL.filename).write_bytes(WHEEL.data)
    ended = kept.pipfast("install", "--force-reinstall", "--no-index", f"./{WHEEL.filename}")
    assert (ended.status, ended.err) == (0, "")
    ended = kept.pipfast("uninstall", "-y", "kept", "needy")
    assert (ended.status, ended.err) == (0, "")
    assert not list(kept.site_packages.glob("[kn]e*")) and not kept.python.with_name("kept").exists()
    assert [each.reason for each in verify(Layout(kept.store)).damages] == []
