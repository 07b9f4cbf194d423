"""Bound on the store's size, and the ledger of sizes that it goes by."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from typing import TYPE_CHECKING

import pytest

from pipfast.store.layout import Layout, open_layout
from pipfast.store.names import ARCHIVES, BYTECODE, PAGES, TMP, TREES
from pipfast.store.notes import note_key, write_note
from pipfast.store.urls import Origin, find_origin, note_url
from pipfast.upkeep import bound, ledger, maintenance
from pipfast.upkeep.bound import keep_below
from pipfast.upkeep.inventory import entries, usage_of
from pipfast.upkeep.ledger import Ledger
from support.stores import keep, prepare
from support.wheels import Wheel, wheel

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 4096
MANY = 1 << 40
FAR = 1e12
"""A deadline that never comes."""


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def heavy(name: str) -> Wheel:
    return Wheel(name, files={f"{name}/data": os.urandom(100_000).hex()})


def left(layout: Layout, bucket: str = ARCHIVES) -> set[str]:
    return {entry.digest for entry in entries(layout) if entry.bucket == bucket}


def own_bytes(layout: Layout) -> int:
    usage = usage_of(layout.root)
    return usage.bytes - usage.shared


def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_LOOK_S", "_SHARES_S", "_REMOVE_S", "WORK_S"):
        monkeypatch.setattr(bound, name, 60.0)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a loaded machine all the time it needs; tests that are about time take it back."""
    patient(monkeypatch)


def test_nothing_goes_below_the_bound(layout: Layout, tmp_path: Path) -> None:
    prepare(layout, wheel("demo"), tmp_path)
    before = sorted(map(str, entries(layout)))
    assert keep_below(layout, MANY) == 0
    assert sorted(map(str, entries(layout))) == before


