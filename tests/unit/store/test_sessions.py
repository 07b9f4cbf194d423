"""Living and dead makers of names in tmp/."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from pipfast.store import sessions
from pipfast.store.names import LOCKS, TMP
from pipfast.store.sessions import survey
from support.stores import dead_session

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from pipfast.store.layout import Layout

DAYS_S = 2 * 86_400.0


def age(path: Path) -> Path:
    then = time.time() - DAYS_S
    os.utime(path, (then, then))
    return path


def found(layout: Layout) -> tuple[list[str], list[str]]:
    leftovers, in_use, _ = survey(str(layout.root))
    return leftovers, in_use


def test_a_killed_process_leaves_leftovers(layout: Layout) -> None:
    left = dead_session(layout)
    assert found(layout) == ([left], [])
    layout.sweep()
    assert found(layout) == ([], []) and not (layout.root / LOCKS / left[:-9]).exists()


def test_where_nothing_can_be_locked_and_descriptors_are_inherited(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOFOLLOW"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(sessions, "fcntl", None)
    made = layout.new_staging()
    assert found(layout) == ([], [made.name])


def test_a_living_process_is_left_alone_however_long_it_takes(layout: Layout) -> None:
    script = ("import sys; from pathlib import Path; from pipfast.store.layout import Layout;"
              "layout = Layout(Path(sys.argv[1]));"
              "print(layout.new_staging().name, flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", script, str(layout.root)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        name = process.stdout.readline().strip()
        age(layout.root / TMP / name)
        layout.sweep()
        assert found(layout) == ([], [name])
        process.stdin.close()
    layout.sweep()
    assert found(layout) == ([], []) and not (layout.root / LOCKS / name[:-9]).exists()


def test_a_process_id_that_is_alive_means_nothing(layout: Layout) -> None:
    """In a container the killed command had the id that something else has now, 1 for instance."""
    left = dead_session(layout)
    ours = f"{os.getpid()}-{left.partition('-')[2]}"
    (layout.root / TMP / left).rename(layout.root / TMP / ours)
    assert found(layout) == ([ours], [])


def test_names_of_earlier_versions_go_by_their_age(layout: Layout) -> None:
    old, new = (layout.root / TMP / f"1-{number:016x}" for number in (1, 2))
    old.mkdir()
    new.mkdir()
    age(old)
    assert found(layout) == ([old.name], [new.name])


def test_another_machine_s_lock_goes_by_the_age(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a network filesystem the locks of one may not be seen by the other."""
    name = dead_session(layout)
    (lock,) = (layout.root / LOCKS).iterdir()
    lock.write_text("of another kernel")
    assert found(layout) == ([], [name])
    age(layout.root / TMP / name)
    assert found(layout) == ([name], [])


def test_where_nothing_can_be_locked_the_age_decides(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with layout.staging() as staging:
        assert found(layout) == ([], [staging.name])
        age(staging)
        assert found(layout) == ([staging.name], [])
    assert not list((layout.root / LOCKS).iterdir())


def test_a_forked_copy_has_a_lock_of_its_own(layout: Layout) -> None:
    with layout.staging() as staging:
        if not (child := os.fork()):
            name = layout.new_staging().name
            os._exit(0 if name.split("-")[:2] != staging.name.split("-")[:2] else 1)
        assert os.waitpid(child, 0)[1] == 0
        leftovers, in_use = found(layout)
        assert in_use == [staging.name] and len(leftovers) == 1


def test_a_pipe_among_the_locks_keeps_nobody_waiting(layout: Layout) -> None:
    name = f"1-{16 * 'a'}"
    os.mkfifo(layout.root / LOCKS / name)
    (layout.root / TMP / f"{name}-{8 * 'b'}").mkdir()
    assert found(layout) == ([], [f"{name}-{8 * 'b'}"])
