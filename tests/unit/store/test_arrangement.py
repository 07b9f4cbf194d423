"""Stored wheels whose links are made in a worker process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipfast.store.prepare import Preparer
from pipfast.store.workers import Workers
from support.stores import UMASK, keep, new_store, prepare
from support.wheels import Wheel

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from pipfast.store.arrangement import Arrangement
    from pipfast.store.workers import Answer

DEMO = Wheel("demo", files={"demo.py": "x = 1\n"}).build()


class LateWorkers(Workers):
    """Their jobs wait until they are told to begin."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.held: list[Callable[[], None]] = []

    def put(self, priority: int, job: Answer, done: Callable[[Answer], None]) -> None:
        self.held.append(lambda: super(LateWorkers, self).put(priority, job, done))

    def go_on(self) -> None:
        for put in self.held:
            put()
        self.held.clear()


def arrangement(tmp_path: Path, workers: Workers) -> tuple[Preparer, Arrangement]:
    layout = new_store(tmp_path / "store")
    prepare(layout, DEMO, tmp_path, compile_=False)
    preparer = Preparer(layout, workers, UMASK, None, "hardlink")
    prepared = preparer.wait(DEMO.sha256, keep(layout, DEMO, tmp_path))
    assert prepared is not None and prepared.arrangement is not None
    return preparer, prepared.arrangement


def test_links_are_made_by_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers(1)
    monkeypatch.setattr(workers, "withdraw", lambda job: False)
    try:
        preparer, arranged = arrangement(tmp_path, workers)
        folder = arranged.take()
        assert folder is not None
        assert (folder / "lib" / "demo.py").stat().st_nlink == 2
        assert arranged.take() is None
    finally:
        workers.close()
    preparer.close()
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_what_nobody_has_begun_is_taken_back(tmp_path: Path) -> None:
    """The thread that installs makes the links itself rather than wait for what stands in a queue."""
    workers = LateWorkers(0)
    _, arranged = arrangement(tmp_path, workers)
    workers.go_on()
    assert arranged.take() is None
    workers.close()


def test_wheel_that_was_made_in_this_run_is_not_linked_aside(tmp_path: Path) -> None:
    layout, workers = new_store(tmp_path / "store"), Workers(1)
    try:
        preparer = Preparer(layout, workers, UMASK, None, "hardlink")
        prepared = preparer.wait(DEMO.sha256, keep(layout, DEMO, tmp_path))
        assert prepared is not None and prepared.arrangement is None
    finally:
        workers.close()


def test_worker_that_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the thread that installs places the files itself."""
    workers = LateWorkers(1)
    monkeypatch.setattr(workers, "withdraw", lambda job: False)
    ask = Workers._ask

    def killing(process: subprocess.Popen[bytes], job: Answer) -> Answer | None:
        process.kill()
        process.wait()
        return ask(process, job)

    try:
        _, arranged = arrangement(tmp_path, workers)
        monkeypatch.setattr(Workers, "_ask", staticmethod(killing))
        workers.go_on()
        assert arranged.take() is None
    finally:
        workers.close()
