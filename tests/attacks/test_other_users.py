"""A second user of the machine: stores, sockets, pipes and temporary folders."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.store.folder import StoreUnusable
from pipfast.store.layout import open_layout
from support.program import make_box, wait_until
from support.sources import archive, backend, built_with
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Server
    from support.program import Box

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can be two users"
)

NOBODY = 65534

# The interpreter may be in a folder that only root can enter: what is needed of it is there before.
_BECOME = f"""
import errno, json, os, socket, stat, sys
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
"""


def start_as_nobody(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start Python code as another user."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BECOME + code, *arguments], stdout=subprocess.PIPE, text=True, cwd="/",
    )


def as_nobody(code: str, *arguments: str) -> Any:
    """Run Python code as another user and return what it prints, read as JSON."""
    with start_as_nobody(code, *arguments) as process:
        out, _ = process.communicate(timeout=60)
    return json.loads(out)


@pytest.fixture
def shared() -> Iterator[Path]:
    """Return a folder where all users may write, as in /tmp."""
    folder = Path(tempfile.mkdtemp(prefix="pf-users-"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


# Stores

_RACE = """
store, mine, victims = sys.argv[1:]
print("ready", flush=True)
number = 0
while True:
    number += 1
    try:
        if number % 3 == 0:
            os.mkdir(store, 0o777)
        else:
            os.symlink(mine if number % 3 == 1 else victims, store)
    except OSError:
        os.sched_yield()
        continue
    for _ in range(number % 2000):
        pass
    try:
        os.unlink(store) if os.path.islink(store) else os.rename(store, mine + "/" + str(number))
    except OSError:
        pass
"""


def test_race_for_a_store_in_a_shared_folder(shared: Path) -> None:
    """Somebody else makes the folder, or a link in its place, again and again: it is ours or it is not used."""
    store, theirs, victims = shared / "store", shared / "theirs", shared / "victims"
    for folder in (theirs, victims):
        folder.mkdir(mode=0o700)
    os.chown(theirs, NOBODY, NOBODY)
    outcomes = Counter[str]()
    with start_as_nobody(_RACE, *map(str, (store, theirs, victims))) as attacker:
        try:
            assert attacker.stdout is not None and attacker.stdout.readline() == "ready\n"
            end = time.monotonic() + 10
            while time.monotonic() < end and not (outcomes["used"] > 20 and len(outcomes) > 2):
                try:
                    layout = open_layout(store)
                except StoreUnusable as error:
                    outcomes[error.reason] += 1
                    continue
                found = store.lstat()
                outcomes["used"] += 1
                assert stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o077
                assert (layout.root / "archives-v0").lstat().st_uid == 0
                # The folder is sticky: nobody else can take it away now.
                shutil.rmtree(store)
        finally:
            attacker.kill()
    assert outcomes["used"] and len(outcomes) > 1, outcomes
    assert list(victims.iterdir()) == []
    assert not [path for path in theirs.rglob("*") if path.lstat().st_uid == 0]


def test_link_of_another_user_is_no_store(shared: Path) -> None:
    """It leads to a store of ours, or to an empty folder: whoever made it may turn it at any time."""
    ours = shared / "ours"
    for folder in (ours, shared / "empty"):
        folder.mkdir(mode=0o700)
    open_layout(ours)
    as_nobody("os.symlink(*sys.argv[1:3]); os.symlink(*sys.argv[3:]); print(1)",
              str(ours), str(shared / "store"), str(shared / "empty"), str(shared / "new"))
    for name in ("store", "new"):
        with pytest.raises(StoreUnusable):
            open_layout(shared / name)
    assert list((shared / "empty").iterdir()) == []
    (shared / "own").symlink_to(ours)
    assert open_layout(shared / "own").root == shared / "own"


# Whole programs


@pytest.fixture
def box() -> Iterator[Box]:
    """Return an environment in folders that everybody may enter."""
    root = Path(tempfile.mkdtemp(prefix="pf-users-"))
    root.chmod(0o755)
    box = make_box(root)
    box.tmp.chmod(0o1777)
    yield box
    shutil.rmtree(root)


@pytest.mark.slow
def test_store_of_somebody_else(box: Box, host: Server) -> None:
    """Filled by that user, with what is wanted: not used, whatever its modes."""
    index = host.index().add(Wheel("demo").build())
    assert box.pipfast("install", *index.args, "demo").status == 0
    assert box.pip("uninstall", "-y", "demo").status == 0
    for path in (box.store, *box.store.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    for mode in (0o700, 0o755, 0o777):
        box.store.chmod(mode)
        before = sorted(str(path) for path in box.store.rglob("*"))
        home = str(box.root / f"home{mode}")
        ended = box.pipfast("install", "--force-reinstall", *index.args, "demo", HOME=home)
        assert ended.status == 0 and "belongs to another user" in ended.err
        assert sorted(str(path) for path in box.store.rglob("*")) == before
        assert (box.site_packages / "demo" / "__init__.py").stat().st_uid == 0


_REACH = """
tmp, group = sys.argv[1], int(sys.argv[2])
reached, seen = [], 0

