"""Manifests of stored trees and bytecode.

A manifest is a line ``pipfast <kind> <sha256 of the rest>`` and a JSON document. Reading a damaged one raises
``Damaged``, and its entry is made again. The files' digests have a document of their own: installing needs none.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pipfast.errors import PipfastError
from pipfast.store.reading import opened, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FileFacts = tuple[str, int, int, int, str]
"""Path in the archive, size in bytes, mtime in ns, permission bits, SHA-256 in hex."""

MANIFEST = "manifest"
DIGESTS = "digests"
TREE = "tree"

_MOST_BYTES = 256 << 20
"""Bytes beyond which a manifest cannot be one of ours: 100,000 files take some 10 MB."""

_UNSAFE = re.compile(r"(?:^|[/\n])(?:\.\.?)?(?:[/\n]|$)")
"""An absolute path, or an empty, ``.`` or ``..`` part, among paths joined by newlines."""


class Damaged(PipfastError):
    """An entry of the store is not as it was made."""


class StoredFile(NamedTuple):
    """One file of a folder, as it must look."""

    name: str
    size: int
    mtime_ns: int
    mode: int = 0o644

    @property
    def executable(self) -> bool:
        """Tell whether pip makes it executable for all."""
        return bool(self.mode & 0o111)


class Folder(NamedTuple):
    """One folder's files; ``path`` is relative with ``/``, empty for the root."""

    path: str
    files: tuple[StoredFile, ...]

    def below(self, root: str) -> str:
        """Return its full path below ``root``."""
        return f"{root}/{self.path}" if self.path else root

    def path_of(self, name: str) -> str:
        """Return the relative path of one of its files."""
        return f"{self.path}/{name}" if self.path else name


class TreeManifest(NamedTuple):
    """An unpacked wheel."""

    tree_id: str
    """Random; another unpacking of the same archive has another."""
    info_dir: str
    root_is_purelib: bool
    entry_points: str | None
    rows: list[tuple[str, str, str]]
    """RECORD as the wheel has it: path, hash, size."""
    folders: list[Folder]
    info: dict[str, str]

    def sources(self) -> list[tuple[str, StoredFile]]:
        """Return the Python sources, as (folder, file)."""
        found = ((folder.path, file) for folder in self.folders for file in folder.files)
        return [(path, file) for path, file in found if file.name.endswith(".py")]


def group_by_folder(facts: Iterable[FileFacts]) -> list[Folder]:
    """Gather file facts into folders, in the order of each folder's first file."""
    folders: dict[str, list[StoredFile]] = {}
    for path, size, mtime_ns, mode, _ in facts:
        folder, name = posixpath.split(path)
        folders.setdefault(folder, []).append(StoredFile(name, size, mtime_ns, mode))
    return [Folder(path, tuple(files)) for path, files in folders.items()]


def info_digests(facts: Iterable[FileFacts], info_dir: str) -> dict[str, str]:
    """Return the digests of the files directly in the .dist-info folder."""
    return {name: fact[4] for fact in facts for folder, name in [posixpath.split(fact[0])] if folder == info_dir}


def write_tree_manifest(folder: Path, manifest: TreeManifest) -> None:
    """Write the manifest of an unpacked tree into ``folder``."""
    _write(folder / MANIFEST, "tree", {
        "id": manifest.tree_id, "info_dir": manifest.info_dir, "purelib": manifest.root_is_purelib,
        "entry_points": manifest.entry_points, "rows": manifest.rows, "folders": _plain(manifest.folders),
        "info": manifest.info,
    })


def write_digests(folder: Path, facts: Iterable[FileFacts]) -> None:
    """Write the SHA-256 of each file of an entry beside its manifest."""
    _write(folder / DIGESTS, "digests", {fact[0]: fact[4] for fact in facts})


def read_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of an entry, by its path in the manifest; raises as the others do."""
    found = _read(folder / DIGESTS, "digests")
    if not all(isinstance(digest, str) for digest in found.values()):
        raise Damaged(f"{folder}: digests of the wrong type")
    return found


def write_bytecode_manifest(folder: Path, folders: list[Folder]) -> None:
    """Write the manifest of bytecode for one tree, interpreter, optimisation level and pyc mode into ``folder``.

    :param folders: those of the sources; the files stand in the ``__pycache__`` of each.
    """
    _write(folder / MANIFEST, "bytecode", {"folders": _plain(folders)})


def read_tree_manifest(folder: Path) -> TreeManifest:
    """Read the manifest in ``folder``; FileNotFoundError: there is none. Damaged: it is not as it was written."""
    body = _read(folder / MANIFEST, "tree")
    try:
        rows = [(path, digest, size) for path, digest, size in body["rows"]]
        entry_points, info = body["entry_points"], body["info"]
        typed = isinstance(entry_points, str | None) and isinstance(info, dict)
        if not typed or not re.fullmatch("[0-9a-f]{8,64}", body["id"]):
            raise Damaged(f"{folder}: fields of the wrong type")
        return TreeManifest(
            body["id"], str(body["info_dir"]), bool(body["purelib"]), entry_points, rows,
            _folders(body["folders"]), info,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{folder}: {error!r}") from error


def is_tree(folder: Path, tree_id: str) -> bool:
    """Tell whether ``folder`` still has this tree; reads only the beginning of its manifest."""
    try:
        with opened(folder / MANIFEST) as descriptor:
            return os.read(descriptor, 256).partition(b"\n")[2].startswith(f'{{"id":"{tree_id}"'.encode())
    except OSError:
        return False


def read_bytecode_manifest(folder: Path) -> list[Folder]:
    """Return what ``write_bytecode_manifest`` has written; raises as ``read_tree_manifest`` does."""
    body = _read(folder / MANIFEST, "bytecode")
    try:
        return _folders(body["folders"])
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{folder}: {error!r}") from error


def _plain(folders: list[Folder]) -> list[object]:
    return [[folder.path, [list(file) for file in folder.files]] for folder in folders]


def _folders(plain: Any) -> list[Folder]:
    folders = [Folder(path, tuple(map(StoredFile._make, files))) for path, files in plain]
    # One search for all: a manifest may name tens of thousands of files.
    listed = [file[0] for folder in folders for file in folder.files]
    names = "\n".join(listed)
    paths = "\n".join(folder.path for folder in folders if folder.path)
    if not all(listed):
        raise Damaged("a file without a name")
    if (names and ("/" in names or _UNSAFE.search(names))) or (paths and _UNSAFE.search(paths)):
        raise Damaged("a path that leaves the tree")
    return folders


def _write(path: Path, kind: str, body: dict[str, Any]) -> None:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogateescape")
    with path.open("xb") as file:
        file.write(f"pipfast {kind} {hashlib.sha256(text).hexdigest()}\n".encode())
        file.write(text)


def _read(path: Path, kind: str) -> dict[str, Any]:
    try:
        content = read_file(path, _MOST_BYTES)
    except FileNotFoundError:
        raise
    except (OSError, MemoryError) as error:
        raise Damaged(f"{path}: {error}") from error
    head, _, text = content.partition(b"\n")
    if head != f"pipfast {kind} {hashlib.sha256(text).hexdigest()}".encode():
        raise Damaged(f"{path} is truncated, changed, or of another format")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path}: {error}") from error
    if not isinstance(body, dict):
        raise Damaged(f"{path} is not an object")
    return body
