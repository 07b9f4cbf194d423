"""Commands that are ended from outside: interrupts, signals, closed pipes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import add_shim, group_is_empty, printed_until, wait_until
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.conftest import EndlessServer
    from support.index import Index
    from support.program import Box

CANCELLED = "ERROR: Operation cancelled by user"

NOT_LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


def _module(seed: int) -> str:
    """Return Python source that takes a while to compile."""
    numbers = random.Random(seed)
    return "".join(
        f"def f{line}(a, b=({numbers.random()}, {line})):\n    return [a * {numbers.random()} for _ in b if _]\n"
        for line in range(1500)
    )


@pytest.fixture(scope="module")
def laborious() -> Iterator[Index]:
    """Serve a wheel that takes some seconds to unpack and compile."""
    files = {f"laborious/m{number}.py": _module(number) for number in range(40)}
    with serving() as server:
        index = server.index()
        index.add(Wheel("laborious", files=files).build())
        yield index


def workers_of(parent: int) -> list[int]:
    """Return the worker processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            command = path.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b"pipfast.prepare.worker" in command:
            found.append(int(path.parent.name))
    return found


def without_progress(out: str) -> str:
    """Leave out the bar, which is drawn or not drawn yet when the interrupt comes."""
    return "".join(line for line in out.splitlines(keepends=True) if " eta " not in line)


@pytest.mark.parametrize("command", ["install", "download"])
def test_interrupt_during_a_download_is_as_under_pip(box: Box, endless: EndlessServer, command: str) -> None:
    """Exit code, both streams and what is left are those of stock pip."""
    ends = {}
    for program in ("pip", "pipfast"):
        with box.started("-m", program, command, "--index-url", endless.url, "endless") as process:
            out = printed_until(process, "  Downloading ")
            os.killpg(process.pid, signal.SIGINT)
            rest, err = process.communicate(timeout=30)
            assert group_is_empty(process.pid)
        ends[program] = (process.returncode, without_progress(out + rest), err)
        assert box.leftovers() == []
    assert ends["pipfast"] == ends["pip"]
    assert ends["pip"][2].splitlines()[-1] == CANCELLED
    assert box.broken_entries() == []
    assert "endless" not in box.installed()


