"""Full check of the store."""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.report import logger
from pipfast.store import manifest as manifests
from pipfast.store.archives import read_note, stored_sha256
from pipfast.store.likeness import WRITE, Expected, open_folder
from pipfast.store.manifest import DIGESTS, MANIFEST, TREE, Damaged, Folder, StoredFile, read_tree_manifest
from pipfast.store.names import ARCHIVES, BUCKETS, BYTECODE, NOTES, TREES
from pipfast.store.notes import MAX_NOTE_BYTES, is_whole
from pipfast.store.reading import opened, read_file, sha256_of_open
from pipfast.store.urls import read_address
from pipfast.upkeep.boots import note_proved
from pipfast.upkeep.inventory import Entry, entries, unknown
from pipfast.upkeep.mend import GRAIN_NS
from pipfast.upkeep.naming import explained, package_of

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout

# e.g. `cpython-311-a70d0d0a-opt0-checked-hash`
_KIND = re.compile(r"(.+)-([0-9a-f]{8})-opt[0-9]+-(?:timestamp|checked-hash)")


@dataclass(frozen=True, slots=True)
class Damage:
    """An entry that is not as it was made."""

    path: Path
    reason: str
    """A sentence with relative paths."""
    removed: bool
    name: str = ""
    """Such as ``six 1.17.0``; empty for a path that is none of ours."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of a full check."""

    checked: int
    damages: list[Damage]


