"""Prune, purge, verify, and the inventory that they use."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from pipfast.prepare.bytecode import current_kind
from pipfast.store.archives import find_archive
from pipfast.store.layout import Layout
from pipfast.store.names import ARCHIVES, BYTECODE, TMP, TREES
from pipfast.store.urls import Origin, note_url
from pipfast.upkeep import maintenance
from pipfast.upkeep.inventory import Usage, entries, leftovers
from pipfast.upkeep.verify import verify
from support import stores
from support.stores import dead_session, keep, prepare
from support.wheels import Wheel, wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path



def age(path: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def test_leftovers_of_the_dead_go_those_of_the_living_stay(layout: Layout) -> None:
    left, held = dead_session(layout), layout.new_staging()
    (layout.root / TMP / left / "file").write_text("x")
    freed = maintenance.prune(layout)
    assert list((layout.root / TMP).iterdir()) == [held]
    assert (freed.leftovers, freed.in_use) == (1, 1) and freed.bytes > 0
    assert not leftovers(layout)
    held.rmdir()


def test_only_what_has_a_name_of_ours_is_a_leftover(layout: Layout) -> None:
    for name in ("notes.txt", "4711", "4711-mine", "a-0123456789abcdef"):
        (layout.root / TMP / name).mkdir()
        age(layout.root / TMP / name, 30)
    freed = maintenance.prune(layout)
    layout.sweep()
    assert (freed.leftovers, freed.in_use) == (0, 0)
    assert len(list((layout.root / TMP).iterdir())) == 4


def test_prune_without_options_keeps_what_can_be_used(layout: Layout, tmp_path: Path) -> None:
    one, two = wheel("one"), wheel("two")
    prepare(layout, one, tmp_path)
    prepared = prepare(layout, two, tmp_path)
    layout.discard(prepared.tree)
    freed = maintenance.prune(layout)
    assert (freed.entries, freed.orphans) == (0, 1)
    assert prepared.bytecode is not None and not prepared.bytecode.exists()
    assert len(list(entries(layout))) == 4
    assert maintenance.prune(layout).orphans == 0


def test_prune_and_purge_take_other_versions_away(layout: Layout) -> None:
    for remove in (maintenance.prune, maintenance.purge):
        for bucket in ("trees-v0", "bytecode-v0"):
            (layout.root / bucket / "ab").mkdir(parents=True)
            (layout.root / bucket / "ab" / "file").write_text("x" * 10_000)
        assert remove(layout).bytes >= 20_000
        assert not list(layout.root.glob("*-v0/ab"))
    assert not layout.root.exists()


def test_prune_takes_the_least_recently_used_first(layout: Layout, tmp_path: Path) -> None:
    for number in range(4):
        path = keep(layout, wheel(f"demo{number}"), tmp_path)
        age(path.parent, 10 - number)
    sizes = Usage()
    for entry in entries(layout):
        sizes.add(entry.path)
    maintenance.prune(layout, max_size=sizes.bytes // 2)
    # Asked for through the inventory: looking for an archive would note a use.
    left = {entry.digest for entry in entries(layout)}
    assert left == {wheel("demo2").sha256, wheel("demo3").sha256}


def test_prune_by_age(layout: Layout, tmp_path: Path) -> None:
    old, new = keep(layout, wheel("old"), tmp_path), keep(layout, wheel("new"), tmp_path)
    age(old.parent, 31)
    age(new.parent, 29)
    maintenance.prune(layout, older_than=30 * 86_400)
    assert not old.exists() and new.exists()


def test_use_keeps_an_entry(layout: Layout, tmp_path: Path) -> None:
    path = keep(layout, wheel("demo"), tmp_path)
    age(path.parent, 31)
    assert find_archive(layout, wheel("demo").sha256) is not None
    maintenance.prune(layout, older_than=30 * 86_400)
    assert path.exists()


def test_prune_to_nothing_takes_bytecode_with_its_tree(layout: Layout, tmp_path: Path) -> None:
    prepare(layout, wheel("demo"), tmp_path)
    maintenance.prune(layout, max_size=0)
    assert not list(entries(layout)) and not list((layout.root / TMP).iterdir())


def names_kept(layout: Layout) -> dict[str, set[str]]:
    kept: dict[str, set[str]] = {}
    for entry in entries(layout):
        kept.setdefault(entry.bucket, set()).add(entry.digest)
    return kept


def test_a_ci_cache_keeps_what_was_compiled_or_rescued(layout: Layout, tmp_path: Path) -> None:
    """Not archives, which the index gives as fast; nor libraries with few sources, nor what is not compiled."""
    compiled, rescued, plain = wheel("compiled"), wheel("rescued"), wheel("plain")
    large = Wheel("large", files={"large/__init__.py": "x = 1\n", "large/data": "x" * 100_000}).build()
    for each in (compiled, rescued, large):
        prepare(layout, each, tmp_path)
    prepare(layout, plain, tmp_path, compile_=False)
    note_url(layout, "http://index/compiled.whl", compiled.sha256, Origin(kept=True, sized=True))
    before = names_kept(layout)
    planned = maintenance.prune(layout, rescued={rescued.sha256}, dry_run=True)
    assert names_kept(layout) == before
    done = maintenance.prune(layout, rescued={rescued.sha256})
    pair = {compiled.sha256, rescued.sha256}
    assert names_kept(layout) == {ARCHIVES: {rescued.sha256}, TREES: pair, BYTECODE: pair}
    assert not verify(layout).damages
    for freed in (planned, done):
        # Three archives and two trees; the bytecode of one of these and an address.
        assert (freed.entries, freed.orphans) == (5, 2)
        assert sorted(entry.digest for entry in freed.kept) == sorted([rescued.sha256, *pair, *pair])
    assert planned.bytes == done.bytes > 100_000
    assert not maintenance.prune(layout, rescued={rescued.sha256}).removed


def test_a_ci_cache_can_be_bounded_too(layout: Layout, tmp_path: Path) -> None:
    for name, days in (("old", 31), ("new", 0)):
        prepared = prepare(layout, wheel(name), tmp_path)
        assert prepared.bytecode is not None
        for folder in (prepared.tree, prepared.bytecode):
            age(folder, days)
    maintenance.prune(layout, rescued=set(), older_than=30 * 86_400)
    assert names_kept(layout) == {TREES: {wheel("new").sha256}, BYTECODE: {wheel("new").sha256}}
    maintenance.prune(layout, rescued=set(), max_size=0)
    assert not names_kept(layout)


def test_a_dry_run_changes_nothing(layout: Layout, tmp_path: Path) -> None:
    prepared = prepare(layout, wheel("demo"), tmp_path)
    (layout.root / "trees-v0" / "ab").mkdir(parents=True)
    dead_session(layout)
    prepared.tree.joinpath("manifest").unlink()
    before = sorted(layout.root.rglob("*"))
    planned = maintenance.prune(layout, max_size=0, dry_run=True)
    assert sorted(layout.root.rglob("*")) == before
    done = maintenance.prune(layout, max_size=0)
    assert (planned.entries, planned.orphans, planned.leftovers, planned.bytes) == (
        done.entries, done.orphans, done.leftovers, done.bytes
    ) == (1, 2, 1, done.bytes)


def test_purge_leaves_no_folder(layout: Layout, tmp_path: Path) -> None:
    prepare(layout, wheel("demo"), tmp_path)
    maintenance.purge(layout)
    assert not layout.root.exists()


def test_purge_leaves_what_is_not_ours(layout: Layout, tmp_path: Path) -> None:
    keep(layout, wheel("demo"), tmp_path)
    (layout.root / "mine.txt").write_text("x")
    maintenance.purge(layout)
    assert [path.name for path in layout.root.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("tag", [None, "", "Signature: 8a477f597d28d172789f06886806bc55\n# of another program\n"])
def test_purge_refuses_what_is_no_store(tag: str | None, tmp_path: Path) -> None:
    """PIPFAST_STORE may name anything, the home folder for one."""
    (tmp_path / "trees-v1").mkdir()
    (tmp_path / "trees-v1" / "precious").write_text("x")
    if tag is not None:
        (tmp_path / "CACHEDIR.TAG").write_text(tag)
    with pytest.raises(maintenance.NotAStore):
        maintenance.purge(Layout(tmp_path))
    assert (tmp_path / "trees-v1" / "precious").exists()


def test_whole_store_is_whole(layout: Layout, tmp_path: Path) -> None:
    for number in range(3):
        prepare(layout, wheel(f"demo{number}"), tmp_path)
    verdict = verify(layout)
    assert (verdict.checked, verdict.damages) == (9, [])


def test_bytecode_of_a_higher_optimisation_is_whole(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python takes any number."""
    kind = current_kind({})
    assert kind is not None
    monkeypatch.setattr(stores, "current_kind", lambda environ: kind._replace(optimization=12))
    prepare(layout, wheel("demo"), tmp_path)
    verdict = verify(layout)
    assert (verdict.checked, verdict.damages) == (3, [])


