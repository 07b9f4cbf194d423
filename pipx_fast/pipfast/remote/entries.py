"""Entries of a prepared wheel, made from an object's content.

The content is an index in JSON, and the bytes of all files, one after another in the index's order: those of the
tree, then those of the bytecode. Nothing of the index is read before it has its signed digest, no name in it leads
out of the entry, and no length beyond the content. The files are nobody's until the content has its digest, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipfast.errors import PipfastError
from pipfast.store import manifest as manifests
from pipfast.store.manifest import TREE, FileFacts, Folder, StoredFile, TreeManifest
from pipfast.wheel.members import is_unusual
from pipfast.wheel.scheme import NotStorable, split_data_path

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from pipfast.settings import LinkMode
    from pipfast.store.layout import Layout

MAX_INDEX_BYTES = 64 << 20
"""Bytes beyond which an index cannot be one of ours: 100,000 files take some 12 MB."""

_HEAD_BYTES = 16
"""Bytes of a .pyc file before its code (PEP 552)."""

_AT_ONCE = 1 << 18
"""Bytes of a file that is written in one piece; a larger one is written as it comes."""

_INFLATED_BYTES = 1 << 20
"""Bytes inflated at once."""

_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class NotAnEntry(PipfastError):
    """The content is no prepared wheel; ``str()`` says how, and ends a sentence about it."""


class Making(NamedTuple):
    """The way in which entries are made on this machine."""

    tree: str
    """Empty folder that becomes the tree's entry."""
    code: str
    """The same for the bytecode; empty: none is wanted."""
    tree_id: str
    second: int
    """The time of all files, see ``prepare.making``."""
    umask: int
    magic: str = ""
    """The interpreter's magic number in hex."""
    mode: str = ""
    """As ``BytecodeKind`` has it."""


class Listed(NamedTuple):
    """A file of the index."""

    name: str
    size: int
    executable: bool
    digest: str
    """SHA-256; empty for bytecode, which gets another time in it."""


class Index(NamedTuple):
    """The beginning of the content."""

    info_dir: str
    purelib: bool
    entry_points: str | None
    rows: Sequence[tuple[str, str, str]]
    files: Sequence[tuple[str, Sequence[Listed]]]
    """By folder."""
    code: Sequence[tuple[str, Sequence[Listed]]] | None
    """Bytecode by its sources' folder; None: there is none."""


def encode_index(index: Index) -> bytes:
    """Return an index as the content begins with it."""
    return json.dumps(index, separators=(",", ":")).encode("ascii")