def attempt(what, action):
    global seen
    seen += 1
    try:
        action()
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ESRCH, errno.EISDIR):
            return
        reached.append([what, str(error)])
    else:
        reached.append([what, "reached"])

def connect(address):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)

for path in sys.argv[3:]:
    attempt(path, lambda: connect(path))
    attempt(path, lambda: os.listdir(os.path.dirname(path)))
for name in os.listdir(tmp):
    path = os.path.join(tmp, name)
    attempt(path, lambda: os.close(os.open(path, os.O_RDONLY)))
    attempt(path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)))
    attempt(path, lambda: os.rename(path, path + ".mine"))
with open("/proc/net/unix") as file:
    names = [line.split()[7] for line in file if len(line.split()) > 7]
for name in names:
    if name.startswith("@") and "pipfast" in name:
        reached.append([name, "an abstract socket"])
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open("/proc/%s/stat" % pid) as file:
            if int(file.read().rpartition(")")[2].split()[2]) != group:
                continue
    except OSError:
        continue
    for number in range(64):
        for how in (os.O_RDONLY, os.O_WRONLY):
            path = "/proc/%s/fd/%d" % (pid, number)
            attempt(path, lambda: os.open(path, how | os.O_NONBLOCK))
    attempt(pid + " mem", lambda: os.open("/proc/%s/mem" % pid, os.O_RDWR))
    attempt(pid + " signal", lambda: os.kill(int(pid), 0))
print(json.dumps([seen, reached]))
"""

_WAITING = """
import os, time
open({here!r}, "w").close()
while not os.path.exists({there!r}):
    time.sleep(0.01)
"""


@contextmanager
def building(box: Box, host: Server) -> Iterator[int]:
    """Start a command whose builds wait, with its servers, hosts and workers; yield its process group."""
    here, there = box.root / "here", box.root / "there"
    waiting = _WAITING.format(here=str(here), there=str(there))
    index = host.index().add(
        backend(), built_with("maker", "slow", scripts={"metadata": waiting}), archive("own", scripts={}),
        Wheel("demo").build(),
    )
    with box.started("-m", "pipfast", "install", *index.args, "slow", "own", "demo") as process:
        wait_until(here.exists, "the build")
        try:
            yield process.pid
        finally:
            there.touch()
            process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.slow
def test_nothing_of_a_running_command_can_be_reached(box: Box, host: Server) -> None:
    """Sockets, pipes, descriptors and temporary folders, while builds are under way; nobody foresees names."""
    with building(box, host) as group:
        sockets = [str(path) for path in box.tmp.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode)]
        assert sockets
        for path in box.tmp.iterdir():
            assert path.lstat().st_uid == 0 and not path.lstat().st_mode & 0o077, path
            assert re.search(r"[-_.a-z0-9]{8}(\.jsonl)?$", path.name), path
        seen, reached = as_nobody(_REACH, str(box.tmp), str(group), *sockets)
    assert seen > 300 and reached == []


_IN_THE_WAY = """
for name in sys.argv[2:]:
    path = os.path.join(sys.argv[1], name)
    os.symlink("/nowhere/" + name, path)
print(1)
"""


@pytest.mark.slow
def test_notes_in_the_shared_temporary_folder(box: Box, host: Server) -> None:
    """Their names can be foreseen: links and files of others there are neither followed nor believed."""
    index = host.index().add(Wheel("demo").build())
    variables = {"HOME": "/proc/nowhere", "PIPFAST_STORE": str(box.root / "file")}
    (box.root / "file").write_text("")
    first = box.pipfast("install", *index.args, "demo", **variables)
    notes = [path.name for path in box.tmp.iterdir()]
    assert notes and "not using the store" in first.err
    for path in box.tmp.iterdir():
        path.unlink()
    target = box.root / "target"
    with suppress(FileNotFoundError):
        target.unlink()
    as_nobody(_IN_THE_WAY.replace('"/nowhere/" + name', repr(str(target))), str(box.tmp), *notes)
    for _ in range(2):
        again = box.pipfast("install", "--force-reinstall", *index.args, "demo", **variables)
        assert again.status == 0 and "not using the store" in again.err
    assert not target.exists()
