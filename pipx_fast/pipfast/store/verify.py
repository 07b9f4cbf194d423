"""Read everything in the store and tell what is not as it was made."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import stat
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.store.archives import sha256_of
from pipfast.store.inventory import entries, unknown
from pipfast.store.layout import ARCHIVES, BUCKETS, BYTECODE, NOTES, TREES
from pipfast.store.manifest import (
    MANIFEST,
    TREE,
    Damaged,
    Folder,
    StoredFile,
    read_bytecode_manifest,
    read_tree_manifest,
)
from pipfast.store.members import NotStorable, read_members
from pipfast.store.notes import is_whole

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from pathlib import Path

    from pipfast.store.inventory import Entry
    from pipfast.store.layout import Layout
    from pipfast.store.manifest import TreeManifest

# e.g. `cpython-311-a70d0d0a-opt0-checked-hash`
_KIND = re.compile(r"(.+)-([0-9a-f]{8})-opt[0-2]-(?:timestamp|checked-hash)")

_BLOCK = 1 << 20
"""Bytes read at once."""


@dataclass(frozen=True, slots=True)
class Damage:
    """An entry that is not as it was made, and how."""

    path: Path
    reason: str
    removed: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a full check found."""

    checked: int
    damages: list[Damage]


def verify(layout: Layout, *, keep: bool = False) -> Verdict:
    """Check every entry completely; a damaged one is taken away unless ``keep``."""
    damages: list[Damage] = []
    checked = 0
    # Their trees are compared with RECORD instead: the tree of a damaged archive may be whole.
    untrusted: set[str] = set()
    found = list(entries(layout))
    # Archives first: trees are compared with what they were made from; bytecode last.
    found.sort(key=lambda entry: (BUCKETS.index(entry.bucket), entry.path))
    for entry in found:
        try:
            _check(layout, entry, untrusted)
        except FileNotFoundError as error:
            if not os.path.lexists(entry.path):
                continue  # Taken away by another process while we looked.
            damages.append(_damage(layout, entry.path, f"{error.filename} is missing", keep))
            untrusted.add(entry.digest)
        except (Damaged, NotStorable, OSError, ValueError, TypeError, KeyError) as error:
            damages.append(_damage(layout, entry.path, str(error), keep))
            untrusted.add(entry.digest)
        checked += 1
    damages += [_damage(layout, path, "it is none of ours", keep) for path in unknown(layout)]
    return Verdict(checked, damages)


def _damage(layout: Layout, path: Path, reason: str, keep: bool) -> Damage:
    return Damage(path, reason, removed=not keep and layout.discard(path))


def _check(layout: Layout, entry: Entry, untrusted: set[str]) -> None:
    """Check one entry.

    :raises Damaged: it is not as it was made; other errors come from what cannot be read.
    """
    _check_owner(entry.path)
    if entry.bucket == ARCHIVES:
        _check_archive(entry)
    elif entry.bucket == TREES:
        _check_tree(layout, entry, trusted=entry.digest not in untrusted)
    elif entry.bucket == BYTECODE:
        _check_bytecode(layout, entry)
    elif entry.bucket in NOTES:
        if not is_whole(entry.path.read_bytes()):
            raise Damaged("its checksum is another one")
    elif len(entry.path.read_text(encoding="ascii")) != 64:
        raise Damaged("it holds no digest")


def _check_owner(path: Path) -> None:
    if hasattr(os, "geteuid") and path.lstat().st_uid != os.geteuid():
        raise Damaged(f"{path} belongs to another user")


def _check_archive(entry: Entry) -> None:
    noted = json.loads((entry.path / "note.json").read_text(encoding="utf-8"))
    held = entry.path / "bytes"
    found = held.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(f"{held} is not a regular file")
    _check_owner(held)
    if (found.st_size, found.st_mtime_ns) != (noted["size"], noted["mtime_ns"]):
        raise Damaged("its size or time is not what was noted")
    if sha256_of(held) != entry.digest:
        raise Damaged("its SHA-256 is another one")
    if {path.name for path in entry.path.iterdir()} != {"note.json", "bytes"}:
        raise Damaged("it has files that are none of ours")


def _check_tree(layout: Layout, entry: Entry, *, trusted: bool) -> None:
    manifest = read_tree_manifest(entry.path)
    umask = int(entry.detail, 8)
    _check_files(entry.path, manifest.folders, umask, cache=False)
    archive = layout.archive(entry.digest) / "bytes"
    if trusted and archive.exists():
        members = {member.filename: member for member in read_members(archive).files}
        _compare_with_archive(entry.path / TREE, manifest, members)
    else:
        # Without its archive, RECORD's own digests are the best there is.
        _compare_with_record(entry.path / TREE, manifest)