@pytest.mark.parametrize(
    "damage",
    ["archive", "archive-extra", "source", "source-same-time", "gone", "extra", "mode", "pyc", "pyc-header",
     "manifest"],
)
def test_verify_finds_and_removes(damage: str, layout: Layout, tmp_path: Path) -> None:
    archive = wheel("demo")
    prepared = prepare(layout, archive, tmp_path)
    assert prepared.bytecode is not None
    source = prepared.tree / "tree" / "demo" / "__init__.py"
    (pyc,) = (prepared.bytecode / "tree" / "demo" / "__pycache__").iterdir()
    held = layout.archive(archive.sha256) / "bytes"

    def flip(path: Path, position: int) -> None:
        found = path.stat()
        data = bytearray(path.read_bytes())
        data[position] ^= 4
        path.write_bytes(data)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    damages: dict[str, Callable[[], object]] = {
        "archive": lambda: flip(held, 45),
        "archive-extra": lambda: (held.parent / "more").write_text("x"),
        "source": lambda: source.write_text("y = 2\n"),
        "source-same-time": lambda: flip(source, 0),
        "gone": source.unlink,
        "extra": lambda: (source.parent / "more.py").write_text("x"),
        "mode": lambda: source.chmod(0o600),
        "pyc": lambda: pyc.write_bytes(b""),
        "pyc-header": lambda: flip(pyc, 9),
        "manifest": lambda: flip(prepared.tree / "manifest", 100),
    }
    damages[damage]()
    reported = verify(layout, keep=True)
    assert len(reported.damages) == 1 and not reported.damages[0].removed
    path = reported.damages[0].path
    assert path.exists()
    removed = verify(layout)
    assert [each.path for each in removed.damages] == [path] and removed.damages[0].removed
    assert not path.exists()
    assert not verify(layout).damages


