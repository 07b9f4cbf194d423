"""Turns of builds that run beside pip."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast.settings import Settings
from pipfast_hooks.builds.guard import Guard
from pipfast_hooks.builds.jobs import Jobs
from pipfast_hooks.run import begin_run, end_run
from support.program import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

FAR_S = 30.0


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(begin_run(Settings.from_environ({})).part(Guard), 1)
    yield made
    made.close()
    end_run()


def taking_a_turn(jobs: Jobs) -> tuple[threading.Event, Callable[[], None]]:
    """Have a thread take a turn; return what is set when it has one, and what ends it."""
    has_turn, may_end = threading.Event(), threading.Event()

    def work() -> None:
        with jobs.turn(urgent=False):
            has_turn.set()
            may_end.wait(FAR_S)

    jobs.submit(work)
    return has_turn, may_end.set


def test_nobody_has_a_turn_beside_what_runs_alone(jobs: Jobs) -> None:
    """It waits for the turn that somebody has; others wait for its end."""
    first, end = taking_a_turn(jobs)
    assert first.wait(FAR_S)
    threading.Timer(0.1, end).start()
    with jobs.turns.alone():
        second, end = taking_a_turn(jobs)
        assert not second.wait(0.1)
    assert second.wait(FAR_S)
    end()


def test_an_interrupt_before_it_runs_alone_gives_the_turns_back(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C then ends the command, whose threads must not wait for a turn for ever."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs.turns._changed, "wait_for", interrupt)
    with pytest.raises(KeyboardInterrupt), jobs.turns.alone():
        pass
    monkeypatch.undo()
    has_turn, end = taking_a_turn(jobs)
    assert has_turn.wait(FAR_S)
    end()


KILLED = """
import os, signal, subprocess, sys
from pipfast.settings import Settings
from pipfast_hooks.builds.guard import Guard
from pipfast_hooks.builds.jobs import Jobs
from pipfast_hooks.run import begin_run

guard = begin_run(Settings.from_environ({})).part(Guard)
guard.begin()
start = subprocess.Popen

def killed(*args, **kwargs):
    process = start(*args, **kwargs)
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

subprocess.Popen = killed
Jobs(guard, 1).run([sys.executable, "-c", "import time; time.sleep(60)"], None, os.environ)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for processes in /proc")
def test_command_killed_before_it_knows_a_process_leaves_none_running() -> None:
    """It has told the guard, before it started the process, which file that prints to."""
    ended = subprocess.run([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, check=False)
    assert ended.returncode == -signal.SIGKILL
    wait_until(lambda: not is_running(int(ended.stdout)), "the end of the process")


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")
