"""Modes and contents of unpacked files."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest

from pipfast.prepare.unpack import unpack_members
from pipfast.wheel.members import read_members
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=[0o022, 0o077, 0o027], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_modes_are_those_of_pip(umask: int, tmp_path: Path) -> None:
    """Regular files 0o666 less the umask; any executable bit makes a file executable for all."""
    path = tmp_path / "a.whl"
    modes = {"plain": 0o600, "odd": 0o464, "owner": 0o744, "other": 0o645, "all": 0o777}
    path.write_bytes(Wheel("demo", files=dict.fromkeys(modes, b"x"), modes=modes).build().data)
    members = [member for member in read_members(path).files if member.filename in modes]
    facts = unpack_members(path, members, tmp_path / "tree", umask, 1_700_000_000)
    for name, _, _, recorded, _ in facts:
        mode = stat.S_IMODE((tmp_path / "tree" / name).stat().st_mode)
        expected = 0o777 & ~umask | 0o111 if modes[name] & 0o111 else 0o666 & ~umask
        assert (name, oct(mode), oct(recorded)) == (name, oct(expected), oct(expected))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_contents_sizes_and_times(compression: int, tmp_path: Path) -> None:
    contents = {"empty": b"", "text": b"a\r\nb\n", "big": os.urandom(1 << 20) + b"\0" * (1 << 20)}
    path = tmp_path / "a.whl"
    path.write_bytes(Wheel("demo", files=contents, compression=compression).build().data)
    members = read_members(path).files
    facts = unpack_members(path, members, tmp_path / "tree", 0o022, 1_700_000_000)
    for name, size, mtime_ns, _, digest in facts:
        found = (tmp_path / "tree" / name).stat()
        assert (found.st_size, found.st_mtime_ns) == (size, mtime_ns)
        assert hashlib.sha256((tmp_path / "tree" / name).read_bytes()).hexdigest() == digest
        if name in contents:
            assert (tmp_path / "tree" / name).read_bytes() == contents[name]


def test_existing_file_is_never_written_through(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    path.write_bytes(Wheel("demo", files={"x": b"new"}).build().data)
    outside = tmp_path / "outside"
    outside.write_bytes(b"old")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "x").symlink_to(outside)
    with pytest.raises(FileExistsError):
        unpack_members(path, read_members(path).files, tmp_path / "tree", 0o022, 1_700_000_000)
    assert outside.read_bytes() == b"old"
