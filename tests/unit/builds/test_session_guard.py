"""Guard process: what it ends when its command is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast.builds import session_guard

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for processes in /proc")


KILLED_S = 0.5
"""Seconds in which a killed process is over."""


@pytest.fixture
def printing(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """Return a process with a session of its own, and the name of the file that it prints to."""
    with (tmp_path / "output").open("wb") as output:
        found = os.fstat(output.fileno())
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=output,
                                   start_new_session=True)
    yield process, b"%d:%d" % (found.st_dev, found.st_ino)
    process.kill()
    process.wait()


def is_ended(process: subprocess.Popen[bytes], *told: bytes) -> bool:
    """Tell a guard these lines, end their pipe, and return whether it has killed the process."""
    subprocess.run([sys.executable, "-I", "-S", session_guard.__file__], input=b"".join(told), check=True)
    # It is killed, but perhaps not over, when the guard ends.
    with suppress(subprocess.TimeoutExpired):
        process.wait(KILLED_S)
    return process.returncode == -signal.SIGKILL


def test_session_that_was_not_named_in_time_is_known_by_its_output(
    printing: tuple[subprocess.Popen[bytes], bytes]
) -> None:
    """The command was killed when it had started the process, and had not told the guard."""
    process, output = printing
    assert not is_ended(process, b"+%s\n" % output, b"-%s\n" % output)
    assert is_ended(process, b"+%s\n" % output)


def test_nobody_ends_for_an_output_that_a_session_only_shares(tmp_path: Path) -> None:
    """A process in another one's session is that one's: of the command's own session, nobody is killed."""
    with (tmp_path / "output").open("wb") as output:
        found = os.fstat(output.fileno())
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=output)
    try:
        assert not is_ended(process, b"+%d:%d\n" % (found.st_dev, found.st_ino))
    finally:
        process.kill()
        process.wait()