def verify(layout: Layout, *, keep: bool = False) -> Verdict:
    """Check every entry completely; remove damaged ones unless ``keep``."""
    damages: list[Damage] = []
    names: dict[tuple[str, bool], str] = {}
    checked = 0
    found = list(entries(layout))
    # Bytecode after its sources, whose times it names.
    found.sort(key=lambda entry: (BUCKETS.index(entry.bucket), entry.path))
    for entry in found:
        try:
            _check(layout, entry, keep=keep)
        except (Damaged, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            if isinstance(error, FileNotFoundError) and not os.path.lexists(entry.path):
                continue  # Another process has removed it meanwhile.
            # Before its archive is removed, which may have the name of the next entry, too.
            name = names[entry.digest, entry.bucket in NOTES] = (
                names.get((entry.digest, entry.bucket in NOTES)) or package_of(layout, entry)
            )
            removed = not keep and layout.discard(entry.path)
            damages.append(Damage(entry.path, explained(entry, error), removed, name))
        checked += 1
    # Only paths with a name of ours are ever removed.
    damages += [Damage(path, "it is none of ours; it stays there", removed=False) for path in unknown(layout)]
    return Verdict(checked, damages)


def prove(layout: Layout, digest: str, umask: int, tag: str | None) -> None:
    """Check a tree, and its bytecode of one kind (``tag``); remove a damaged one."""
    tree = layout.tree(digest, umask)
    proved = [Entry(TREES, digest, tree, 0.0, f"{umask:03o}")]
    try:
        tree_id = read_tree_manifest(tree).tree_id
        if tag is not None:
            code = layout.bytecode(digest, umask, tree_id, tag)
            proved += [Entry(BYTECODE, digest, code, 0.0, tag, tree_id)] if code.is_dir() else []
    except (OSError, Damaged):
        layout.discard(tree)
        return
    for entry in proved:
        try:
            _check(layout, entry, keep=True)
        except (Damaged, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            logger.debug("pipfast: damaged, perhaps as the machine went down: %s: %s", entry.path, error)
            layout.discard(entry.path)
        else:
            note_proved(entry.path)


def _check(layout: Layout, entry: Entry, *, keep: bool) -> None:
    _check_owner(entry.path)
    if entry.bucket == ARCHIVES:
        _check_archive(entry)
    elif entry.bucket == TREES:
        _check_tree(entry, keep=keep)
    elif entry.bucket == BYTECODE:
        _check_bytecode(layout, entry, keep=keep)
    elif entry.bucket in NOTES:
        if not is_whole(read_file(entry.path, MAX_NOTE_BYTES)):
            raise Damaged("its checksum is another one")
    else:
        read_address(entry.path)


def _check_owner(path: Path) -> None:
    if hasattr(os, "geteuid") and path.lstat().st_uid != os.geteuid():
        raise Damaged(f"{path} belongs to another user")


def _check_archive(entry: Entry) -> None:
    size, _ = read_note(entry.path)
    held = entry.path / "bytes"
    found = held.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(f"{held} is no regular file")
    _check_owner(held)
    if found.st_size != size:
        raise Damaged("its size is not what was noted")
    if stored_sha256(held) != entry.digest:
        raise Damaged("its SHA-256 is another one")
    if {path.name for path in entry.path.iterdir()} != {"note.json", "bytes"}:
        raise Damaged("it has files that are none of ours")


def _check_tree(entry: Entry, *, keep: bool) -> None:
    manifest = read_tree_manifest(entry.path)
    digests = manifests.read_digests(entry.path)
    _check_files(entry.path, manifest.folders, digests, below="", keep=keep)
    info = {f"{manifest.info_dir}/{name}": digest for name, digest in manifest.info.items()}
    if not info.items() <= digests.items():
        raise Damaged("its manifest and its digests differ")


def _check_bytecode(layout: Layout, entry: Entry, *, keep: bool) -> None:
    compiled, digests = manifests.read_bytecode_manifest(entry.path), manifests.read_digests(entry.path)
    umask = entry.path.parent.name.split("-")[1]
    _check_files(entry.path, compiled, digests, below="__pycache__", keep=keep)
    tree = layout.tree(entry.digest, int(umask, 8))
    try:
        tree_manifest = read_tree_manifest(tree)
    except (FileNotFoundError, Damaged):
        return
    if tree_manifest.tree_id != entry.tree_id:
        # Bytecode of an earlier unpacking: `prune` removes it.
        return
    sources = {folder.path_of(file.name): file for folder in tree_manifest.folders for file in folder.files}
    match = _KIND.fullmatch(entry.path.name)
    if match is None:
        raise Damaged("it names no kind of bytecode")
    tag, magic = match.groups()
    for folder in compiled:
        for file in folder.files:
            stem, found_tag, _ = file.name.partition(f".{tag}.")
            # The bytecode of a source named `.py` is named for the stem `py`.
            names = [f"{stem}.py", ".py"] if stem == "py" else [f"{stem}.py"]
            source = next((path for path in map(folder.path_of, names) if path in sources), None)
            if not found_tag or source is None:
                raise Damaged(f"{file.name} is the bytecode of no source")
            cached = entry.path / TREE / folder.path / "__pycache__" / file.name
            _check_header(cached, bytes.fromhex(magic), tree / TREE / source, sources[source])


def _check_header(cached: Path, magic: bytes, source: Path, stored: StoredFile) -> None:
    """Compare a .pyc's header with its source (PEP 552)."""
    with opened(cached) as descriptor:
        head = os.read(descriptor, 16)
    if len(head) != 16 or head[:4] != magic:
        raise Damaged(f"{cached.name} has another magic number")
    (flags,) = struct.unpack("<I", head[4:8])
    if flags == 0:
        expected = struct.pack("<II", stored.mtime_ns // 10**9 & 0xFFFFFFFF, stored.size & 0xFFFFFFFF)
    elif flags == 0b11:
        if magic != importlib.util.MAGIC_NUMBER:
            return  # Another interpreter hashes with another key.
        expected = importlib.util.source_hash(read_file(source, stored.size))
    else:
        raise Damaged(f"{cached.name} has unknown flags")
    if head[8:] != expected:
        raise Damaged(f"{cached.name} is not the bytecode of its source")


def _check_files(entry: Path, folders: list[Folder], digests: dict[str, str], *, below: str, keep: bool) -> None:
    """Compare all files below an entry with its manifest: the same names, each as it was made.

    Other times alone are no damage: the store may have been restored from a backup.

    :param below: the folder in each of ``folders`` that has the files.
    :param keep: leave wrong times as they are; otherwise put them right.
    """
    # As where it is used: the whole store may have been made read-only.
    read_only = not os.access(entry, os.W_OK)
    others = _paths_below(os.fspath(entry)) - {MANIFEST, DIGESTS}
    for folder in folders:
        inside = "/".join(part for part in (TREE, folder.path, below) if part)
        path = f"{entry}/{inside}"
        descriptor = open_folder(path)
        try:
            expected = Expected(path, os.fstat(descriptor))
            for file in folder.files:
                others.discard(f"{inside}/{file.name}")
                digest = digests[folder.path_of(file.name)]
                _check_file(path, file, digest, expected, keep=keep, read_only=read_only)
        finally:
            os.close(descriptor)
    if others:
        raise Damaged(f"{min(others)} is in no manifest")


def _check_file(
    folder: str, file: StoredFile, digest: str, expected: Expected, *, keep: bool, read_only: bool
) -> None:
    path = f"{folder}/{file.name}"
    with opened(path) as descriptor:
        found = os.fstat(descriptor)
        if found.st_size != file.size or sha256_of_open(descriptor) != digest:
            raise Damaged(f"{path} was changed")
        mode = stat.S_IMODE(found.st_mode)
        if mode | (file.mode & WRITE if read_only else 0) != file.mode:
            raise Damaged(f"{path} has the mode {mode:o}, not {file.mode:o}")
        if not expected.has_its_owner(found):
            raise Damaged(f"{path} belongs to another user or group")
        if not expected.has_its_attributes(file.name):
            raise Damaged(f"{path} has other extended attributes")
        if found.st_mtime_ns == file.mtime_ns:
            return
        if found.st_nlink > 1 and abs(found.st_mtime_ns - file.mtime_ns) >= GRAIN_NS:
            raise Damaged(f"{path} has another time")
        if not keep:
            os.utime(descriptor, ns=(found.st_atime_ns, file.mtime_ns))


def _paths_below(folder: str) -> set[str]:
    """Return the relative paths of everything below a folder but folders."""
    found: set[str] = set()
    todo = [""]
    while todo:
        inside = todo.pop()
        with os.scandir(f"{folder}/{inside}") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(f"{inside}{entry.name}/")
                else:
                    found.add(inside + entry.name)
    return found