def test_the_least_recently_used_goes_first(layout: Layout, tmp_path: Path) -> None:
    made = [heavy(f"demo{number}").build() for number in range(6)]
    for number, each in enumerate(made):
        age(keep(layout, each, tmp_path).parent, 10 - number)
    keep_below(layout, MANY)
    # Used after the ledger was written: by its time alone, which no folder's time tells.
    age(layout.archive(made[0].sha256), 0)
    removed = keep_below(layout, own_bytes(layout) // 2)
    kept = left(layout)
    assert removed > 0 and made[0].sha256 in kept and made[5].sha256 in kept
    assert made[1].sha256 not in kept and made[2].sha256 not in kept
    assert not list((layout.root / TMP).iterdir())


def test_the_store_is_brought_to_nine_tenths(layout: Layout, tmp_path: Path) -> None:
    for number in range(12):
        keep(layout, heavy(f"demo{number}").build(), tmp_path)
    limit = own_bytes(layout)
    keep_below(layout, limit)
    assert limit * 0.75 < own_bytes(layout) <= limit * 0.9 + 40 * BLOCK


def test_what_environments_link_costs_nothing_and_stays(layout: Layout, tmp_path: Path) -> None:
    linked, lonely = heavy("linked").build(), heavy("lonely").build()
    tree = prepare(layout, linked, tmp_path).tree
    prepare(layout, lonely, tmp_path)
    age(tree, 100)
    environment = tmp_path / "environment"
    environment.mkdir()
    os.link(tree / "tree" / "linked" / "data", environment / "data")
    layout.discard(layout.archive(linked.sha256))
    layout.discard(layout.archive(lonely.sha256))
    keep_below(layout, 150_000)
    assert left(layout, TREES) == {linked.sha256}
    # The environment is gone, and the tree, which is the store's alone now, too.
    (environment / "data").unlink()
    keep_below(layout, 150_000)
    assert left(layout, TREES) == set()


def test_a_tree_takes_its_bytecode_with_it(layout: Layout, tmp_path: Path) -> None:
    prepared = prepare(layout, wheel("demo"), tmp_path)
    age(prepared.tree, 100)
    keep_below(layout, MANY)
    seen = Ledger(layout)
    keep_below(layout, int((seen.own - seen_own(seen, TREES) + 1) / 0.9))
    assert left(layout, TREES) == left(layout, BYTECODE) == set() != left(layout, ARCHIVES)
    assert not list((layout.root / BYTECODE).glob("*/*"))


def seen_own(seen: Ledger, bucket: str) -> int:
    return sum(row.own for folder, _, row in seen.rows() if folder.startswith(bucket))


def test_notes_go_too(layout: Layout) -> None:
    for number in range(20):
        write_note(layout, PAGES, note_key(str(number)), os.urandom(20_000))
    keep_below(layout, own_bytes(layout) // 2)
    assert 0 < len(list(entries(layout))) < 11


def test_an_address_is_used_when_it_is_asked_for(layout: Layout) -> None:
    digest = "ab" * 32
    note_url(layout, "http://index/a.whl", digest, Origin(kept=True, sized=True))
    (path,) = (entry.path for entry in entries(layout))
    age(path, 30)
    find_origin(layout, "http://index/a.whl", digest)
    assert time.time() - path.stat().st_mtime < 60


def test_sizes_are_those_of_a_full_count(layout: Layout, tmp_path: Path) -> None:
    """Measured at once, or remembered and completed."""
    prepare(layout, wheel("one"), tmp_path)
    keep_below(layout, MANY)
    prepare(layout, heavy("two").build(), tmp_path)
    write_note(layout, PAGES, note_key("x"), b"x" * 9000)
    keep_below(layout, MANY)
    buckets = [usage_of(layout.root / bucket) for bucket in (ARCHIVES, TREES, BYTECODE, PAGES)]
    folders = 4 * (layout.root / ARCHIVES).stat().st_blocks * 512
    assert Ledger(layout).own == sum(each.bytes for each in buckets) - folders


def test_only_new_entries_are_measured(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(layout, wheel("one"), tmp_path)
    keep_below(layout, MANY)
    measured: list[str] = []
    measure = ledger.measure

    def noted(path: str) -> ledger.Row:
        measured.append(path)
        return measure(path)

    monkeypatch.setattr(ledger, "measure", noted)
    keep(layout, wheel("two"), tmp_path)
    keep_below(layout, MANY)
    assert measured == [str(layout.archive(wheel("two").sha256))]


def test_what_has_no_time_now_is_seen_later(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        keep(layout, wheel(f"demo{number}"), tmp_path)
    monkeypatch.setattr(bound, "_LOOK_S", -1.0)
    keep_below(layout, MANY)
    assert not list(Ledger(layout).rows())
    monkeypatch.setattr(bound, "_LOOK_S", 60.0)
    keep_below(layout, MANY)
    assert len(list(Ledger(layout).rows())) == 5


def test_removing_ends_in_time_but_not_before_what_came_is_made_up_for(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        keep(layout, heavy(f"old{number}").build(), tmp_path)
    keep_below(layout, MANY)
    monkeypatch.setattr(bound, "_REMOVE_S", -1.0)
    limit = own_bytes(layout) // 2
    keep_below(layout, limit)
    assert len(left(layout)) == 7
    new = [heavy(f"new{number}").build() for number in range(3)]
    for each in new:
        path = keep(layout, each, tmp_path)
        os.utime(path.parent, (time.time() + 60, time.time() + 60))
    keep_below(layout, limit)
    assert len(left(layout)) == 7 and {each.sha256 for each in new} <= left(layout)


@pytest.mark.parametrize("content", [
    "", "{", "[]", "[1, 2, 3]", '[0, "", {"archives-v0/ab": 7}]', json.dumps([0, "", {f"{ARCHIVES}/ab": [1, 2, {
        "../../../elsewhere": [0, 10**9, 0, 1, ""]}], "../..": [1, 2, {"ab" * 32: [0, 10**9, 0, 1, ""]}]}]),
])
def test_a_ledger_that_others_wrote_is_no_more_than_a_guess(layout: Layout, tmp_path: Path, content: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    keep(layout, wheel("demo"), tmp_path)
    (layout.root / ledger.NAME).write_text(content)
    assert keep_below(layout, 1) > 0
    assert (tmp_path / "elsewhere").is_dir() and left(layout) == set()


def test_foreign_files_stay(layout: Layout, tmp_path: Path) -> None:
    keep(layout, wheel("demo"), tmp_path)
    fan = layout.archive(wheel("demo").sha256).parent
    (fan / "notes.txt").write_text("mine")
    (layout.root / ARCHIVES / "mine").mkdir()
    (layout.root / PAGES / "ab").symlink_to(tmp_path)
    (tmp_path / ("ab" * 32)).write_text("mine")
    keep_below(layout, 1)
    assert (fan / "notes.txt").exists() and (layout.root / ARCHIVES / "mine").is_dir()
    assert (tmp_path / ("ab" * 32)).exists() and left(layout) == set()


def test_a_store_that_cannot_be_written_stays_as_it_is(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(layout, wheel("demo"), tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Layout, "new_path", refuse)
    assert keep_below(layout, 1) == 0 and len(left(layout)) == 1


def test_purge_takes_the_ledger(layout: Layout, tmp_path: Path) -> None:
    keep(layout, wheel("demo"), tmp_path)
    keep_below(layout, MANY)
    maintenance.purge(layout)
    assert not layout.root.exists()


def _fill(root: Path, numbers: range, limit: int, peaks: multiprocessing.SimpleQueue[int]) -> None:
    layout = open_layout(root)
    for number in numbers:
        source = root.parent / f"source-{number}"
        archive = heavy(f"demo{number}").build()
        source.mkdir()
        keep(layout, archive, source)
        keep_below(layout, limit)
        peaks.put(own_bytes(layout))


@pytest.mark.once
def test_four_processes_stay_near_the_bound(tmp_path: Path) -> None:
    """Never above it by more than one archive: the tenth that is kept free is for the three others."""
    archive = 210_000
    limit = 40 * archive
    context = multiprocessing.get_context("fork")
    peaks: multiprocessing.SimpleQueue[int] = context.SimpleQueue()
    open_layout(tmp_path / "store")
    processes = [context.Process(target=_fill, args=(tmp_path / "store", range(n * 20, n * 20 + 20), limit, peaks))
                 for n in range(4)]
    for each in processes:
        each.start()
    found = [peaks.get() for _ in range(80)]
    for each in processes:
        each.join()
    assert {each.exitcode for each in processes} == {0}
    # Folders for the first digits of names, which stay, are no archives.
    assert max(found) < limit + archive + 9 * 256 * BLOCK
    assert len(left(open_layout(tmp_path / "store"))) > 20
