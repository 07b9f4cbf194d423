"""Links of stored wheels, made in a worker process."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from pipfast.prepare.jobs import Checked, Terms
from pipfast.prepare.preparer import Preparer
from pipfast.prepare.workers import Workers
from support.stores import UMASK, keep, new_store, prepare
from support.wheels import Wheel

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from pipfast.prepare.aside import Arrangement
    from pipfast.prepare.jobs import Answer, Job, Note, Priority
    from pipfast.prepare.workers import _Queued
    from pipfast.store.layout import Layout
    from pipfast.store.prepared import Prepared

DEMO = Wheel("demo", files={"demo.py": "x = 1\n"}).build()


class LateWorkers(Workers):
    """Their jobs wait until they are told to begin."""

    def __init__(self, count: int, terms: Terms) -> None:
        super().__init__(count, terms)
        self.held: list[Callable[[], None]] = []

    def put(
        self, priority: Priority, job: Job, done: Callable[[Answer], None],
        step: Callable[[Note], None] | None = None,
    ) -> None:
        self.held.append(lambda: super(LateWorkers, self).put(priority, job, done, step))

    def go_on(self) -> None:
        for put in self.held:
            put()
        self.held.clear()


def terms(layout: Layout) -> Terms:
    return Terms(str(layout.root), UMASK, None)


def stored(tmp_path: Path) -> Layout:
    layout = new_store(tmp_path / "store")
    prepare(layout, DEMO, tmp_path, compile_=False)
    return layout


def prepared_wheel(preparer: Preparer, layout: Layout, tmp_path: Path) -> Prepared:
    prepared = preparer.wait(DEMO.sha256, keep(layout, DEMO, tmp_path))
    assert prepared is not None
    return prepared


def take(preparer: Preparer, prepared: Prepared) -> Path | None:
    """Take it as the thread that installs does, but only when a worker has begun."""
    arrangement = preparer.arrangement(DEMO.sha256)
    assert arrangement is not None
    while not arrangement._folder.exists() and not arrangement._done.is_set():
        arrangement._done.wait(0.01)
    return arrangement.take(prepared.manifest.tree_id)


def expected(preparer: Preparer) -> dict[str, Arrangement]:
    assert preparer._aside is not None
    return preparer._aside._expected


def leftovers(layout: Layout) -> list[Path]:
    return list((layout.root / "tmp").iterdir())


def test_links_are_made_by_a_worker(tmp_path: Path) -> None:
    layout = stored(tmp_path)
    workers = Workers(1, terms(layout))
    preparer = Preparer(layout, workers, "hardlink")
    try:
        prepared = prepared_wheel(preparer, layout, tmp_path)
        folder = take(preparer, prepared)
        assert folder is not None
        assert (folder / "lib" / "demo.py").stat().st_nlink == 2
        assert take(preparer, prepared) is None
    finally:
        workers.close()
    preparer.close()
    assert leftovers(layout) == []


def test_what_nobody_has_begun_is_placed_by_who_comes_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread that installs does not wait for what stands in a queue, and the worker leaves it alone then.

    The debug log names the wheel by its file.
    """
    caplog.set_level("DEBUG", "pipfast")
    layout = stored(tmp_path)
    workers = LateWorkers(1, terms(layout))
    preparer = Preparer(layout, workers, "hardlink")
    try:
        prepared_wheel(preparer, layout, tmp_path)
        arrangement = preparer.arrangement(DEMO.sha256)
        assert arrangement is not None and arrangement.take("any") is None
        workers.go_on()
        assert arrangement._done.wait(60)
        assert not any(arrangement._folder.iterdir())
    finally:
        workers.close()
    assert f"not linked aside: {DEMO.filename} (" in caplog.text and DEMO.sha256 not in caplog.text
    preparer.close()
    assert leftovers(layout) == []


def test_what_is_expected_is_linked_before_anybody_asks(tmp_path: Path) -> None:
    """By the job that was put first: no second one links it again."""
    layout = stored(tmp_path)
    workers = LateWorkers(2, terms(layout))
    preparer = Preparer(layout, workers, "hardlink")
    try:
        preparer.expect([DEMO.sha256, "0" * 64])
        while workers.held or not expected(preparer)[DEMO.sha256]._done.wait(0.01):
            workers.go_on()
        prepared = prepared_wheel(preparer, layout, tmp_path)
        assert workers.held == []
        folder = take(preparer, prepared)
        assert folder is not None and (folder / "lib" / "demo.py").exists()
    finally:
        workers.close()
    preparer.close()
    assert leftovers(layout) == []


