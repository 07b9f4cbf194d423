"""Ways in which a stored file gets its name in an environment."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.install.linker import Linker
from pipfast.install.place import check_targets, place
from pipfast.install.plan import Batch
from pipfast.store.manifest import StoredFile
from support.stores import UMASK

if TYPE_CHECKING:
    from pipfast.settings import LinkMode

NAMES = ("a.py", "b.py", "c.py")


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    source = tmp_path / "stored"
    source.mkdir()
    files = []
    for name in NAMES:
        (source / name).write_text(f"# {name}\n")
        os.utime(source / name, ns=(1, 1_600_000_000_123_456_789))
        found = (source / name).stat()
        files.append(StoredFile(name, found.st_size, found.st_mtime_ns))
    return Batch(str(source), str(tmp_path / "env" / "lib"), tuple(files))


def inodes(folder: str) -> list[int]:
    return [Path(folder, name).stat().st_ino for name in NAMES]


def refusing(monkeypatch: pytest.MonkeyPatch, code: int, only: str | None = None) -> None:
    link = os.link

    def fake(source: Any, target: Any, **options: Any) -> None:
        if only is None or str(source).endswith(only):
            raise OSError(code, os.strerror(code))
        link(source, target, **options)

    monkeypatch.setattr(os, "link", fake)


def test_hard_links_share_the_stored_file(batch: Batch) -> None:
    assert place([batch], Linker("hardlink", UMASK)) == 3
    assert inodes(batch.target) == inodes(batch.source)


@pytest.mark.parametrize("mode", ["auto", "clone", "hardlink", "own-sources", "copy"])
def test_every_mode_gives_the_same_files(mode: LinkMode, batch: Batch) -> None:
    """Content, permissions and mtime: stored bytecode names the mtime."""
    place([batch], Linker(mode, UMASK))
    for name in NAMES:
        stored, placed = Path(batch.source, name).stat(), Path(batch.target, name).stat()
        assert (stored.st_mode, stored.st_size, stored.st_mtime_ns) == (
            placed.st_mode, placed.st_size, placed.st_mtime_ns)


def test_copies_share_nothing(batch: Batch) -> None:
    place([batch], Linker("copy", UMASK))
    assert not set(inodes(batch.target)) & set(inodes(batch.source))


def test_private_files_are_copies_whatever_the_mode(batch: Batch) -> None:
    place([Batch(batch.source, batch.target, batch.files, private=True)], Linker("hardlink", UMASK))
    assert not set(inodes(batch.target)) & set(inodes(batch.source))


def test_other_filesystem_is_said_once_and_copied(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusing(monkeypatch, errno.EXDEV)
    linker = Linker("hardlink", UMASK)
    place([batch], linker)
    assert linker.mode == "copy"
    assert not set(inodes(batch.target)) & set(inodes(batch.source))
    assert capsys.readouterr().err.count("on another filesystem") == 1


def test_one_file_with_too_many_names_is_copied_alone(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusing(monkeypatch, errno.EMLINK, only="b.py")
    linker = Linker("hardlink", UMASK)
    place([batch], linker)
    same = [a == b for a, b in zip(inodes(batch.target), inodes(batch.source), strict=True)]
    assert same == [True, False, True] and linker.mode == "hardlink"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("mode", ["auto", "hardlink", "copy"])
def test_what_is_there_is_replaced_never_written_through(mode: LinkMode, batch: Batch, tmp_path: Path) -> None:
    """The old file may be another environment's, by a link."""
    outside = tmp_path / "outside"
    outside.write_text("precious")
    Path(batch.target).mkdir(parents=True)
    os.link(outside, f"{batch.target}/a.py")
    place([batch], Linker(mode, UMASK))
    assert outside.read_text() == "precious"
    for name in NAMES:
        assert Path(batch.target, name).read_text(encoding="utf-8") == f"# {name}\n"


@pytest.mark.parametrize("mode", ["auto", "clone", "hardlink", "copy"])
@pytest.mark.parametrize("name", ["a.py", "b.py"])
@pytest.mark.parametrize("to", ["file", "nothing"])
def test_symbolic_link_is_left_as_it_is(mode: LinkMode, name: str, to: str, batch: Batch, tmp_path: Path) -> None:
    """It depends on where it leads what pip does; whether it is the first file's name does not matter."""
    (tmp_path / "file").write_text("precious")
    link = Path(batch.target, name)
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / to)
    with pytest.raises(FileExistsError) as raised:
        place([batch], Linker(mode, UMASK))
    assert raised.value.filename == str(link)
    assert link.readlink() == tmp_path / to
    assert (tmp_path / "file").read_text() == "precious"
    assert not (tmp_path / "nothing").exists()


