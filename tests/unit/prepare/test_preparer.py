"""Archives to trees and bytecode, by real worker processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast.prepare.bytecode import current_kind
from pipfast.prepare.jobs import Compile, Done, Plan, Priority, Seal, Terms, Unpack
from pipfast.prepare.preparer import Preparer
from pipfast.prepare.workers import Workers
from pipfast.store.archives import find_archive, sha256_of
from pipfast.store.names import BYTECODE, TMP, TREES
from pipfast.upkeep.verify import verify
from support.stores import UMASK, keep, new_store, prepare, preparing
from support.wheels import Wheel, wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipfast.prepare.jobs import Answer, Job, Note
    from pipfast.store.layout import Layout
    from pipfast.store.prepared import Prepared

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
print(prepared is not None and len(prepared.compiled[0].files))
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
            assert prepared is not None and prepared.compiled is not None
            assert len(prepared.compiled[0].files) == len(MANY)
    assert no_leftovers(layout)
    assert not verify(layout, keep=True).damages


@pytest.mark.parametrize("how", ["brings it", "brings nothing", "fails", "is cancelled"])
def test_wheel_that_may_come_from_elsewhere(layout: Layout, tmp_path: Path, how: str) -> None:
    """It is waited for; what did not come is made of the archive."""
    archive = Wheel("demo", files=MANY).build()
    path, coming = keep(layout, archive, tmp_path), Future[bool]()
    with preparing(layout) as preparer:
        preparer.bring(archive.sha256, lambda: coming)
        preparation = preparer.start(archive.sha256, path)
        assert not preparation.done.is_set() and preparer.ready(archive.sha256) is None
        if how == "brings it":
            other = new_store(tmp_path / "other")
            source = prepare(other, archive, tmp_path)
            shutil.copytree(other.root, layout.root, dirs_exist_ok=True, ignore=lambda *_: {"seconds", "locks"})
            assert source.bytecode is not None
        if how == "fails":
            coming.set_exception(OSError())
        elif how == "is cancelled":
            coming.cancel()
        else:
            coming.set_result(True)
        prepared = preparer.wait(archive.sha256, path)
        assert prepared is not None and prepared.compiled is not None
        assert preparation.was_made is (how != "brings it")
        preparer.bring(archive.sha256, lambda: pytest.fail("it is there"))
    assert not verify(layout, keep=True).damages


def test_shares_of_one_archive(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More source than one job compiles: several jobs, one manifest."""
    files = {f"demo/m{number}.py": f"x{number} = 1\n" * 100_000 for number in range(4)}
    prepared = prepare(layout, Wheel("demo", files=files).build(), tmp_path)
    assert prepared.compiled is not None
    assert len(prepared.compiled[0].files) == 4
    assert not verify(layout, keep=True).damages


class Overheard(Workers):
    """Workers whose jobs and answers are noted; ``before`` sees a job before it is put."""

    def __init__(self, layout: Layout, before: Callable[[Job], None] = lambda _: None) -> None:
        super().__init__(1, Terms(str(layout.root), UMASK, current_kind(os.environ)))
        self.notes: list[tuple[str, Job]] = []
        self._before = before

    def put(
        self, priority: Priority, job: Job, done: Callable[[Answer], None],
        step: Callable[[Note], None] | None = None,
    ) -> None:
        self._before(job)
        self.notes.append(("put", job))

        def noted(answer: Answer) -> None:
            self.notes.append(("done", job))
            done(answer)

        super().put(priority, job, noted, step)

    def order(self, what: str, kind: type[Job]) -> list[int]:
        """Return the positions of such notes."""
        return [index for index, (noted, job) in enumerate(self.notes) if noted == what and isinstance(job, kind)]


LARGE_SHARES: dict[str, str | bytes] = {
    "demo/first.py": "x = 1\n",
    "demo/a.bin": bytes(1 << 20),
    "demo/huge.bin": bytes(48 << 20),
    "demo/last.py": "y = 2\n",
}
"""Three shares: what is before the huge member, it alone, and what follows."""


def test_a_share_is_compiled_while_others_are_unpacked(layout: Layout, tmp_path: Path) -> None:
    """The largest member is begun first and alone; compiling does not wait for the whole tree."""
    archive = Wheel("demo", files=LARGE_SHARES).build()
    path = keep(layout, archive, tmp_path)
    workers = Overheard(layout)
    try:
        prepared = Preparer(layout, workers).wait(archive.sha256, path)
    finally:
        workers.close()
    assert prepared is not None and prepared.compiled is not None
    sizes = [file.size for folder in prepared.manifest.folders for file in folder.files]
    assert sizes[:3] == [6, 1 << 20, 48 << 20], "the manifest has the archive's order"
    _, first = workers.notes[workers.order("put", Unpack)[0]]
    assert isinstance(first, Unpack) and (first.begin, first.end) == (2, 3)
    assert min(workers.order("put", Compile)) < max(workers.order("done", Unpack))
    assert [file.name.partition(".")[0] for file in prepared.compiled[0].files] == [
        "first", "last",
    ]
    assert not verify(layout, keep=True).damages
    assert no_leftovers(layout)


