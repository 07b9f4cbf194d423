"""Forked pips that fill build environments do as processes of their own would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipfast_hooks.builds.environments import fork_server
from pipfast_hooks.builds.environments.fork_client import SOCKET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [pytest.mark.many, pytest.mark.skipif(not fork_server.is_possible(), reason="needs Linux")]

RUNNER = f"""
import os, sys
if sys.argv[1:2] == [{fork_server.ARGUMENT!r}]:
    from pipfast_hooks.builds.environments import fork_server
    fork_server.serve(*map(int, sys.argv[2:]))
else:
    from pipfast_hooks.builds.environments import fork_client
    status = fork_client.ask(os.path.dirname(os.path.abspath(__file__)))
    if status is not None:
        os._exit(status)
exec(sys.argv[1])
"""

SELF = """
import json, os, sys, tempfile
mask = os.umask(0)
print(json.dumps([
    mask, sys.argv[1:], sys.stdin.read(), os.environ.get("PIP_PROXY"), tempfile.gettempdir(),
    sys.flags.optimize, os.environ.get("OTHER"), sys.path, os.getpgid(0), sorted(os.listdir("/proc/self/fd")),
]))
print("said", file=sys.stderr)
print(os.getppid(), file=sys.stderr)
"""

FAR_S = 30.0


class Forks:
    def __init__(self, folder: Path, before: str = "") -> None:
        folder.mkdir()
        self.runner = folder / "runner.py"
        self.runner.write_text(before + RUNNER)
        self.server: fork_server.Server | None = None

    def serve(self) -> int:
        self.server = fork_server.Server(str(self.runner))
        return self.server._process.pid

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None

    def start(self, code: str, *flags: str, **options: Any) -> subprocess.Popen[str]:
        # Not what C knows: the terminal's size, since pytest has loaded readline.
        options.setdefault("env", dict(os.environ))
        return subprocess.Popen(
            [sys.executable, *flags, str(self.runner), code, "further", "caf\udce9"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )

    def run(self, code: str, *flags: str, **options: Any) -> tuple[int, str, str]:
        process = self.start(code, *flags, **options)
        out, err = process.communicate("typed", timeout=FAR_S)
        return process.returncode, out, err


@pytest.fixture
def forks(tmp_path: Path) -> Iterator[Forks]:
    made = Forks(tmp_path / "runner")
    yield made
    made.close()


def _described(result: tuple[int, str, str]) -> tuple[int, Any, str, int]:
    status, out, err = result
    said, parent = err.splitlines()
    return status, json.loads(out), said, int(parent)


def test_it_is_the_process_that_was_asked_for(forks: Forks, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    options: dict[str, Any] = {
        "umask": 0o027,
        "env": {**os.environ, "PIP_PROXY": "p\udcff", "TMPDIR": str(tmp_path / "tmp")},
    }
    alone = _described(forks.run(SELF, **options))
    assert alone[-1] == os.getpid()
    server = forks.serve()
    assert _described(forks.run(SELF, **options)) == (*alone[:-1], server)
    # And again: the first one has left nothing behind.
    assert _described(forks.run(SELF, **options)) == (*alone[:-1], server)


@pytest.mark.parametrize("code", [
    "sys.exit(3)", "sys.exit('words')", "os._exit(7)", "1/0", "import atexit; atexit.register(print, 'last')",
    "import signal; os.kill(os.getpid(), signal.SIGKILL)", "import signal; os.kill(os.getpid(), signal.SIGTERM)",
    "import signal; os.kill(os.getpid(), signal.SIGINT)", "print('x' * 1_000_000)",
])
def test_it_ends_as_it_would_alone(forks: Forks, code: str) -> None:
    alone = forks.run(code)
    forks.serve()
    assert forks.run(code) == alone


@pytest.mark.parametrize(("flags", "variables"), [
    ((), {"OTHER": "1"}), ((), {"PYTHONHASHSEED": "7"}), (("-O",), {}), (("-X", "dev"), {}), (("-W", "once"), {}),
])
def test_what_is_different_runs_alone(forks: Forks, flags: tuple[str, ...], variables: Mapping[str, str]) -> None:
    forks.serve()
    status, described, _, parent = _described(forks.run(SELF, *flags, env={**os.environ, **variables}))
    assert (status, parent) == (0, os.getpid())
    assert described[6] == variables.get("OTHER")


def test_another_folder_runs_alone(forks: Forks, tmp_path: Path) -> None:
    forks.serve()
    assert _described(forks.run(SELF, cwd=tmp_path))[-1] == os.getpid()


@pytest.mark.parametrize("left", ["nothing", "a socket", "a file"])
def test_without_a_server_it_runs_alone(forks: Forks, left: str) -> None:
    if left == "a socket":
        forks.serve()
        forks.close()
        assert forks.runner.with_name(SOCKET).is_socket()
    elif left == "a file":
        forks.runner.with_name(SOCKET).touch()
    assert _described(forks.run(SELF))[-1] == os.getpid()


_FAILS = "def fails(*_):\n    raise OSError(1, 'not here')\n"


@pytest.mark.parametrize("before", [
    "import os\nos.pidfd_open = fails\n", "import os\nos.fork = fails\n", "import os\nos.pipe = fails\n",
    "import socket\nsocket.recv_fds = fails\n", "import os\nos.getcwd = fails\n",
    "import marshal\nmarshal.loads = fails\n",
], ids=["no-pidfd", "no-process", "no-descriptor", "no-streams", "no-folder", "no-request"])
def test_what_cannot_be_forked_runs_alone_and_once(tmp_path: Path, before: str) -> None:
    noted = tmp_path / "noted"
    server = f"import sys\nif sys.argv[1] == {fork_server.ARGUMENT!r}:\n"
    forks = Forks(tmp_path / "runner", _FAILS + server + "".join(f"    {line}\n" for line in before.splitlines()))
    try:
        forks.serve()
        for _ in range(2):
            status, out, err = forks.run(f"open({str(noted)!r}, 'a').write('.'); print(os.getppid())")
            assert (status, out, err) == (0, f"{os.getpid()}\n", "")
        assert noted.read_text(encoding="utf-8") == ".."
    finally:
        forks.close()


def test_many_at_once(forks: Forks) -> None:
    forks.serve()
    with ThreadPoolExecutor(12) as threads:
        results = list(threads.map(lambda number: forks.run(f"sys.exit({number})"), range(24)))
    assert [status for status, _, _ in results] == list(range(24))


WAIT = "import time; print(os.getpid(), flush=True); time.sleep(600)"


def _waiting(forks: Forks) -> tuple[subprocess.Popen[str], int]:
    """Return a process that waits, and its copy's id."""
    process = forks.start(WAIT)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert pid != process.pid
    return process, pid