def test_stored_file_that_is_gone_is_an_error(batch: Batch) -> None:
    Path(batch.source, "b.py").unlink()
    with pytest.raises(FileNotFoundError):
        place([batch], Linker("hardlink", UMASK))


def test_batch_without_files_makes_no_folder(batch: Batch) -> None:
    place([Batch(batch.source, batch.target, ())], Linker("auto", UMASK))
    assert not Path(batch.target).exists()


def test_a_folder_that_gives_its_group_gets_files_of_its_own(batch: Batch) -> None:
    """Below a setgid folder new files take its group, as pip's do; a hard link would keep the store's."""
    target = Path(batch.target)
    target.mkdir(parents=True)
    try:
        os.chown(target, -1, 54321)
    except PermissionError:
        pytest.skip("only root can give a folder to a group of nobody's")
    target.chmod(0o2755)
    assert place([batch], Linker("hardlink", UMASK)) == 3
    assert {Path(target, name).stat().st_gid for name in NAMES} == {54321}
    assert not set(inodes(batch.target)) & set(inodes(batch.source))


def test_a_store_below_a_folder_that_gives_its_group(batch: Batch) -> None:
    """Stored files of another group than new files have here are not linked either."""
    try:
        for name in NAMES:
            os.chown(Path(batch.source, name), -1, 54321)
    except PermissionError:
        pytest.skip("only root can give a file to a group of nobody's")
    assert place([batch], Linker("hardlink", UMASK)) == 3
    assert {Path(batch.target, name).stat().st_gid for name in NAMES} == {os.getegid()}


