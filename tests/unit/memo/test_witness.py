from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipfast.memo.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    """Watch this process, whose store and temporary folder are in ``tmp_path``."""
    for name in ("store", "store/tmp", "tmp", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "file").touch()
    watching = Witness(str(tmp_path / "store"), str(tmp_path / "tmp"))
    watching.start()
    try:
        yield watching
    finally:
        watching.stop()


def test_what_is_looked_at(witness: Witness, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "file").read_bytes()
    assert not (other / "none").exists()
    assert [path.name for path in other.iterdir()] == ["file"]
    os.access(other, os.W_OK)
    assert not (other / "l").is_symlink()
    witness.stop()
    (other / "late").exists()
    assert witness.objection == ""
    seen = {(Path(path).name, way) for path, way in witness.looked if path.startswith(str(other))}
    assert seen == {("file", "f"), ("none", "f"), ("other", "n"), ("other", "a2"), ("l", "l")}


def test_modules_are_looked_at(witness: Witness, tmp_path: Path) -> None:
    """Python's own, too, and compiled ones, which no audit event of Python's opens."""
    Path(os.__file__).read_bytes()
    sys.audit("import", "it", str(tmp_path / "it.so"), None, None, None)
    sys.audit("import", "sys", None, None, None, None)
    sys.audit("import", "sys")
    witness.stop()
    assert witness.objection == ""
    assert {(os.__file__, "f"), (str(tmp_path / "it.so"), "f")} <= set(witness.looked)


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no file system in memory")
def test_files_in_memory_are_files(witness: Witness) -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        witness._made.clear()
        witness.objection, witness._watching = "", True
        assert Path(file.name).read_bytes() == b""
        assert list(Path("/dev/shm").iterdir())
        witness.stop()
    assert witness.objection == "" and (file.name, "f") in witness.looked


def test_functions_are_put_back(tmp_path: Path) -> None:
    before = {name: getattr(os, name) for name in ("stat", "lstat", "access", "readlink")}
    sets = {name: set(getattr(os, name)) for name in dir(os) if name.startswith("supports_")
            and isinstance(getattr(os, name), set)}
    watching = Witness(str(tmp_path), str(tmp_path))
    watching.start()
    assert os.stat in os.supports_follow_symlinks and os.stat in os.supports_dir_fd
    seeing = os.stat
    watching.stop()
    assert {name: getattr(os, name) for name in before} == before
    assert {name: getattr(os, name) for name in sets} == sets
    assert seeing(tmp_path) == tmp_path.stat()


@pytest.mark.parametrize("work", [
    lambda folder: tempfile.mkdtemp(dir=folder / "tmp"),
    lambda folder: (folder / "store" / "tmp" / "new").write_text("x", encoding="utf-8"),
    lambda folder: shutil.rmtree(tempfile.mkdtemp(dir=folder / "store" / "tmp")),
    lambda folder: Path(os.devnull).open("w", encoding="utf-8").close(),
    lambda folder: compile("1", "x", "eval"),
], ids=["temporary", "store", "store-folder", "null", "compile"])
def test_what_may_be_done(witness: Witness, tmp_path: Path, work: Callable[[Path], object]) -> None:
    work(tmp_path)
    assert witness.objection == ""


@pytest.mark.parametrize("work", [
    lambda folder: (folder / "other" / "new").write_text("x", encoding="utf-8"),
    lambda folder: (folder / "other" / "file").open("r+b").close(),
    lambda folder: (folder / "other" / "file").open("ab").close(),
    lambda folder: os.close(os.open(folder / "other" / "file", os.O_RDWR)),
    lambda folder: (folder / "other" / "new").mkdir(),
    lambda folder: (folder / "other" / "file").unlink(),
    lambda folder: (folder / "other" / "file").rename(folder / "tmp" / "file"),
    lambda folder: (folder / "tmp" / "link").hardlink_to(folder / "other" / "file"),
    lambda folder: (folder / "other" / "file").chmod(0o600),
    lambda folder: os.utime(folder / "other" / "file"),
    lambda folder: shutil.rmtree(folder / "other"),
    lambda folder: subprocess.run([sys.executable, "-c", ""], check=True),
    lambda folder: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
    lambda folder: socket.getaddrinfo("127.0.0.1", 9),
    lambda folder: _connect(),
    lambda folder: os.chdir(folder),
    lambda folder: Path("/proc/self/status").read_bytes(),
    lambda folder: _linked(folder, "/proc/self/status"),
    lambda folder: list(_linked_folder(folder, "/proc/self").iterdir()),
    lambda folder: sys.audit("somebody.else's"),
    lambda folder: (folder / "tmp" / "others").write_text("x", encoding="utf-8"),
    lambda folder: (folder / "store" / "others").write_text("x", encoding="utf-8"),
    lambda folder: os.getenv("OLDPWD"),
    lambda folder: _fifo(folder),
], ids=[
    "write", "change", "append", "descriptor", "mkdir", "unlink", "rename", "link", "chmod", "utime", "rmtree",
    "run",
    "spawn", "name", "connect", "chdir", "proc", "linked", "linked-folder", "unknown",
    "others-temporary", "others-store", "getenv", "fifo",
])
def test_what_is_not_remembered(
    witness: Witness, tmp_path: Path, work: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path.cwd())
    witness.objection = ""
    witness._watching = True
    for name, function in witness._seeing.items():
        monkeypatch.setattr(os, name, function)
    work(tmp_path)
    assert witness.objection


def _linked(folder: Path, target: str) -> bytes:
    """Read a file by a name of its own."""
    (folder / "other" / "link").symlink_to(target)
    return (folder / "other" / "link").read_bytes()


def _linked_folder(folder: Path, target: str) -> Path:
    (folder / "other" / "link").symlink_to(target)
    return folder / "other" / "link"


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "other" / "fifo")
    os.close(os.open(folder / "other" / "fifo", os.O_RDONLY | os.O_NONBLOCK))


def _connect() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())


def test_what_is_done_for_requests_alone(witness: Witness, tmp_path: Path) -> None:
    witness.look_away()
    witness.look_away()
    subprocess.run([sys.executable, "-c", ""], check=True)
    (tmp_path / "other" / "file").read_bytes()
    witness.look_back()
    (tmp_path / "other" / "none").exists()
    witness.look_back()
    assert witness.objection == "" and not any("other" in path for path, _ in witness.looked)
    (tmp_path / "other" / "none").exists()
    assert any("other" in path for path, _ in witness.looked)


def test_what_is_seen_is_what_was_there_before(witness: Witness, tmp_path: Path) -> None:
    """A folder that is exchanged in the middle shows the next time, whatever its files' times are."""
    path, newer = tmp_path / "other" / "file", tmp_path / "newer" / "file"
    path.read_bytes()
    newer.parent.mkdir()
    newer.write_text("newer", encoding="utf-8")
    path.parent.rename(tmp_path / "older")
    newer.parent.rename(path.parent)
    found = witness.looked[str(path), "f"]
    assert isinstance(found, os.stat_result) and found.st_size == 0


def test_functions_are_put_back_with_the_first_objection(witness: Witness) -> None:
    seeing = os.stat
    witness.object_to("")
    assert os.stat is not seeing
