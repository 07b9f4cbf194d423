"""Rows of our own RECORD for the folders that other Pythons write bytecode to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from pipfast import __version__
from pipfast.plugin import files
from pipfast.targets import own_record
from pipfast.targets.own_record import record_folders
from support import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534

FIRST = "pipfast/__init__.py,sha256=x,1"
LISTED = f"{FIRST}\r\npipfast-{__version__}.dist-info/RECORD,,\r\n"
ROWS = "pipfast,,\r\npipfast_hooks,,\r\n"


@pytest.fixture
def root() -> Iterator[Path]:
    """Return an installation that any user can read."""
    with tempfile.TemporaryDirectory(prefix="pf-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("pipfast", "pipfast_hooks", f"pipfast-{__version__}.dist-info"):
            (folder / each).mkdir()
        write(folder, LISTED)
        yield folder


def record_in(root: Path) -> Path:
    return root / f"pipfast-{__version__}.dist-info" / "RECORD"


def write(root: Path, content: str) -> None:
    record_in(root).write_bytes(content.encode())


def read(root: Path) -> str:
    return record_in(root).read_bytes().decode()


def test_rows_are_added_once(root: Path) -> None:
    record_folders(str(root))
    assert read(root) == LISTED + ROWS
    there = record_in(root).stat()
    record_folders(str(root))
    assert record_in(root).stat() == there
    assert not list((root / "pipfast").iterdir())


@pytest.mark.parametrize(
    ("there", "then"),
    [
        (f"{FIRST}\n", f"{FIRST}\npipfast,,\npipfast_hooks,,\n"),
        (FIRST, f"{FIRST}\npipfast,,\npipfast_hooks,,\n"),
        (f"{FIRST}\r\nother,,", f"{FIRST}\r\nother,,\r\n{ROWS}"),
        (f"{FIRST}\npipfast,,\n", f"{FIRST}\npipfast,,\npipfast_hooks,,\n"),
        (f"{FIRST}\n{ROWS}other,,\n", f"{FIRST}\n{ROWS}other,,\n"),
        (f"{FIRST}\n../pipfast,,\n", f"{FIRST}\n../pipfast,,\npipfast,,\npipfast_hooks,,\n"),
        ("", ""),
    ],
    ids=["Unix's line ends", "no line end", "no last line end", "one is there", "followed by another's", "others'",
         "empty"],
)
def test_only_what_is_missing_is_added(root: Path, there: str, then: str) -> None:
    write(root, there)
    record_folders(str(root))
    assert read(root) == then


def test_another_name_of_the_file_keeps_its_content(root: Path) -> None:
    """Of two environments whose files are hard links, one has served other Pythons."""
    (root / "other").hardlink_to(record_in(root))
    record_folders(str(root))
    assert read(root) == LISTED + ROWS
    assert (root / "other").read_bytes() == LISTED.encode()


def test_mode_owner_and_time_stay(root: Path) -> None:
    record_in(root).chmod(0o640)
    os.utime(record_in(root), ns=(5, 1_500_000_000_123_456_789))
    before = record_in(root).stat()
    record_folders(str(root))
    after = record_in(root).stat()
    assert read(root) == LISTED + ROWS
    for name in ("st_mode", "st_uid", "st_gid", "st_mtime_ns"):
        assert getattr(after, name) == getattr(before, name)


def test_a_read_only_record_is_replaced(root: Path) -> None:
    record_in(root).chmod(0o444)
    record_folders(str(root))
    assert read(root) == LISTED + ROWS


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_changes_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "replace", fail)
    before = snapshot.picture(root)
    if error is OSError:
        record_folders(str(root))
    else:
        with pytest.raises(error):
            record_folders(str(root))
    assert not list(snapshot.compare_trees(before, snapshot.picture(root)))


def test_what_another_has_written_meanwhile_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip replaces the file when it upgrades pipfast."""
    monkeypatch.setattr(os, "fsync", lambda _: write(root, f"{FIRST}\n"))
    record_folders(str(root))
    assert read(root) == f"{FIRST}\n"
    assert not list((root / "pipfast").iterdir())


def run_after(code: str, root: Path) -> int:
    """Execute code, and then ours, in a process of its own; return the exit code."""
    ours = "import sys; from pipfast.targets.own_record import record_folders; record_folders(sys.argv[1])"
    environ = {**os.environ, "PYTHONPATH": own_record.ROOT}
    return subprocess.run([sys.executable, "-c", f"{code}; {ours}", root], env=environ, check=False).returncode


def test_a_full_disk_changes_nothing(root: Path) -> None:
    """A part of the file can be written."""
    before = snapshot.picture(root)
    size = len(LISTED) + 3
    assert run_after(f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))", root) == 0
    assert not list(snapshot.compare_trees(before, snapshot.picture(root)))


def test_after_a_kill_the_next_start_goes_on(root: Path) -> None:
    assert run_after("import os; os.replace = lambda *_: os.kill(os.getpid(), 9)", root) == -signal.SIGKILL
    assert read(root) == LISTED
    (left,) = (root / "pipfast").iterdir()
    record_folders(str(root))
    # A row is about the folder that this is in.
    assert left.exists() and read(root) == LISTED + ROWS


def test_many_at_once_add_the_rows_once(root: Path) -> None:
    ready = threading.Barrier(8)

    def run() -> None:
        ready.wait()
        record_folders(str(root))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(root) == LISTED + ROWS
    assert not list((root / "pipfast").iterdir())


def test_another_users_installation_is_left_alone(root: Path) -> None:
    """Not even read: each start would do that for nothing."""
    record_in(root).chmod(0o000)
    record_in(root).parent.chmod(0o555)
    before = record_in(root).stat()
    with_root = os.geteuid() == 0
    if with_root:
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        assert os.access(record_in(root).parent, os.R_OK)
        record_folders(str(root))
    finally:
        if with_root:
            os.setresuid(0, 0, 0)
        record_in(root).parent.chmod(0o755)
    assert record_in(root).stat() == before


def test_no_record_no_rows(root: Path) -> None:
    """In a checkout, and where a distributor has left it out."""
    record_in(root).unlink()
    record_folders(str(root))
    record_in(root).parent.rmdir()
    record_folders(str(root))
    assert {path.name for path in root.iterdir()} == {"pipfast", "pipfast_hooks"}
    assert not list((root / "pipfast").iterdir())


def test_folders_are_our_packages() -> None:
    assert Path(own_record.ROOT, "pipfast", "targets", "own_record.py").samefile(own_record.__file__)
    # The folder with RECORD has this version in its name.
    assert str(Version(__version__)) == __version__


@pytest.mark.parametrize("own", [True, False], ids=["its own environment", "another one"])
def test_attaching_another_environment_adds_them(root: Path, own: bool) -> None:
    """Its Python writes bytecode of the runner even where pip then runs alone."""
    site_packages = root if own else root / "other"
    site_packages.mkdir(exist_ok=True)
    for _ in range(2):
        files.attach(site_packages, root / "pipfast")
        assert read(root) == LISTED + ("" if own else ROWS)
        # Once more, where the files are there already.
        write(root, LISTED)