def _compare_with_archive(
    tree: Path, manifest: TreeManifest, members: dict[str, zipfile.ZipInfo]
) -> None:
    paths = {path for path, _ in _paths(manifest.folders)}
    if paths != members.keys():
        raise Damaged("its files are not the archive's")
    for path in sorted(paths):
        if _crc32(tree / path) != members[path].CRC:
            raise Damaged(f"{path} has another content than in the archive")


def _compare_with_record(tree: Path, manifest: TreeManifest) -> None:
    from pipfast.install.record import digest_and_size

    paths = {path for path, _ in _paths(manifest.folders)}
    for path, digest, _ in manifest.rows:
        if digest.startswith("sha256=") and path in paths and digest_and_size(str(tree / path))[0] != digest:
            raise Damaged(f"{path} has another content than RECORD says")


def _check_bytecode(layout: Layout, entry: Entry) -> None:
    manifest = read_bytecode_manifest(entry.path)
    umask = entry.path.parent.name.split("-")[1]
    _check_files(entry.path, manifest.folders, int(umask, 8), cache=True)
    tree = layout.tree(entry.digest, int(umask, 8))
    try:
        tree_manifest = read_tree_manifest(tree)
    except (FileNotFoundError, Damaged):
        return
    if tree_manifest.tree_id != entry.tree_id:
        # Left over from a tree that was made again: `prune` takes it.
        return
    sources = {path: file for path, file in _paths(tree_manifest.folders) if path.endswith(".py")}
    match = _KIND.fullmatch(entry.path.name)
    if match is None:
        raise Damaged("it names no kind of bytecode")
    tag, magic = match.groups()
    for folder in manifest.folders:
        for file in folder.files:
            stem, found_tag, _ = file.name.partition(f".{tag}.")
            # A source named `.py` has bytecode that is named for a stem `py`.
            names = [f"{stem}.py", ".py"] if stem == "py" else [f"{stem}.py"]
            paths = [f"{folder.path}/{name}" if folder.path else name for name in names]
            source = next((path for path in paths if path in sources), None)
            if not found_tag or source is None:
                raise Damaged(f"{file.name} is the bytecode of no source")
            cached = entry.path / TREE / folder.path / "__pycache__" / file.name
            _check_header(cached, bytes.fromhex(magic), tree / TREE / source, sources[source])


def _check_header(cached: Path, magic: bytes, source: Path, stored: StoredFile) -> None:
    """Compare a .pyc's header with its source (PEP 552)."""
    with cached.open("rb") as file:
        head = file.read(16)
    if len(head) != 16 or head[:4] != magic:
        raise Damaged(f"{cached.name} has another magic number")
    (flags,) = struct.unpack("<I", head[4:8])
    if flags == 0:
        expected = struct.pack("<II", stored.mtime_ns // 10**9 & 0xFFFFFFFF, stored.size & 0xFFFFFFFF)
    elif flags == 0b11:
        if magic != importlib.util.MAGIC_NUMBER:
            return  # Another interpreter's hash has another key.
        expected = importlib.util.source_hash(source.read_bytes())
    else:
        raise Damaged(f"{cached.name} has unknown flags")
    if head[8:] != expected:
        raise Damaged(f"{cached.name} is not the bytecode of its source")


def _check_files(entry: Path, folders: list[Folder], umask: int, *, cache: bool) -> None:
    """Compare all files below an entry with its manifest: none more, none less, each as it was."""
    expected = {f"{TREE}/{path}": file for path, file in _paths(folders, cache=cache)}
    for path in _files_below(entry):
        relative = path.relative_to(entry).as_posix()
        if relative == MANIFEST:
            continue
        file = expected.pop(relative, None)
        if file is None:
            raise Damaged(f"{relative} is in no manifest")
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise Damaged(f"{relative} is not a regular file")
        if (found.st_size, found.st_mtime_ns) != (file.size, file.mtime_ns):
            raise Damaged(f"{relative} was changed")
        # What pip gives: 0o666 less the umask; executable files are executable for all.
        mode = 0o777 & ~umask | 0o111 if file.executable else 0o666 & ~umask
        if stat.S_IMODE(found.st_mode) != mode:
            raise Damaged(f"{relative} has the mode {stat.S_IMODE(found.st_mode):o}, not {mode:o}")
        _check_owner(path)
    if expected:
        raise Damaged(f"{min(expected)} is missing")


def _paths(folders: list[Folder], *, cache: bool = False) -> Iterator[tuple[str, StoredFile]]:
    for folder in folders:
        parts = [folder.path] if folder.path else []
        prefix = "/".join([*parts, "__pycache__"] if cache else parts)
        for file in folder.files:
            yield (f"{prefix}/{file.name}" if prefix else file.name), file


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _files_below(path)
        else:
            yield path


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc
