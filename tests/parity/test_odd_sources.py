"""Source distributions that mean harm: the same result or the same refusal, and nothing outside."""

from __future__ import annotations

import gzip
import tarfile
from typing import TYPE_CHECKING

import pytest

from support.twin import Scenario, pip
from support.wheels import Archive, core_metadata, sdist_of, source_tree, wheel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.environments import Places
    from support.twin import Twins


def _member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, to: str = "", mode: int = 0o644) -> bytes:
    return b"".join(_members([(name, data, kind, to, mode)]))


def _members(members: Iterable[tuple[str, bytes, bytes, str, int]]) -> Iterable[bytes]:
    for name, data, kind, to, mode in members:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname, info.mode, info.mtime = len(data), kind, to, mode, 1580608922
        yield info.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % 512)


def _with(*members: bytes, tree: dict[str, bytes] | None = None, first: bool = False) -> Archive:
    """Return a good source with further members behind the others, or before them."""
    plain = sdist_of("odd", "1.0", tree or source_tree("odd"))
    packed = gzip.decompress(plain.data)
    more = b"".join(members)
    # Two empty blocks end a tar archive, which is filled up to 10 KiB.
    whole = more + packed if first else packed.rstrip(b"\0") + bytes(-len(packed.rstrip(b"\0")) % 512) + more
    return Archive(plain.filename, gzip.compress(whole + bytes(10240), mtime=0))


TOP = "odd-1.0"
SOURCES: dict[str, Archive] = {
    "outside": _with(_member("../evil.py", b"evil = 1\n")),
    "far-outside": _with(_member(f"{TOP}/../../../../evil.py", b"evil = 1\n")),
    "absolute": _with(_member("/tmp/pipfast-evil/evil.py", b"evil = 1\n")),
    "link-outside": _with(_member(f"{TOP}/link", kind=tarfile.SYMTYPE, to="../../../../etc")),
    "link-absolute": _with(_member(f"{TOP}/link", kind=tarfile.SYMTYPE, to="/etc/passwd")),
    "through-a-link": _with(
        _member(f"{TOP}/link", kind=tarfile.SYMTYPE, to="../../.."), _member(f"{TOP}/link/evil.py", b"evil = 1\n"),
    ),
    "through-a-link-in-the-tree": _with(
        _member(f"{TOP}/link", kind=tarfile.SYMTYPE, to="src"), _member(f"{TOP}/link/inside.py", b"x = 1\n"),
    ),
    "hard-link-outside": _with(_member(f"{TOP}/hard", kind=tarfile.LNKTYPE, to="../../../etc/passwd")),
    "hard-link-absolute": _with(_member(f"{TOP}/hard", kind=tarfile.LNKTYPE, to="/etc/passwd")),
    "device": _with(_member(f"{TOP}/device", kind=tarfile.CHRTYPE)),
    "pipe": _with(_member(f"{TOP}/setup.py", kind=tarfile.FIFOTYPE)),
    "setuid": _with(_member(f"{TOP}/src/odd/suid", b"x", mode=0o6755)),
    "two-tops": _with(_member("other-2.0/setup.py", b"")),
    "no-top": _with(_member("evil.py", b"evil = 1\n")),
    "name-of-a-path": _with(tree=source_tree("odd", metadata=core_metadata("../../evil", "1.0").decode())),
    "version-of-a-path": _with(tree=source_tree("odd", metadata=core_metadata("odd", "../../1").decode())),
}


def nothing_outside(places: Places) -> None:
    """Fail if a run has left something where nothing of its belongs."""
    left = [path for path in places.base.rglob("*evil*") if not {"cache", "store"} & set(path.parts)]
    assert not left


@pytest.mark.parametrize("odd", SOURCES.values(), ids=SOURCES)
def test_hostile_source(twins: Twins, odd: Archive) -> None:
    """Beside another source, so that both may be built beside pip."""
    index = twins.server.index().add(odd, wheel("first"), sdist_of("last", "1.0", source_tree("last")))
    step = pip("install", *index.args, "first", "odd", "last", fails=None)
    found = twins.differences(Scenario((step,), warm=False), nothing_outside)
    assert not found, "\n\n".join(map(str, found))
