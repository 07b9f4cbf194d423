"""A content that is no prepared wheel is refused, and nothing of it leaves its folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.prepare.bytecode import current_kind
from pipfast.remote.entries import Index, Listed, Making, NotAnEntry, Plan, Receiver, encode_index
from pipfast.remote.prepared import object_of, pack, plan_of
from pipfast.remote.signing import Head
from pipfast.store.manifest import read_bytecode_manifest, read_digests, read_tree_manifest
from pipfast.system import inflate
from support.stores import UMASK, prepare
from support.wheels import Wheel

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout

MAGIC = importlib.util.MAGIC_NUMBER
PYC = MAGIC + bytes(12) + b"code"
INDEX = Index(
    "plain-1.0.dist-info", True, None, [("plain.py", "", "")],
    [("", [Listed("plain.py", 3, False, "11" * 32)]),
     ("plain-1.0.dist-info", [Listed("METADATA", 2, False, "22" * 32)])],
    [("", [Listed("plain.cpython-311.pyc", len(PYC), False, "")])],
)
BYTES = b"x=1" + b"M\n" + PYC


@pytest.fixture
def making(tmp_path: Path) -> Making:
    """Return how this machine makes entries, in two new folders."""
    for name in ("tree", "code"):
        (tmp_path / name).mkdir()
    tree, code = map(str, (tmp_path / "tree", tmp_path / "code"))
    return Making(tree, code, "ab" * 8, 1_700_000_000, UMASK, MAGIC.hex(), "timestamp")


@pytest.fixture(autouse=True)
def _umask() -> Any:
    before = os.umask(UMASK)
    yield
    os.umask(before)


def write(
    making: Making, index: Index = INDEX, content: bytes = BYTES, text: bytes | None = None, *,
    packed: bool = False, step: int = 1 << 20, more: bytes = b"", **fields: Any,
) -> None:
    """Write a content that comes in steps; ``fields`` of the plan may lie."""
    text = encode_index(index) if text is None else text
    whole = (zlib.compress(text + content) if packed else text + content) + more
    plan = Plan(len(whole), sha256(whole).hexdigest(), len(text), sha256(text).hexdigest(), packed)
    receiver = Receiver(plan._replace(**fields), making)
    try:
        for begin in range(0, len(whole), step):
            receiver.take(memoryview(whole)[begin : begin + step])
        receiver.end()
    finally:
        receiver.give_up()


@pytest.mark.parametrize("step", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
def test_entries_are_those_of_the_store(making: Making, tmp_path: Path, step: int, packed: bool) -> None:
    write(making, step=step, packed=packed)
    manifest = read_tree_manifest(tmp_path / "tree")
    assert manifest.tree_id == making.tree_id and manifest.info == {"METADATA": "22" * 32}
    assert (tmp_path / "tree/tree/plain.py").read_bytes() == b"x=1"
    (folder,) = read_bytecode_manifest(tmp_path / "code")
    pyc = tmp_path / "code/tree/__pycache__" / folder.files[0].name
    assert pyc.read_bytes() == PYC[:8] + making.second.to_bytes(4, "little") + PYC[12:]
    assert {file.mtime_ns for each in manifest.folders for file in each.files} == {making.second * 10**9}
    assert not list(tmp_path.glob("tree/facts*"))


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_packed_wheel_is_written_as_it_was(
    layout: Layout, tmp_path: Path, making: Making, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the umask there was: the mode is that of this machine."""
    files = {"plain/__init__.py": "x = 1\n", "plain/a/b.py": "y = 2\n", "plain/tool": "", "plain/.py": ""}
    archive = Wheel("plain", files=files, modes={"plain/tool": 0o755}).build()
    prepared = prepare(layout, archive, tmp_path, umask=0o027)
    path = tmp_path / "content"
    info = pack(prepared, path, packed=umask == 0o077, most=1 << 20)
    assert info is not None
    # Nothing is written of what is too large.
    plain = pack(prepared, tmp_path / "plain", packed=False, most=1 << 20)
    size = (tmp_path / "plain").stat().st_size
    assert plain is not None and pack(prepared, tmp_path / "other", packed=umask == 0o077, most=size - 1) is None
    assert not (tmp_path / "other").exists()
    assert pack(prepared, tmp_path / "other", packed=False, most=size) == plain
    head = Head("", b"", b"", "prepared", path.stat().st_size, sha256(path.read_bytes()).hexdigest(), info)
    plan = plan_of(head)
    assert plan is not None
    receiver = Receiver(plan, making._replace(umask=umask))
    receiver.take(memoryview(path.read_bytes()))
    receiver.end()
    expected = prepare(layout, archive, tmp_path, umask=umask)
    manifest, code = read_tree_manifest(tmp_path / "tree"), read_bytecode_manifest(tmp_path / "code")

    def timeless(folders: Any) -> list[Any]:
        return [(each.path, [file._replace(mtime_ns=0) for file in each.files]) for each in folders]

    assert timeless(manifest.folders) == timeless(expected.manifest.folders)
    assert manifest[2:5] == expected.manifest[2:5] and manifest.info == expected.manifest.info
    assert expected.compiled is not None and timeless(code) == timeless(expected.compiled)
    assert read_digests(tmp_path / "tree") == read_digests(expected.tree)
    found = stat.S_IMODE((tmp_path / "tree/tree/plain/tool").stat().st_mode)
    assert found == 0o777 & ~umask | 0o111


