"""Archives that are kept unpacked, and reasons against others."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipfast.prepare.unpack import unpack_members
from pipfast.wheel.members import read_members
from pipfast.wheel.scheme import NotStorable
from support.wheels import SYMLINK_MODE, Archive, Member, Wheel, wheel, with_broken_member

if TYPE_CHECKING:
    from pathlib import Path


def unpack(data: bytes, folder: Path) -> Path:
    path = folder / "a.whl"
    path.write_bytes(data)
    tree = folder / "tree"
    tree.mkdir(exist_ok=True)
    unpack_members(path, read_members(path).files, tree, 0o022, 1_700_000_000)
    return tree


def with_more(*members: Member) -> bytes:
    return Wheel("demo", more=[Member(m.name, m.data, m.mode, m.compression, recorded=False) for m in members]
                 ).build().data


@pytest.mark.parametrize(
    "names",
    [
        ["../x"], ["a/../../x"], ["/etc/x"], ["a\\x"], ["c:x"], ["a//x"], ["./x"], ["a/./x"], ["a\nb"],
        ["x", "x"], ["a/X", "a/x"], ["a", "a/b"], ["a/b", "A"], ["demo-1.0.data/unknown/x"],
        ["demo-1.0.data/x"], ["other-1.0.dist-info/METADATA"],
    ],
    ids=str,
)
def test_unusual_names_are_refused(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(NotStorable):
        unpack(with_more(*(Member(name, b"x") for name in names)), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"a.whl", "tree"}


def test_symlink_member_becomes_a_regular_file_with_the_link_text(tmp_path: Path) -> None:
    """As under pip, which never makes links."""
    tree = unpack(with_more(Member("link", b"/etc/passwd", SYMLINK_MODE)), tmp_path)
    assert not (tree / "link").is_symlink()
    assert (tree / "link").read_bytes() == b"/etc/passwd"


@pytest.mark.parametrize("change", [-1, 1, 1000])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_size_that_is_not_true_is_refused(change: int, compression: int, tmp_path: Path) -> None:
    """A bomb says it is small; a hole says it is large."""
    data = bytearray(Wheel("demo", files={"demo.py": b"x = 1\n" * 50}, compression=compression).build().data)
    entry = data.index(b"PK\x01\x02")
    (size,) = struct.unpack_from("<L", data, entry + 24)
    struct.pack_into("<L", data, entry + 24, size + change)
    with pytest.raises(NotStorable):
        unpack(bytes(data), tmp_path)


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    """Two names for the same bytes: how small archives unpack to huge ones."""
    data = bytearray(with_more(Member("one.txt", b"1" * 99), Member("two.txt", b"1" * 99)))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        offset = archive.getinfo("one.txt").header_offset
    entry = data.rindex(b"two.txt") - 46
    struct.pack_into("<L", data, entry + 42, offset)
    with pytest.raises(NotStorable):
        unpack(bytes(data), tmp_path)


def test_bad_crc_is_refused(tmp_path: Path) -> None:
    broken = with_broken_member(
        Wheel("demo", files={"demo.py": b"x = 1\n" * 50}, compression=zipfile.ZIP_STORED).build(), "demo.py"
    )
    with pytest.raises(NotStorable, match="CRC"):
        unpack(broken.data, tmp_path)


@pytest.mark.parametrize("bit", [0x1, 0x20, 0x40])
def test_encrypted_and_patched_members_are_refused(bit: int, tmp_path: Path) -> None:
    data = bytearray(wheel("demo").data)
    data[data.index(b"PK\x01\x02") + 8] |= bit
    with pytest.raises(NotStorable):
        unpack(bytes(data), tmp_path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_left_to_pip(compression: int, tmp_path: Path) -> None:
    with pytest.raises(NotStorable, match="compressed by method"):
        unpack(Wheel("demo", compression=compression).build().data, tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 200, -1, -30])
def test_truncated_archives_are_refused(keep: int, tmp_path: Path) -> None:
    with pytest.raises(NotStorable):
        unpack(wheel("demo").data[:keep], tmp_path)


@pytest.mark.parametrize("version", ["1.1", "2.0", "", "one"])
def test_other_wheel_versions_are_left_to_pip(version: str, tmp_path: Path) -> None:
    with pytest.raises(NotStorable, match="Wheel-Version"):
        unpack(Wheel("demo", wheel_version=version).build().data, tmp_path)


@pytest.mark.parametrize(
    "archive",
    [
        Wheel("demo", record=lambda rows: None).build(),
        Wheel("demo", record=lambda rows: [*rows, ("a", "b", "c", "d")]).build(),
        Wheel("demo", dist_info={"METADATA": b"", "WHEEL": b"\xff\xfe"}).build(),
        Wheel("demo", dist_info={"entry_points.txt": b"\xff"}).build(),
    ],
    ids=["no-record", "four-columns", "wheel-not-utf8", "entry-points-not-utf8"],
)
def test_metadata_that_cannot_be_read_is_left_to_pip(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(NotStorable):
        unpack(archive.data, tmp_path)


def test_short_rows_of_record_are_filled_up(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    path.write_bytes(Wheel("demo", record=lambda rows: [(row[0],) for row in rows]).build().data)
    assert all(row[1:] == ("", "") for row in read_members(path).rows)


def test_streamed_archives_are_read(tmp_path: Path) -> None:
    """Data descriptors behind the members, sizes of zero in the local headers."""
    tree = unpack(Wheel("demo", streamed=True).build().data, tmp_path)
    assert (tree / "demo" / "__init__.py").is_file()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12)
)
def test_whatever_the_bytes_nothing_is_written_outside(
    changes: list[tuple[float, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Only NotStorable comes out (or the operating system's refusal), and only the tree is written."""
    data = bytearray(Wheel("demo", files={"demo/a.py": "a = 1\n", "demo/b.py": "b = 2\n" * 40}).build().data)
    for position, value in changes:
        data[int(position * len(data))] = value
    folder = tmp_path_factory.mktemp("mutated")
    try:
        unpack(bytes(data), folder)
    except (NotStorable, OSError):
        pass
    assert {path.name for path in folder.iterdir()} <= {"a.whl", "tree"}
    assert not any(path.is_symlink() for path in folder.rglob("*"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_whatever_the_name_it_stays_inside(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("named")
    try:
        unpack(with_more(Member(name, b"x")), folder)
    except (NotStorable, OSError):
        pass
    assert {path.name for path in folder.iterdir()} <= {"a.whl", "tree"}