@pytest.mark.parametrize("mode", ["auto", "hardlink"])
def test_unwritable_folder_is_an_error_and_no_reason_to_copy(
    mode: LinkMode, batch: Batch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is said of copying where a copy would be refused as well."""
    refusing(monkeypatch, errno.EACCES)
    monkeypatch.setattr(os, "access", lambda *_: False)
    linker = Linker(mode, UMASK)
    with pytest.raises(PermissionError):
        place([batch], linker)
    assert linker.mode != "copy"
    assert capsys.readouterr().err == ""


def test_forbidden_link_in_a_writable_folder_is_copied(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """SELinux may forbid a link, and not a file."""
    refusing(monkeypatch, errno.EACCES)
    linker = Linker("hardlink", UMASK)
    assert place([batch], linker) == 3
    assert linker.mode == "copy"


@pytest.mark.parametrize(("what", "error"), [
    ("nothing", None), ("a file for a file", None), ("a folder for a file", IsADirectoryError),
    ("a link for a file", FileExistsError), ("a file for a folder", NotADirectoryError),
    ("a link to nothing for a folder", FileNotFoundError), ("a link to a folder for a folder", None),
    ("a file above a folder", NotADirectoryError),
])
def test_what_is_in_the_way_is_seen_before(
    batch: Batch, tmp_path: Path, what: str, error: type[OSError] | None
) -> None:
    """Of two folders, the first has room."""
    first = Batch(batch.source, str(tmp_path / "env" / "first"), batch.files)
    target = Path(batch.target)
    place([first], Linker("hardlink", UMASK))
    if "for a file" in what:
        target.mkdir()
    if what == "a file for a file":
        (target / "b.py").write_text("old")
    elif what == "a folder for a file":
        (target / "b.py").mkdir()
    elif what == "a link for a file":
        (target / "b.py").symlink_to(tmp_path)
    elif what == "a file for a folder":
        target.write_text("old")
    elif what.startswith("a link to"):
        target.symlink_to(tmp_path / ("gone" if "nothing" in what else "stored"))
        batch = Batch(str(tmp_path / "env" / "first"), batch.target, ())
    elif what == "a file above a folder":
        target.write_text("old")
        batch = Batch(batch.source, str(target / "below"), batch.files)
    if error is None:
        check_targets([first, batch])
    else:
        with pytest.raises(error):
            check_targets([first, batch])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("below", ["", "new/newer"])
def test_a_folder_that_is_read_only_is_seen_before(batch: Batch, below: str) -> None:
    target = Path(batch.target)
    target.mkdir(parents=True)
    target.chmod(0o500)
    with pytest.raises(PermissionError):
        check_targets([Batch(batch.source, str(target / below), batch.files)])
    target.chmod(0o700)


def test_a_relative_folder_is_seen_from_where_the_command_is(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_targets([Batch(batch.source, "new/lib", batch.files)])
    (tmp_path / "new").write_text("a file")
    with pytest.raises(NotADirectoryError):
        check_targets([Batch(batch.source, "new/lib", batch.files)])


def stored(folder: Path, content: bytes, *names: str, executable: int = 0) -> Batch:
    """Store files of one content; return how they go to ``env/lib``."""
    folder.mkdir()
    files = []
    for name in names:
        (folder / name).write_bytes(content)
        found = (folder / name).stat()
        files.append(StoredFile(name, found.st_size, found.st_mtime_ns, 0o755 if executable else 0o644))
    return Batch(str(folder), str(folder.parent / "env" / "lib"), tuple(files))


def test_sources_of_ones_own(tmp_path: Path) -> None:
    """What is edited is the environment's; code that is compiled, and data, is the store's, too."""
    own, linked = ("a.py", "b.html", "LICENSE"), ("c.so", "d.so.1", "e.pyc", "f.png")
    batch = stored(tmp_path / "stored", b"x = 1\n", *own, *linked)
    place([batch], Linker("own-sources", UMASK))
    same = {name: Path(batch.source, name).samefile(Path(batch.target, name)) for name in own + linked}
    assert same == dict.fromkeys(own, False) | dict.fromkeys(linked, True)
    Path(batch.target, "a.py").write_text("edited\n")
    assert Path(batch.source, "a.py").read_bytes() == b"x = 1\n"


def test_large_text_is_data(tmp_path: Path) -> None:
    """A megabyte of text is nobody's source."""
    batch = stored(tmp_path / "stored", b"1,2,3\n" * 200_000, "table.csv")
    place([batch], Linker("own-sources", UMASK))
    assert Path(batch.source, "table.csv").samefile(Path(batch.target, "table.csv"))


def test_own_sources_where_nothing_can_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = stored(tmp_path / "stored", b"x", "a.py", "b.so", "c.py")
    refusing(monkeypatch, errno.EXDEV)
    linker = Linker("own-sources", UMASK)
    assert place([batch], linker) == 3
    assert linker.mode == "copy"


@pytest.mark.parametrize(("mode", "said"), [("auto", False), ("hardlink", True), ("own-sources", True)])
def test_another_filesystem_is_no_news_unless_links_were_asked_for(
    mode: LinkMode, said: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = stored(tmp_path / "stored", b"x", "a.so")
    refusing(monkeypatch, errno.EXDEV)
    place([batch], Linker(mode, UMASK))
    assert ("another filesystem" in capsys.readouterr().err) is said


@pytest.mark.parametrize("mode, verb", [("clone", "clone"), ("hardlink", "link"), ("own-sources", "link")])
def test_what_was_asked_for_is_what_cannot_be_done(
    mode: LinkMode, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = stored(tmp_path / "stored", b"x", "a.so")
    monkeypatch.setattr("pipfast.install.linker._ioctl", None)
    refusing(monkeypatch, errno.EPERM)
    place([batch], Linker(mode, UMASK))
    assert f"pipfast: cannot {verb} into {batch.target} (" in capsys.readouterr().err


@pytest.mark.parametrize("executable", [0, 1])
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0o117])
def test_copies_have_the_mode_that_pip_gives(umask: int, executable: int, tmp_path: Path) -> None:
    """Whatever became of the stored file's: 0o666 less the umask, and executable for all if at all."""
    batch = stored(tmp_path / "stored", b"x", "a.py", executable=executable)
    Path(batch.source, "a.py").chmod(0o600)
    before = os.umask(umask)
    try:
        place([batch], Linker("copy", umask))
    finally:
        os.umask(before)
    wanted = 0o777 & ~umask | 0o111 if executable else 0o666 & ~umask
    assert Path(batch.target, "a.py").stat().st_mode & 0o7777 == wanted


@pytest.mark.parametrize("executable", [0, 1])
@pytest.mark.parametrize("mode", ["auto", "hardlink", "own-sources", "copy"])
def test_files_get_the_access_list_of_their_folder(mode: LinkMode, executable: int, tmp_path: Path) -> None:
    """A folder with a default access list gives it to what is made there, as to a file that pip makes."""
    batch = stored(tmp_path / "stored", b"x", "a.so", executable=executable)
    Path(batch.target).mkdir(parents=True)
    # Owner rwx, group r-x, user 4321 rwx, mask rwx, others nothing (acl(5), version 2).
    rows = [(1, 7, -1), (2, 7, 4321), (4, 5, -1), (0x10, 7, -1), (0x20, 0, -1)]
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *row) for row in rows)
    try:
        os.setxattr(batch.target, "system.posix_acl_default", packed)
    except (OSError, AttributeError):
        pytest.skip("no access lists here")
    place([batch], Linker(mode, 0o022))
    made = Path(batch.target, "made")
    made.touch()
    if executable:
        made.chmod(0o755)
    assert access(Path(batch.target, "a.so")) == access(made)
    assert "system.posix_acl_access" not in os.listxattr(f"{batch.source}/a.so")


def access(path: Path) -> tuple[int, bytes]:
    return path.stat().st_mode, os.getxattr(path, "system.posix_acl_access")
