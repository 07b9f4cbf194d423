"""METADATA out of parts of an archive."""

from __future__ import annotations

import io
import random
import struct
import zipfile

import pytest

from pipfast.index import ranged
from pipfast.index.ranged import TAIL_BYTES, TooMuch, read_ranged

METADATA = b"Metadata-Version: 2.1\nName: a\nVersion: 1\n"


def archive(
    files: int = 3, *, size: int = 1 << 20, metadata: tuple[str, ...] = ("a-1.dist-info/METADATA",),
    wheel: bytes | None = b"Wheel-Version: 1.0\n",
) -> bytes:
    """Return a wheel with METADATA and WHEEL at its beginning, noise after them, and many files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name in metadata:
            made.writestr(name, METADATA)
        if wheel is not None:
            made.writestr("a-1.dist-info/WHEEL", wheel)
        made.writestr("a/noise", random.Random(0).randbytes(size))
        for number in range(files):
            made.writestr(f"a/{'x' * 80}{number}.py", b"")
    return buffer.getvalue()


class Remote:
    """Bytes far away; counts what is asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[tuple[int, int]] = []

    def fetch(self, start: int, stop: int) -> bytes:
        self.asked.append((start, stop))
        return self.content[start:stop]

    def read(self) -> bytes | None:
        return read_ranged(len(self.content), self.content[-TAIL_BYTES:], self.fetch)


@pytest.mark.parametrize("files", [3, 5000], ids=["small-directory", "large-directory"])
def test_a_few_parts_are_enough(files: int) -> None:
    remote = Remote(archive(files))
    assert remote.read() == METADATA
    assert len(remote.asked) <= 4
    assert sum(stop - start for start, stop in remote.asked) < len(remote.content) // 2


def test_a_file_smaller_than_the_tail() -> None:
    remote = Remote(archive(1, size=10))
    assert remote.read() == METADATA
    assert remote.asked == []


@pytest.mark.parametrize("names", [(), ("a-1.dist-info/METADATA", "b-1.dist-info/METADATA"), ("x/METADATA",)])
def test_not_exactly_one(names: tuple[str, ...]) -> None:
    assert Remote(archive(metadata=names)).read() is None


@pytest.mark.parametrize("wheel", [
    None, b"", b"Wheel-Version: 1.1\n", b"Wheel-Version: 2.0\nWheel-Version: 1.0\n",
    b"Generator: x\n\nWheel-Version: 1.0\n", b"Wheel-Version: 1.0\nGenerator: \xff\n",
])
def test_wheel_of_which_pip_has_something_to_say(wheel: bytes | None) -> None:
    """Without a WHEEL that is plain, pip gets the whole archive."""
    assert Remote(archive(wheel=wheel)).read() is None


def test_second_folder_of_metadata() -> None:
    """pip refuses the wheel, though only one of the two has METADATA."""
    assert Remote(archive(metadata=("a-1.dist-info/METADATA", "b-1.dist-info/x"))).read() is None


@pytest.mark.parametrize("content", [b"x", b"x" * 100_000, b"PK\x05\x06" + bytes(18), b""])
def test_no_archive(content: bytes) -> None:
    try:
        assert Remote(content).read() is None
    except zipfile.BadZipFile:
        pass


def test_changed_bytes_are_noticed() -> None:
    """The member has a check sum."""
    content = archive()
    remote = Remote(content.replace(b"Name: a", b"Name: b"))
    with pytest.raises(zipfile.BadZipFile):
        remote.read()


def test_fewer_bytes_than_asked_for() -> None:
    content = archive()
    with pytest.raises(EOFError):
        read_ranged(len(content), content[-TAIL_BYTES:], lambda start, stop: content[start : stop - 1])


def test_a_directory_that_claims_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory as large as it says is not fetched."""
    monkeypatch.setattr(ranged, "MAX_BYTES", 1 << 20)
    content = bytearray(archive(size=4 << 20))
    end = content.rindex(b"PK\x05\x06")
    struct.pack_into("<LL", content, end + 12, end, 0)
    remote = Remote(bytes(content))
    with pytest.raises(TooMuch):
        remote.read()
    assert sum(stop - start for start, stop in remote.asked) <= 1 << 20


def test_a_bomb_is_not_inflated() -> None:
    """What METADATA would come to is known from the directory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a-1.dist-info/METADATA", bytes(33 << 20))
    assert Remote(buffer.getvalue()).read() is None