def decode_index(text: bytes) -> Index:
    """Return what ``encode_index`` made a text of; raises NotAnEntry: it is none, or names what is no entry's."""
    try:
        info_dir, purelib, entry_points, rows, files, code = json.loads(text)
        index = Index(
            str(info_dir), bool(purelib), entry_points,
            [(str(path), str(digest), str(size)) for path, digest, size in rows], _listed(files),
            None if code is None else _listed(code),
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise NotAnEntry("has an index that cannot be read") from error
    if not isinstance(entry_points, str | None) or not index.info_dir.endswith(".dist-info"):
        raise NotAnEntry("has an index that cannot be read")
    for folder, listed in (*index.files, *(index.code or ())):
        _check(folder, listed)
    if not all(each.name.endswith(".pyc") for _, listed in index.code or () for each in listed):
        raise NotAnEntry("has bytecode that is none")
    return index


def _listed(plain: Any) -> list[tuple[str, list[Listed]]]:
    return [(str(folder), [Listed(str(name), int(size), bool(executable), str(digest))
                           for name, size, executable, digest in files]) for folder, files in plain]


def _check(folder: str, listed: Sequence[Listed]) -> None:
    if folder and is_unusual(folder):
        raise NotAnEntry(f"has a folder of an unusual name ({folder!r})")
    begin = f"{folder}/" if folder else ""
    for each in listed:
        if "/" in each.name or is_unusual(each.name):
            raise NotAnEntry(f"has a file of an unusual name ({begin}{each.name!r})")
        if each.size < 0:
            raise NotAnEntry("has a file that is smaller than nothing")
    try:
        split_data_path(f"{begin}x")
    except NotStorable as error:
        raise NotAnEntry(f"has a file where no wheel has one ({folder!r})") from error


class Plan(NamedTuple):
    """An object's own word about its content, signed."""

    size: int
    """Bytes of the content as it comes."""
    sha256: str
    index_size: int
    index_sha256: str
    packed: bool
    """It is compressed (RFC 1950)."""


class Receiver:
    """Takes an object's content in, and writes a tree's entry and that of its bytecode.

    Both are to be renamed into place. What was written when anything fails is the caller's to remove.
    """

    def __init__(self, plan: Plan, making: Making) -> None:
        """:raises NotAnEntry: it could be no prepared wheel."""
        if not 0 < plan.index_size <= MAX_INDEX_BYTES:
            raise NotAnEntry("has an index that cannot be read")
        self._plan, self._making = plan, making
        self._missing = plan.size
        self._digest = hashlib.sha256()
        self._text = bytearray()
        self._files: _Files | None = None
        self._inflater: Any = None
        self._tree: TreeManifest | None = None
        self._compiled: list[Folder] | None = None
        if plan.packed:
            # Not at the top: what comes as it is needs no library.
            from pipfast.system.inflate import inflater

            self._inflater = inflater.decompressobj()
        os.umask(making.umask)

    def take(self, content: memoryview) -> None:
        """Take the next bytes in.

        :raises NotAnEntry: it is no prepared wheel. OSError: a file cannot be written, or there are two of a name.
        """
        self._missing -= len(content)
        if self._missing < 0:
            raise NotAnEntry("is longer than it says")
        self._digest.update(content)
        if self._inflater is None:
            self._add(content)
            return
        packed: bytes | memoryview = content
        more = True
        while more and not self._inflater.eof:
            try:
                plain = self._inflater.decompress(packed, _INFLATED_BYTES)
            except Exception as error:
                # zlib's error or isal's.
                raise NotAnEntry("was altered") from error
            packed = self._inflater.unconsumed_tail
            if plain:
                self._add(memoryview(plain))
            # isal may have taken all in, and holds back what goes beyond that length.
            more = len(plain) == _INFLATED_BYTES or (len(plain) > 0 and len(packed) > 0)
        if self._inflater.unused_data or packed:
            raise NotAnEntry("has something behind its end")

    def _add(self, plain: memoryview) -> None:
        if self._files is None:
            lacking = self._plan.index_size - len(self._text)
            self._text += plain[:lacking]
            plain = plain[lacking:]
            if len(self._text) < self._plan.index_size:
                return
            if hashlib.sha256(self._text).hexdigest() != self._plan.index_sha256:
                raise NotAnEntry("was altered")
            self._files = _Files(decode_index(bytes(self._text)), self._making)
        self._files.take(plain)

    def give_up(self) -> None:
        """Close what is open."""
        if self._files is not None:
            self._files.give_up()

    def end(self) -> None:
        """Write the manifests, when all of the content has come; raises as ``take`` does."""
        if self._missing:
            raise NotAnEntry("is cut short")
        if self._digest.hexdigest() != self._plan.sha256:
            raise NotAnEntry("was altered")
        if self._files is None:
            raise NotAnEntry("has no files")
        self._tree, self._compiled = self._files.end()

    def link(self, layout: Layout, tree: Path, code: Path | None, folder: Path, mode: LinkMode) -> bool:
        """Link the files aside, when their entries have got their names; as ``install.aside.arrange``."""
        # Not at the top: only some installations have links made before.
        from pipfast.install.aside import arrange
        from pipfast.store.prepared import Prepared

        assert self._tree is not None
        prepared = Prepared(layout, tree, self._tree, code, self._compiled)
        return arrange(prepared, folder, mode, self._making.umask, None)


class _Place(NamedTuple):
    """A folder of one of the two entries, and the facts about its files."""

    path: str
    is_code: bool
    files: list[StoredFile]
    digests: list[str]


class _Files:
    """Writes the files of an index, one after another."""

    def __init__(self, index: Index, making: Making) -> None:
        if (index.code is None) is (making.code != ""):
            raise NotAnEntry("has not the bytecode that its name says")
        self._index, self._making = index, making
        self._places: list[_Place] = []
        self._todo = self._all()
        self._next: Listed | None = None
        self._folder = self._open = -1
        self._made: set[str] = set()
        self._rest = b""
        self._left = 0
        """Bytes that the open file lacks."""
        self._hash: Any = None
        self._stamp: bytes | None = None
        if making.mode == "timestamp":
            self._stamp = struct.pack("<I", making.second & 0xFFFFFFFF)
        self._begins = bytes.fromhex(making.magic) + struct.pack("<I", 0 if self._stamp is not None else 0b11)
        self._advance()

    def _all(self) -> Generator[Listed, None, None]:
        """Yield each file when its folder is there, the current one."""
        for entry, listed, is_code in ((self._making.tree, self._index.files, False),
                                       (self._making.code, self._index.code or (), True)):
            if not entry:
                continue
            os.mkdir(f"{entry}/{TREE}")
            for path, files in listed:
                below = f"{path}/__pycache__" if path else "__pycache__"
                place = f"{entry}/{TREE}/{below if is_code else path}".rstrip("/")
                self._make(place)
                self._places.append(_Place(path, is_code, [], []))
                self._folder = os.open(place, _FOLDER)
                try:
                    yield from files
                finally:
                    os.close(self._folder)

    def _make(self, place: str) -> None:
        if place in self._made:
            return
        try:
            os.mkdir(place)
        except FileExistsError:
            pass
        except FileNotFoundError:
            self._make(place.rpartition("/")[0])
            os.mkdir(place)
        self._made.add(place)

    def _advance(self) -> None:
        self._next = next(self._todo, None)

    def take(self, plain: memoryview) -> None:
        """Write what is in the next bytes of all files."""
        if self._rest:
            plain, self._rest = memoryview(self._rest + plain), b""
        at, end = 0, len(plain)
        while (listed := self._next) is not None:
            size = listed.size
            if self._open >= 0:
                taken = min(self._left, end - at)
                self._go_on(plain[at : at + taken])
                at += taken
                if self._left:
                    return
            elif size <= end - at:
                self._write(listed, plain[at : at + size])
                at += size
            elif size > _AT_ONCE and end - at >= _HEAD_BYTES:
                self._begin(listed, plain[at:])
                return
            else:
                self._rest = bytes(plain[at:])
                return
            self._advance()
        if at != end:
            raise NotAnEntry("has other files than its index says")

    def _write(self, listed: Listed, body: memoryview) -> None:
        """Write a file in one piece: nearly all."""
        self._begin(listed, body)
        self._close(listed)

    def _begin(self, listed: Listed, body: memoryview) -> None:
        place, head = self._places[-1], b""
        if place.is_code:
            head, body = self._headed(body)
            self._hash = hashlib.sha256(head)
            self._hash.update(body)
        mode = 0o777 if listed.executable else 0o666
        self._open = descriptor = os.open(listed.name, _NEW, mode, dir_fd=self._folder)
        self._left = listed.size - len(head) - len(body)
        written = os.writev(descriptor, (head, body)) if head else os.write(descriptor, body)
        if written < len(head):
            self._write_rest(memoryview(head)[written:])
            written = len(head)
        self._write_rest(body[written - len(head) :])

    def _go_on(self, body: memoryview) -> None:
        self._left -= len(body)
        if self._hash is not None:
            self._hash.update(body)
        self._write_rest(body)
        if not self._left:
            assert self._next is not None
            self._close(self._next)

    def _write_rest(self, body: memoryview) -> None:
        # More than one call takes (2 GiB), or a full disk, of which the next call tells.
        while body:
            body = body[os.write(self._open, body) :]

    def _close(self, listed: Listed) -> None:
        descriptor, self._open = self._open, -1
        second, umask = self._making.second, self._making.umask
        try:
            if listed.executable and umask & 0o111:
                # pip makes it executable for all, whatever the umask.
                os.fchmod(descriptor, 0o777 & ~umask | 0o111)
            os.utime(descriptor, (second, second))
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        place = self._places[-1]
        place.files.append(StoredFile(listed.name, found.st_size, found.st_mtime_ns, found.st_mode & 0o7777))
        place.digests.append(listed.digest if self._hash is None else self._hash.hexdigest())
        self._hash = None

    def _headed(self, code: memoryview) -> tuple[bytes, memoryview]:
        """Return a .pyc file's head with its source's time here, and the rest."""
        head = bytes(code[:_HEAD_BYTES])
        if len(head) != _HEAD_BYTES or not head.startswith(self._begins):
            raise NotAnEntry("has bytecode of another Python")
        if self._stamp is not None:
            head = head[:8] + self._stamp + head[12:]
        return head, code[_HEAD_BYTES:]

    def give_up(self) -> None:
        """Close what is open."""
        if self._open >= 0:
            os.close(self._open)
        self._todo.close()

    def end(self) -> tuple[TreeManifest, list[Folder] | None]:
        """Write the manifests, and return what they say."""
        if self._next is not None:
            raise NotAnEntry("has other files than its index says")
        index, making = self._index, self._making
        folders, facts = _facts(each for each in self._places if not each.is_code)
        tree, compiled = TreeManifest(
            making.tree_id, index.info_dir, index.purelib, index.entry_points, list(index.rows), folders,
            manifests.info_digests(facts, index.info_dir),
        ), None
        manifests.write_tree_manifest(Path(making.tree), tree)
        manifests.write_digests(Path(making.tree), facts)
        if index.code is not None:
            compiled, facts = _facts(each for each in self._places if each.is_code)
            manifests.write_bytecode_manifest(Path(making.code), compiled)
            manifests.write_digests(Path(making.code), facts)
        return tree, compiled


def _facts(places: Iterable[_Place]) -> tuple[list[Folder], list[FileFacts]]:
    """Return files as manifests have them, by folder and one by one."""
    folders: list[Folder] = []
    facts: list[FileFacts] = []
    for path, _, files, digests in places:
        folders.append(Folder(path, tuple(files)))
        begin = f"{path}/" if path else ""
        facts += [
            (f"{begin}{file.name}", file.size, file.mtime_ns, file.mode, digest)
            for file, digest in zip(files, digests, strict=True)
        ]
    return folders, facts