@pytest.mark.parametrize("damage", [False, True])
def test_archives_of_what_is_expected_are_read(tmp_path: Path, damage: bool) -> None:
    """By the worker, before it links anything."""
    layout = stored(tmp_path)
    workers = Workers(2, terms(layout))
    path = keep(layout, DEMO, tmp_path)
    if damage:
        found = path.stat()
        path.write_bytes(bytes(len(DEMO.data)))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    preparer = Preparer(layout, workers, "hardlink")
    try:
        preparer.expect([DEMO.sha256, "0" * 64])
        assert expected(preparer)["0" * 64]._done.wait(60)
        assert preparer.has_read(DEMO.sha256) is not damage
        assert not preparer.has_read("0" * 64)
        assert not preparer.has_read("1" * 64)
    finally:
        workers.close()
    assert path.exists()
    preparer.close()


def test_nobody_waits_for_what_is_not_being_read(tmp_path: Path) -> None:
    """Neither before the worker has come to it, nor after the worker is gone in the middle of it."""
    layout = stored(tmp_path)
    workers = LateWorkers(2, terms(layout))
    preparer = Preparer(layout, workers, "hardlink")
    preparer.expect([DEMO.sha256])
    assert not preparer.has_read(DEMO.sha256)
    assert preparer._aside is not None
    reading = preparer._aside._reading
    assert reading is not None
    reading._step(Checked(DEMO.sha256, None))
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(preparer.has_read(DEMO.sha256)))
    waiting.start()
    workers.close()
    workers.go_on()
    waiting.join(60)
    assert answers == [False]
    preparer.close()


@pytest.mark.parametrize(("count", "at_first"), [(2, 1), (4, 3)])
def test_expected_wheels_leave_a_worker_to_what_is_certain(tmp_path: Path, count: int, at_first: int) -> None:
    """And the others between two jobs, of which each is about some wheels only."""
    layout = stored(tmp_path)
    workers = LateWorkers(count, terms(layout))
    preparer = Preparer(layout, workers, "hardlink")
    digests = [DEMO.sha256, *(f"{number:064}" for number in range(80))]
    preparer.expect(digests)
    assert len(workers.held) == at_first
    arrangements = dict(expected(preparer))
    while not all(arrangement._done.is_set() for arrangement in arrangements.values()):
        workers.go_on()
        arrangements[digests[-1]]._done.wait(0.01)
    assert take(preparer, prepared_wheel(preparer, layout, tmp_path)) is not None
    workers.close()
    preparer.close()
    assert leftovers(layout) == []


def test_nothing_is_linked_when_the_run_is_over(tmp_path: Path) -> None:
    layout = stored(tmp_path)
    workers = Workers(1, terms(layout))
    preparer = Preparer(layout, workers, "hardlink")
    try:
        preparer.close()
        prepared = preparer.wait(DEMO.sha256, keep(layout, DEMO, tmp_path))
        assert prepared is not None and preparer.arrangement(DEMO.sha256) is None
    finally:
        workers.close()
    assert leftovers(layout) == []


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path) -> None:
    layout = stored(tmp_path)
    workers = LateWorkers(1, terms(layout))
    preparer = Preparer(layout, workers, "hardlink")
    preparer.expect([DEMO.sha256])
    shutil.rmtree(layout.root / "tmp")
    preparer.close()


def test_tree_that_was_made_again_is_not_taken(tmp_path: Path) -> None:
    """What was linked is another tree's files: bytecode would not be valid for them."""
    layout = stored(tmp_path)
    workers = Workers(2, terms(layout))
    preparer = Preparer(layout, workers, "hardlink")
    try:
        preparer.expect([DEMO.sha256])
        arrangement = expected(preparer)[DEMO.sha256]
        assert arrangement._done.wait(60)
        layout.discard(layout.tree(DEMO.sha256, UMASK))
        prepare(layout, DEMO, tmp_path, compile_=False)
        assert take(preparer, prepared_wheel(preparer, layout, tmp_path)) is None
    finally:
        workers.close()
    preparer.close()


def test_wheel_that_was_made_in_this_run_is_not_linked_aside(tmp_path: Path) -> None:
    layout = new_store(tmp_path / "store")
    workers = Workers(1, terms(layout))
    try:
        preparer = Preparer(layout, workers, "hardlink")
        prepared = preparer.wait(DEMO.sha256, keep(layout, DEMO, tmp_path))
        assert prepared is not None and preparer.arrangement(DEMO.sha256) is None
    finally:
        workers.close()


def test_worker_that_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the thread that installs places the files itself."""
    layout = stored(tmp_path)
    workers = LateWorkers(1, terms(layout))
    preparer = Preparer(layout, workers, "hardlink")
    ask = Workers._ask

    def killing(process: subprocess.Popen[bytes], queued: _Queued) -> Answer | None:
        process.kill()
        process.wait()
        return ask(process, queued)

    try:
        prepared = prepared_wheel(preparer, layout, tmp_path)
        monkeypatch.setattr(Workers, "_ask", staticmethod(killing))
        workers.go_on()
        assert take(preparer, prepared) is None
    finally:
        workers.close()
