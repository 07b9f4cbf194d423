"""Stores after a power cut: what was not written is gone or torn, and nothing is believed that is not whole."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pipfast.store.folder import TAG
from support.index import serving
from support.mounts import IMAGES, image
from support.program import wait_until
from support.repeated import demo, make_repeated
from support.sources import archive
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index
    from support.repeated import Repeated

pytestmark = pytest.mark.once

CUTS = int(os.environ.get("PIPFAST_CUTS", "1"))
"""Power cuts of each kind."""

SEED = os.environ.get("PIPFAST_KILLS_SEED", "0")

_GOING_DOWN = 0x8004587D
"""The ioctl, of XFS and ext4 alike, after which nothing reaches the disk any more."""

_WITHOUT_THE_LOG = struct.pack("I", 2)


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    with serving() as server:
        index = server.index()
        index.add(demo("1.0", 10).build(), demo("2.0", 10).build(), Wheel("library").build())
        yield index.add(archive("built", scripts={}))


def tear(store: Path, choice: random.Random) -> str:
    """Have some files of a store as a filesystem leaves them that had not written all; return what was done."""
    # The tag alone is synced.
    files = sorted(path for path in store.rglob("*") if path.is_file() and path.name != TAG)
    contents = {path: path.read_bytes() for path in files}
    share = choice.choice([0.02, 0.1, 0.5, 1.0])
    done = []
    for path in files:
        if choice.random() >= share:
            continue
        found = path.stat()
        how = choice.choice(["gone", "empty", "cut off", "zeros", "zeros from", "another's"])
        done.append(f"{path.relative_to(store)}: {how}")
        if how == "gone":
            path.unlink()
            continue
        content = contents[path]
        at = choice.randrange(found.st_size + 1)
        content = {
            "empty": b"", "cut off": content[:at], "zeros": bytes(len(content)),
            "zeros from": content[:at] + bytes(len(content) - at),
            "another's": contents[choice.choice(files)][:at] + content[at:],
        }[how]
        path.write_bytes(content)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    return "\n".join(done)


def in_another_boot(store: Path) -> None:
    """Let the machine have gone down now, and come up again.

    Where the note of that is gone, the time of this boot decides, which is after all that a real cut has spoiled,
    and before all that was made here.
    """
    if (store / TAG).exists():
        (store / "boots").write_text(json.dumps({"boot": "another", "alive": time.time(), "unproved": []}))


@pytest.mark.parametrize("state", [
    "upgrade", *(pytest.param(state, marks=pytest.mark.slow) for state in ("cold", "build"))
])
def test_torn_store(tmp_path: Path, index: Index, state: str) -> None:
    """Any file may be gone, cut off, empty, full of zeros or have another's blocks."""
    names = ["built"] if state == "build" else []
    repeated = make_repeated(tmp_path, index, "upgrade" if state == "upgrade" else "cold", *names)
    choice = random.Random(f"{SEED} {state}")
    wrong = []
    for number in range(CUTS):
        repeated.restore()
        assert repeated.box.pipfast(*repeated.arguments).status == 0
        done = tear(repeated.box.store, choice)
        in_another_boot(repeated.box.store)
        wrong += [f"{number}: {problem}\n{done}" for problem in check(repeated)]
    assert not wrong, "\n".join(wrong)


def check(repeated: Repeated) -> list[str]:
    """Return what is wrong with the next run, and with the store after that."""
    problems = repeated.problems_of_next(killed=True)
    repeated.box.pipfast("store", "verify")
    return problems + repeated.damages() + repeated.problems_of_next(killed=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", IMAGES)
def test_filesystem_without_power(tmp_path: Path, index: Index, kind: str) -> None:
    """A real one, cut off while the store is written, or some seconds later."""
    repeated = make_repeated(tmp_path / "root", index, "cold", "built")
    box = repeated.box
    began = time.monotonic()
    assert box.pipfast(*repeated.arguments).status == 0
    took = time.monotonic() - began
    choice = random.Random(f"{SEED} {kind}")
    wrong, kept = [], 0
    for number in range(CUTS):
        repeated.restore()
        disk, later = tmp_path / f"disk-{number}", tmp_path / f"later-{number}"
        with image(box.store, kind, disk):
            with box.started("-m", "pipfast", *repeated.arguments) as process:
                for _ in range(2):
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(took * choice.uniform(0.2, 0.6))
                    if choice.random() < 0.8:
                        # Otherwise next to nothing is written in so short a time.
                        subprocess.run(["sync", "-f", str(box.store)], check=True)
                cut(box.store, kind, disk, later)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            wait_until(lambda: process.poll() is not None, "its end")
        with image(box.store, kind, later):
            kept += sum(1 for _ in box.store.rglob("*"))
            in_another_boot(box.store)
            wrong += [f"{number}: {problem}" for problem in check(repeated)]
        disk.unlink()
        later.unlink(missing_ok=True)
    print(f"{kind}: {CUTS} cuts left {kept} files")
    assert not wrong, "\n".join(wrong)


def cut(folder: Path, kind: str, disk: Path, later: Path) -> None:
    """Let nothing more reach the disk; ``later`` is what it has then."""
    if kind == "btrfs":
        # It has no such ioctl. What the file has now is what was written, for a commit is one block at the end.
        subprocess.run(["cp", "--sparse=always", str(disk), str(later)], check=True)
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _GOING_DOWN, _WITHOUT_THE_LOG)
    finally:
        os.close(descriptor)
    os.link(disk, later)