def test_verify_names_what_is_none_of_ours_and_leaves_it(layout: Layout) -> None:
    """Only what has a name of ours is ever removed."""
    theirs = layout.root / "trees-v1" / "what"
    theirs.write_text("x")
    (damage,) = verify(layout).damages
    assert (damage.path, damage.removed) == (theirs, False)
    assert theirs.read_text() == "x"


def test_tree_is_compared_without_its_archive(layout: Layout, tmp_path: Path) -> None:
    archive = wheel("demo")
    prepared = prepare(layout, archive, tmp_path)
    layout.discard(layout.archive(archive.sha256))
    assert not verify(layout, keep=True).damages
    source = prepared.tree / "tree" / "demo" / "__init__.py"
    found = source.stat()
    source.write_bytes(source.read_bytes().replace(b"version", b"VERSION"))
    os.utime(source, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert verify(layout, keep=True).damages[0].reason == "demo/__init__.py was changed"


def test_store_that_was_made_read_only_is_not_damaged(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other rights are compared all the same. Root may write everywhere: the answer is made up."""
    prepared = prepare(layout, wheel("demo"), tmp_path)
    for path in prepared.tree.rglob("*.py"):
        path.chmod(path.stat().st_mode & ~0o222)
    source = prepared.tree / "tree" / "demo" / "__init__.py"
    assert [each.reason for each in verify(layout, keep=True).damages] == [
        "demo/__init__.py has the mode 444, not 644"
    ]
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert verify(layout, keep=True).damages == []
    source.chmod(0o440)
    assert [each.name for each in verify(layout, keep=True).damages] == ["demo 1.0"]


def test_verify_knows_all_that_is_noted_about_an_address(layout: Layout) -> None:
    """A server that told no length, and an answer that pip would not have kept."""
    for kept in (True, False):
        for sized in (True, False):
            note_url(layout, f"http://localhost/{kept}{sized}", wheel("demo").sha256, Origin(kept, sized))
    verdict = verify(layout)
    assert (verdict.checked, verdict.damages) == (4, [])
