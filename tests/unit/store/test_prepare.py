"""From archives to trees and bytecode, by real worker processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.store.archives import find_archive, sha256_of
from pipfast.store.layout import BYTECODE, TMP, TREES
from pipfast.store.verify import verify
from pipfast.store.workers import Workers
from support.stores import UMASK, keep, prepare, preparing
from support.wheels import Wheel, wheel

if TYPE_CHECKING:
    from pipfast.store.layout import Layout

MANY = {f"demo/m{number}.py": f"x = {number}\n" for number in range(30)}

RACER = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from support.stores import keep, preparing
from pipfast.store.layout import open_layout
from support.wheels import Wheel
folder = Path(sys.argv[1]); mine = folder / sys.argv[2]; mine.mkdir()
sys.stdin.readline()
layout = open_layout(folder / "store")
archive = Wheel("demo", files=json.loads({files!r})).build()
with preparing(layout) as preparer:
    prepared = preparer.wait(archive.sha256, keep(layout, archive, mine))
print(prepared is not None and len(prepared.bytecode_manifest.folders[0].files))
"""


def folder_of_tests() -> str:
    import support

    return str(Path(str(support.__file__)).parents[1])


def no_leftovers(layout: Layout) -> bool:
    return not list((layout.root / TMP).iterdir())


def test_many_at_once(layout: Layout, tmp_path: Path) -> None:
    archives = [Wheel(f"demo{number}", files=MANY).build() for number in range(6)]
    paths = [keep(layout, archive, tmp_path) for archive in archives]
    with preparing(layout, workers=2) as preparer:
        for archive, path in zip(archives, paths, strict=True):
            preparer.start(archive.sha256, path)
        for archive, path in zip(archives, paths, strict=True):
            prepared = preparer.wait(archive.sha256, path)
            assert prepared is not None and prepared.bytecode_manifest is not None
            assert len(prepared.bytecode_manifest.folders[0].files) == len(MANY)
    assert no_leftovers(layout)
    assert not verify(layout, keep=True).damages


def test_shares_of_one_archive(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More source than one job compiles: several jobs, one manifest."""
    files = {f"demo/m{number}.py": f"x{number} = 1\n" * 100_000 for number in range(4)}
    prepared = prepare(layout, Wheel("demo", files=files).build(), tmp_path)
    assert prepared.bytecode_manifest is not None
    assert len(prepared.bytecode_manifest.folders[0].files) == 4
    assert not verify(layout, keep=True).damages


def test_two_processes_on_one_empty_store(tmp_path: Path) -> None:
    """Five times: both get it, the store is whole, and nothing is left over."""
    from support.stores import new_store

    code = RACER.format(tests=folder_of_tests(), files=json.dumps(MANY))
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        racers = [
            subprocess.Popen([sys.executable, "-c", code, str(folder), name], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
            for name in ("a", "b")
        ]
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("\n")
            racer.stdin.flush()
        assert [racer.communicate()[0].strip() for racer in racers] == [str(len(MANY))] * 2
        layout = new_store(folder / "store")
        assert no_leftovers(layout)
        assert not verify(layout, keep=True).damages


@pytest.mark.parametrize("damage", ["truncated", "gone", "other-format"])
@pytest.mark.parametrize("bucket", [TREES, BYTECODE])
def test_damaged_entries_are_made_again(bucket: str, damage: str, layout: Layout, tmp_path: Path) -> None:
    archive = wheel("demo")
    prepared = prepare(layout, archive, tmp_path)
    entry = prepared.tree if bucket == TREES else prepared.bytecode
    assert entry is not None
    manifest = entry / "manifest"
    if damage == "gone":
        manifest.unlink()
    else:
        content = manifest.read_bytes()
        manifest.write_bytes(content[:-5] if damage == "truncated" else b"pipfast9" + content)
    again = prepare(layout, archive, tmp_path)
    assert again.bytecode_manifest is not None
    assert not verify(layout, keep=True).damages
    assert no_leftovers(layout)


def test_killed_worker_loses_its_job_only(layout: Layout, tmp_path: Path) -> None:
    """The wheel that was being unpacked goes to pip; the next one is prepared."""
    workers = Workers(1)
    answers: list[bool] = []
    try:
        workers.start()
        first, second = threading.Event(), threading.Event()
        archive = keep(layout, wheel("demo"), tmp_path)
        job = {
            "do": "plan-unpack", "archive": str(archive), "digest": sha256_of(archive), "umask": UMASK,
            "staging": str(layout.new_staging()),
        }
        workers.put(0, job, lambda _: first.set())
        assert first.wait(60)
        (process,) = workers._processes
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        job = {**job, "staging": str(layout.new_staging())}
        workers.put(0, job, lambda answer: answers.append(answer["ok"]))

        def last(answer: dict[str, Any]) -> None:
            answers.append(answer["ok"])
            second.set()

        workers.put(0, job, last)
        assert second.wait(60)
        assert answers == [False, True]
    finally:
        workers.close()
    assert all(process.poll() is not None for process in workers._processes)


def test_close_leaves_no_process_and_answers_what_waits(layout: Layout, tmp_path: Path) -> None:
    archives = [wheel(f"demo{number}") for number in range(5)]
    workers = Workers(2)
    from pipfast.store.prepare import Preparer

    preparer = Preparer(layout, workers, UMASK, None)
    paths = [keep(layout, archive, tmp_path) for archive in archives]
    for archive, path in zip(archives, paths, strict=True):
        preparer.start(archive.sha256, path)
    workers.close()
    for archive, path in zip(archives, paths, strict=True):
        preparer.wait(archive.sha256, path)  # Returns: prepared, or not.
    assert all(process.poll() is not None for process in workers._processes)
    assert no_leftovers(layout)


def test_unstorable_archives_leave_nothing(layout: Layout, tmp_path: Path) -> None:
    archive = Wheel("demo", wheel_version="2.0").build()
    path = keep(layout, archive, tmp_path)
    with preparing(layout) as preparer:
        assert preparer.wait(archive.sha256, path) is None
    assert no_leftovers(layout)
    assert find_archive(layout, archive.sha256) is not None


def test_tree_taken_away_is_made_again(layout: Layout, tmp_path: Path) -> None:
    archive = wheel("demo")
    path = keep(layout, archive, tmp_path)
    with preparing(layout) as preparer:
        first = preparer.wait(archive.sha256, path)
        assert first is not None
        layout.discard(first.tree)
        second = preparer.wait(archive.sha256, path, again=True)
    assert second is not None and second.tree.is_dir()
    assert second.manifest.tree_id != first.manifest.tree_id


def test_no_thread_to_be_had(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no thread every wheel is left to pip, the second as well as the first."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    archives = [wheel("one"), wheel("two")]
    paths = [keep(layout, archive, tmp_path) for archive in archives]
    with preparing(layout) as preparer:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        prepared = [
            preparer.wait(archive.sha256, path) for archive, path in zip(archives, paths, strict=True)
        ]
        monkeypatch.undo()
    assert prepared == [None, None]
    assert no_leftovers(layout)