def interrupt(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C, and see the command end as pip does, with all that it has started."""
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert group_is_empty(process.pid)
    assert process.returncode == 1
    assert err.splitlines()[-1] == CANCELLED


@NOT_LINUX
def test_interrupt_while_workers_unpack(box: Box, laborious: Index) -> None:
    """Workers that are busy end with the command; the store has no half of anything."""
    with box.started("-m", "pipfast", "install", *laborious.args, "laborious") as process:
        wait_until(lambda: bool(workers_of(process.pid)), "a worker")
        printed_until(process, "Installing ")
        for worker in workers_of(process.pid):
            # It does nothing any more: the command is still waiting when the interrupt comes.
            os.kill(worker, signal.SIGSTOP)
        interrupt(process)
    assert box.leftovers() == []
    assert box.broken_entries() == []
    assert "laborious" not in box.installed()
    again = box.pipfast("install", *laborious.args, "laborious")
    assert (again.status, again.err) == (0, "")


BLOCK_PLACING = """
import os, time, wrapt
@wrapt.when_imported("pipfast_hooks.install.wheel")
def block(module):
    place = module.place
    def placed(*args, **kwargs):
        result = place(*args, **kwargs)
        open(os.environ["REACHED"], "w", encoding="utf-8").close()
        time.sleep(60)
        return result
    module.place = placed
"""


def test_interrupt_while_files_are_placed(box: Box, index: Index) -> None:
    """An installation that is cut off leaves what pip leaves: no RECORD; it can be made again."""
    add_shim(box, BLOCK_PLACING)
    reached = box.root / "reached"
    with box.started("-m", "pipfast", "install", *index.args, "app", REACHED=str(reached)) as process:
        wait_until(reached.exists, "the installation")
        interrupt(process)
    assert box.leftovers() == []
    assert box.broken_entries() == []
    add_shim(box, "")
    again = box.pipfast("install", *index.args, "app")
    assert again.status == 0
    assert {"app", "library"} <= set(box.installed())


def test_termination_during_a_download(box: Box, endless: EndlessServer) -> None:
    """The command dies of the signal, as pip does, and says nothing."""
    ends = {}
    for program in ("pip", "pipfast"):
        with box.started("-m", program, "install", "--index-url", endless.url, "endless") as process:
            out = printed_until(process, "  Downloading ")
            process.send_signal(signal.SIGTERM)
            rest, err = process.communicate(timeout=30)
            assert group_is_empty(process.pid)
        ends[program] = (process.returncode, without_progress(out + rest), err)
    assert ends["pipfast"] == ends["pip"]
    assert ends["pip"][0] == -signal.SIGTERM
    assert box.broken_entries() == []


@NOT_LINUX
def test_termination_while_workers_unpack(box: Box, laborious: Index) -> None:
    """Workers notice that nobody is there any more; none of them keeps the command's output open."""
    with box.started("-m", "pipfast", "install", *laborious.args, "laborious") as process:
        wait_until(lambda: bool(workers_of(process.pid)), "a worker")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGTERM
        wait_until(lambda: group_is_empty(process.pid), "the end of the workers")
    assert box.broken_entries() == []
    again = box.pipfast("install", *laborious.args, "laborious")
    assert (again.status, again.err) == (0, "")


def test_leftovers_of_a_killed_command_go_with_the_next(box: Box, laborious: Index, index: Index) -> None:
    """Not after a day, though the process id may be another's by now."""
    tmp = box.store / "tmp"
    with box.started("-m", "pipfast", "install", *laborious.args, "laborious") as process:
        # Not just what is written aside for a moment.
        wait_until(lambda: any(".py" in name for *_, names in os.walk(tmp) for name in names), "an unpacked file")
        process.kill()
        process.wait()
        # Its workers end when they find that nobody listens.
        wait_until(lambda: group_is_empty(process.pid), "the end of the workers")
    assert list(tmp.iterdir()) and list((box.store / "locks").iterdir())
    next_one = box.pipfast("install", *index.args, "app")
    assert (next_one.status, next_one.err) == (0, "")
    assert list(tmp.iterdir()) == [] and list((box.store / "locks").iterdir()) == []


def test_pruning_leaves_a_running_command_alone(box: Box, laborious: Index) -> None:
    """Not even where its process id says nothing: in a container of its own, on a shared volume."""
    tmp = box.store / "tmp"
    with box.started("-m", "pipfast", "install", *laborious.args, "laborious") as process:
        wait_until(lambda: tmp.is_dir() and any(tmp.iterdir()), "something in tmp")
        assert box.pipfast("store", "prune").status == 0
        assert process.wait(timeout=60) == 0
    assert box.leftovers() == [] and box.broken_entries() == []


@pytest.mark.parametrize("place", ["project", "home"])
def test_folder_in_use_is_never_a_store(box: Box, index: Index, place: str) -> None:
    """What is in it stays as it is, and pip's installation goes on without a store."""
    folder = box.root / place
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    precious = folder / "tmp" / "4711-0123456789abcdef"
    precious.write_text("precious")
    os.utime(precious, (1, 1))
    for args in (("install", *index.args, "app"), ("store", "prune"), ("store", "verify"), ("store", "purge")):
        ended = box.pipfast(*args, PIPFAST_STORE=str(folder))
        assert (ended.status == 0) == (args[0] == "install"), ended.err
        assert ("pipfast: " if args[0] == "install" else "ERROR: ") in ended.err and "hint: " in ended.err
    assert [path.name for path in folder.iterdir() if not path.name.startswith(".")] == ["tmp"]
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("command", ["install", "download"])
def test_closed_pipe_is_as_under_pip(box: Box, index: Index, command: str) -> None:
    """Who reads standard output has gone: pip's exit code, and pip's message."""
    ends = {}
    for program in ("pip", "pipfast"):
        read, write = os.pipe()
        os.close(read)
        try:
            ended = subprocess.run(
                [str(box.python), "-m", program, command, "--no-deps", *index.args, "app"],
                cwd=box.work, env=box.environ(), stdout=write, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                encoding="utf-8", timeout=60, check=False,
            )
        finally:
            os.close(write)
        ends[program] = (ended.returncode, ended.stderr)
        assert box.leftovers() == []
    assert ends["pipfast"] == ends["pip"]
    assert "Pipe to stdout was broken" in ends["pip"][1]
    assert box.broken_entries() == []


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(box: Box, index: Index, closed: str) -> None:
    """Without a standard stream the command ends as under pip; no file of ours takes its place."""
    ends = {}
    for program in ("pip", "pipfast"):
        target = box.root / program
        command = [str(box.python), "-m", program, "install", "--target", str(target), *index.args, "app"]
        ended = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *command],
            cwd=box.work, env=box.environ(), capture_output=True, encoding="utf-8", timeout=60, check=False,
        )
        names = sorted(path.name for path in target.iterdir()) if target.exists() else None
        ends[program] = (ended.returncode, ended.stdout, ended.stderr, names)
    assert ends["pipfast"] == ends["pip"]
    assert box.broken_entries() == []


def test_stored_files_are_whole_after_many_interrupts(box: Box, laborious: Index) -> None:
    """Wherever an interrupt comes, nothing is left behind and the next command succeeds."""
    for tenths in (2, 5, 8, 11):
        with box.started("-m", "pipfast", "install", *laborious.args, "laborious") as process:
            try:
                process.wait(timeout=tenths / 10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=30)
            assert group_is_empty(process.pid)
        assert box.leftovers() == []
        assert box.broken_entries() == []
    again = box.pipfast("install", "--force-reinstall", *laborious.args, "laborious")
    assert again.status == 0


@pytest.mark.parametrize("command", [["doctor"], ["store", "info"], ["doctor", "--json"]], ids=" ".join)
def test_closed_pipe_ends_our_own_commands_as_pips(box: Box, command: list[str]) -> None:
    """One line, pip's exit code, and no traceback."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        ended = subprocess.run(
            [str(box.python), "-m", "pipfast", *command], cwd=box.work, env=box.environ(),
            stdout=closed, stderr=subprocess.PIPE, encoding="utf-8", timeout=60, check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, "ERROR: Pipe to stdout was broken\n")
