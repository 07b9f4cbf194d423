"""Worker processes begin, and are ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from pipfast.prepare.jobs import Failed, Mend, Priority, Terms
from pipfast.prepare.workers import START, Workers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be put off")


def test_a_worker_is_not_ended_while_it_imports(tmp_path: Path) -> None:
    """Half of a .pyc would stay beside the modules of Python, or ours."""
    module = tmp_path / "pipfast" / "prepare" / "worker.py"
    module.parent.mkdir(parents=True)
    for folder in module.parents[:2]:
        (folder / "__init__.py").touch()
    module.write_text(textwrap.dedent(f"""\
        import signal, sys, time
        print("imports", flush=True)
        time.sleep(0.3)
        open({str(tmp_path / "imported")!r}, "w").close()
        def main():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {{signal.SIGTERM}})
            print("ran on")
    """), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", START.format(root=str(tmp_path))], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "imports\n"
    process.terminate()
    assert process.communicate(timeout=20)[0] == ""
    assert (process.returncode, (tmp_path / "imported").exists()) == (-signal.SIGTERM, True)


@pytest.mark.parametrize("times", range(3))
def test_workers_end_at_once_when_nothing_more_is_wanted(tmp_path: Path, times: int) -> None:
    """Busy, idle or still beginning; a signal ends them, not the patience of who waits for them."""
    workers = Workers(1, Terms(str(tmp_path), 0o022, None))
    answered = threading.Event()
    for _ in range(times):
        answered.clear()
        workers.put(Priority.AWAITED, Mend(64 * "a"), lambda answer: answered.set())
        assert answered.wait(30)
    failed: list[object] = []
    workers.put(Priority.AWAITED, Mend(64 * "b"), failed.append)
    workers.close()
    assert [type(each) for each in failed] == [Failed]
    assert {each.returncode for each in workers._processes} <= {-signal.SIGTERM, 0}