@pytest.mark.parametrize("files", [MANY, LARGE_SHARES], ids=["small", "large"])
def test_bytecode_of_a_tree_that_lost_the_race_is_not_kept(
    files: dict[str, str | bytes], layout: Layout, tmp_path: Path
) -> None:
    """Another process puts its tree in place first: what was compiled of ours is made again for it."""
    archive = Wheel("demo", files=files).build()
    path = keep(layout, archive, tmp_path)
    other: list[Prepared] = []

    def before(job: Job) -> None:
        if isinstance(job, Plan | Seal) and not other:
            with preparing(layout, compile_=False) as preparer:
                found = preparer.wait(archive.sha256, path)
                assert found is not None
                other.append(found)

    workers = Overheard(layout, before)
    try:
        prepared = Preparer(layout, workers).wait(archive.sha256, path)
    finally:
        workers.close()
    assert prepared is not None and prepared.compiled is not None
    assert prepared.manifest.tree_id == other[0].manifest.tree_id
    assert not verify(layout, keep=True).damages
    assert no_leftovers(layout)


def test_a_failed_share_leaves_nothing(
    layout: Layout, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A share that is still being unpacked when another one fails takes its folder with it; a line says why."""
    caplog.set_level("DEBUG", "pipfast")
    archive = Wheel("demo", files=LARGE_SHARES).build()
    data = bytearray(archive.data)
    # The local header of the huge member says another name than the central directory.
    data[data.index(b"demo/huge.bin")] = ord("D")
    damaged = replace(archive, data=bytes(data))
    path = keep(layout, damaged, tmp_path)
    for _ in range(3):
        with preparing(layout, workers=2) as preparer:
            assert preparer.wait(damaged.sha256, path) is None
        assert no_leftovers(layout)
    assert f"{damaged.filename} is not kept unpacked: " in caplog.text


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
    assert again.compiled is not None
    assert not verify(layout, keep=True).damages
    assert no_leftovers(layout)


def test_killed_worker_loses_its_job_only(layout: Layout, tmp_path: Path) -> None:
    """The wheel that was being unpacked goes to pip; the next one is prepared."""
    workers = Workers(1, Terms(str(layout.root), UMASK, None))
    answers: list[bool] = []
    try:
        first, second = threading.Event(), threading.Event()
        archive = keep(layout, wheel("demo"), tmp_path)
        job = Plan(sha256_of(archive), str(archive), True, str(layout.new_staging()), "")
        workers.put(Priority.AWAITED, job, lambda _: first.set())
        assert first.wait(60)
        (process,) = workers._processes
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        job = job._replace(staging=str(layout.new_staging()))
        workers.put(Priority.AWAITED, job, lambda answer: answers.append(isinstance(answer, Done)))

        def last(answer: Answer) -> None:
            answers.append(isinstance(answer, Done))
            second.set()

        workers.put(Priority.AWAITED, job, last)
        assert second.wait(60)
        assert answers == [False, True]
    finally:
        workers.close()
    assert all(process.poll() is not None for process in workers._processes)


def test_close_leaves_no_process_and_answers_what_waits(layout: Layout, tmp_path: Path) -> None:
    archives = [wheel(f"demo{number}") for number in range(5)]
    workers = Workers(2, Terms(str(layout.root), UMASK, None))
    preparer = Preparer(layout, workers)
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


@pytest.mark.parametrize(("lost", "vanished"), [("tree", True), ("bytecode", True), ("file", False)])
def test_entry_that_another_process_has_pruned_is_not_taken_for_damaged(
    layout: Layout, tmp_path: Path, lost: str, vanished: bool
) -> None:
    """The store's bound is kept beside running commands, which make it again without a word."""
    archive = Wheel("demo", files=MANY).build()
    path = keep(layout, archive, tmp_path)
    with preparing(layout) as preparer:
        prepared = preparer.wait(archive.sha256, path)
        assert prepared is not None and prepared.bytecode is not None
        if lost == "file":
            (prepared.tree / "tree" / "demo" / "m1.py").unlink()
        else:
            layout.discard(prepared.tree if lost == "tree" else prepared.bytecode)
        found = preparer.mend(archive.sha256)
        assert found is not None and found.vanished is vanished and found.how == "is gone"
        assert preparer.wait(archive.sha256, path, again=True) is not None
    assert not verify(layout, keep=True).damages


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