def test_nothing_runs_on_for_one_that_was_killed(forks: Forks) -> None:
    forks.serve()
    process, pid = _waiting(forks)
    process.kill()
    process.communicate()
    _wait_until_gone(pid)
    assert forks.run("sys.exit(5)")[0] == 5


def test_ctrl_c_reaches_both(forks: Forks) -> None:
    """A terminal sends it to the whole group, in which all of them are."""
    code = WAIT.replace("time.sleep", "signal.default_int_handler and time.sleep")
    code = f"import signal\ntry:\n    {code}\nexcept KeyboardInterrupt:\n    print('cancelled'); sys.exit(4)"
    script = forks.runner.with_name("group.py")
    script.write_text(
        "import subprocess, sys, signal\n"
        "from pipfast_hooks.builds.environments import fork_server\n"
        f"server = fork_server.Server({str(forks.runner)!r})\n"
        f"process = subprocess.Popen([sys.executable, {str(forks.runner)!r}, {code!r}])\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\n"
        "status = process.wait()\n"
        "server.close()\n"
        "sys.exit(status + 10)\n"
    )
    group = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, start_new_session=True, env=dict(os.environ)
    )
    assert group.stdout is not None
    pid = int(group.stdout.readline())
    time.sleep(0.2)
    os.killpg(group.pid, signal.SIGINT)
    out, _ = group.communicate(timeout=FAR_S)
    assert (group.returncode, out) == (14, "cancelled\n")
    _wait_until_gone(pid)


def test_the_end_of_the_server_is_the_end_of_all(forks: Forks) -> None:
    server = forks.serve()
    process, pid = _waiting(forks)
    forks.close()
    process.communicate(timeout=FAR_S)
    assert process.returncode == 1
    for each in (pid, server):
        _wait_until_gone(each)


def test_a_server_ends_with_the_command_that_started_it(forks: Forks) -> None:
    script = (
        "import time\n"
        "from pipfast_hooks.builds.environments import fork_server\n"
        f"print(fork_server.Server({str(forks.runner)!r})._process.pid, flush=True)\n"
        "time.sleep(600)"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert command.stdout is not None
    server = int(command.stdout.readline())
    process, pid = _waiting(forks)
    command.kill()
    command.communicate()
    for each in (pid, server):
        _wait_until_gone(each)
    process.communicate()


def _wait_until_gone(pid: int) -> None:
    end = time.monotonic() + FAR_S
    while time.monotonic() < end:
        try:
            # A zombie whose parent has yet to look is as good as gone.
            if Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    pytest.fail(f"{pid} is still there")