def test_large_files_are_written_as_they_come(making: Making, tmp_path: Path) -> None:
    data, code = os.urandom(1 << 19), PYC + bytes(1 << 19)
    index = INDEX._replace(
        files=[("", [Listed("a", 3, False, ""), Listed("b", len(data), True, ""), Listed("c", 0, False, "")])],
        code=[("", [Listed("b.pyc", len(code), False, ""), Listed("d.pyc", len(PYC), False, "")])],
    )
    for step in (10_000, 300_000):
        for name in ("tree", "code"):
            shutil.rmtree(tmp_path / name)
            (tmp_path / name).mkdir()
        write(making, index, b"x=1" + data + code + PYC, step=step)
        assert (tmp_path / "tree/tree/b").read_bytes() == data and (tmp_path / "tree/tree/c").read_bytes() == b""
        pyc = (tmp_path / "code/tree/__pycache__/b.pyc").read_bytes()
        assert pyc[16:] == code[16:] and read_digests(tmp_path / "code")["b.pyc"] == sha256(pyc).hexdigest()


@pytest.mark.parametrize("step", [1 << 20, 1, 7])
@pytest.mark.parametrize("beyond", [0, 1, 300])
@pytest.mark.parametrize("library", ["zlib", "isal.isal_zlib"])
def test_nothing_of_what_was_inflated_is_lost(
    making: Making, tmp_path: Path, library: str, beyond: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either library may have taken all in before it has given all out."""
    monkeypatch.setattr(inflate, "inflater", pytest.importorskip(library))
    text = encode_index(INDEX._replace(files=[("", [Listed("a", 1 << 22, False, "")])], code=[]))
    size = (2 << 20) + beyond - len(text)
    index = INDEX._replace(files=[("", [Listed("a", size, False, "")])], code=[])
    write(making, index, bytes(size), packed=True, step=step)
    assert (tmp_path / "tree/tree/a").read_bytes() == bytes(size)


@pytest.mark.parametrize("most", [5, 16, 17])
def test_files_that_take_more_than_one_call(
    making: Making, tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is nearly full takes a part, and when something was removed the rest."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:most]))
    monkeypatch.setattr(os, "writev", lambda descriptor, parts: os.write(descriptor, b"".join(parts)))
    write(making)
    pyc = tmp_path / "code/tree/__pycache__/plain.cpython-311.pyc"
    assert pyc.read_bytes() == PYC[:8] + making.second.to_bytes(4, "little") + PYC[12:]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("change", [
    {"size": 10}, {"size": 10**6}, {"sha256": "00" * 32}, {"index_sha256": "00" * 32}, {"index_size": 5},
    {"index_size": 10**6}, {"index_size": 0}, {"index_size": -1}, {"index_size": 1 << 62}, {"more": b"x"},
    {"packed": None}, {"step": 1, "sha256": "00" * 32}, {"size": -1},
])
def test_content_that_is_not_what_was_signed(making: Making, packed: bool, change: dict[str, Any]) -> None:
    change = {"packed": packed, **change}
    if change["packed"] is None:
        # It comes the other way round.
        text = encode_index(INDEX)
        whole = text + BYTES if packed else zlib.compress(text + BYTES)
        plan = Plan(len(whole), sha256(whole).hexdigest(), len(text), sha256(text).hexdigest(), packed)
        receiver = Receiver(plan, making)
        with pytest.raises(NotAnEntry):
            receiver.take(memoryview(whole))
            receiver.end()
        return
    with pytest.raises(NotAnEntry):
        write(making, **change)


def test_bomb(making: Making, tmp_path: Path) -> None:
    """A content that inflates to more than its index says is given up at once."""
    bomb = zlib.compress(bytes(1 << 25))
    plan = Plan(len(bomb), sha256(bomb).hexdigest(), 10, sha256(bytes(10)).hexdigest(), packed=True)
    with pytest.raises(NotAnEntry, match="index"):
        Receiver(plan, making).take(memoryview(bomb))
    with pytest.raises(NotAnEntry, match="other files"):
        write(making, content=BYTES + bytes(1 << 25), packed=True)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 1000


@pytest.mark.parametrize(("of", "name"), [
    *((of, name) for of in ("file", "folder", "code", "code folder")
      for name in ("../x", "/x", "..", ".", "a\\b", "a\nb", "c:x", "x\x00", "a//b", "a/")),
    ("file", ""), ("file", "a/b"), ("code", ""), ("code", "a/b"),
    *((of, name) for of in ("empty folder", "empty code folder") for name in ("../x", "/x", "..", "a/../../../x")),
])
def test_names_that_lead_out(making: Making, tmp_path: Path, name: str, of: str) -> None:
    file = Listed("x.py", 0, False, "11" * 32)
    index = {
        "file": INDEX._replace(files=[*INDEX.files, ("", [file._replace(name=name)])]),
        "folder": INDEX._replace(files=[*INDEX.files, (name, [file])]),
        "code": INDEX._replace(code=[("", [Listed(f"{name}.pyc" if name.strip("./") else name, 0, False, "")])]),
        "code folder": INDEX._replace(code=[(name, [Listed("x.pyc", 0, False, "")])]),
        "empty folder": INDEX._replace(files=[*INDEX.files, (name, [])]),
        "empty code folder": INDEX._replace(code=[(name, [])]),
    }[of]
    with pytest.raises(NotAnEntry):
        write(making, index)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("tree", "code")] == []
    assert not list(tmp_path.glob("*/*"))




@pytest.mark.parametrize("index", [
    INDEX._replace(info_dir="plain"), INDEX._replace(entry_points=1),  # type: ignore[arg-type]
    INDEX._replace(files=[("", [Listed("plain.py", -3, False, "")])]),
    INDEX._replace(files=[("", [Listed("plain.py", 2, False, "")])]),
    INDEX._replace(files=[("", [Listed("plain.py", 1 << 60, False, "")])]),
    INDEX._replace(files=[("plain.data", [Listed("plain.py", 5, False, "")])]),
    INDEX._replace(files=[("plain.data/odd", [Listed("plain.py", 5, False, "")])]),
    INDEX._replace(code=None), INDEX._replace(code=[("", [Listed("plain.so", len(PYC), False, "")])]),
    INDEX._replace(code=[("", [Listed("a.pyc", 5, False, ""), Listed("b.pyc", len(PYC) - 5, False, "")])]),
])
def test_index_that_lies(making: Making, index: Index) -> None:
    with pytest.raises(NotAnEntry):
        write(making, index)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"[" * 100_000, b"\xff", b'["a", 1, null, [1], [], null]'])
def test_index_that_is_none(making: Making, text: bytes) -> None:
    with pytest.raises(NotAnEntry):
        write(making, text=text)


@pytest.mark.parametrize("content", [BYTES[:-1], BYTES + b"x", b""])
def test_content_of_another_length(making: Making, content: bytes) -> None:
    with pytest.raises(NotAnEntry):
        write(making, content=content)


@pytest.mark.parametrize("files", [
    [("", [Listed("a", 0, False, ""), Listed("a", 0, False, "")])],
    [("", [Listed("a", 0, False, "")]), ("a", [Listed("b", 0, False, "")])],
    [("a", [Listed("b", 0, False, "")]), ("", [Listed("a", 0, False, "")])],
])
def test_two_of_one_name(making: Making, files: Any) -> None:
    with pytest.raises(OSError, match=r"exists|directory"):
        write(making, INDEX._replace(files=files, code=[]), b"")


@pytest.mark.parametrize("pyc", [b"\0\0\r\n" + PYC[4:], MAGIC + b"\3\0\0\0" + PYC[8:], PYC[:15]])
def test_bytecode_of_another_python(making: Making, pyc: bytes) -> None:
    index = INDEX._replace(code=[("", [Listed("plain.cpython-311.pyc", len(pyc), False, "")])])
    with pytest.raises(NotAnEntry, match="another Python"):
        write(making, index, BYTES[:5] + pyc)


def test_name_of_an_object_says_what_it_depends_on() -> None:
    kind = current_kind({})
    assert kind is not None
    others = [None, *(kind._replace(**each) for each in (
        {"cache_tag": "cpython-399"}, {"magic": "00000000"}, {"optimization": 2}, {"mode": "checked-hash"},
    ))]
    names = {object_of("ab" * 32, each) for each in (kind, *others)}
    assert len(names) == 6 and len({object_of(digest, kind) for digest in ("ab" * 32, "cd" * 32)}) == 2
    assert all(name.startswith(f"v1/prepared/ab/{'ab' * 32}/") for name in names)
