"""Names of entries, and of their damages, for readers."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pipfast.store.archives import archive_name
from pipfast.store.manifest import TREE, Damaged, read_tree_manifest
from pipfast.store.names import ARCHIVES, BYTECODE, TREES, WORDS
from pipfast.store.reading import NotAFile

if TYPE_CHECKING:
    from pipfast.store.layout import Layout
    from pipfast.upkeep.inventory import Entry


def package_of(layout: Layout, entry: Entry) -> str:
    """Return an entry's package and version, a file's name, or the kind of a note."""
    if entry.bucket not in (ARCHIVES, TREES, BYTECODE):
        return WORDS[entry.bucket][0]
    name = archive_name(layout.archive(entry.digest))
    if name is not None:
        return display_name(name)
    umask = entry.path.parent.name.split("-")[1] if entry.bucket == BYTECODE else entry.detail
    try:
        info_dir = read_tree_manifest(layout.tree(entry.digest, int(umask, 8))).info_dir
    except (OSError, ValueError, Damaged):
        return WORDS[entry.bucket][0]
    return info_dir.removesuffix(".dist-info").replace("-", " ", 1)


def display_name(filename: str) -> str:
    """Return ``six 1.17.0`` for a wheel, and the whole name of another archive."""
    # Not packaging's `parse_wheel_filename`: it changes the name's spelling.
    return " ".join(filename.split("-")[:2]) if filename.endswith(".whl") else filename


def explained(entry: Entry, error: Exception) -> str:
    """Say what is wrong with an entry, with relative paths and without error numbers."""
    if isinstance(error, OSError):
        path = _inside(entry, str(error.filename or entry.path))
        if isinstance(error, NotAFile):
            return f"{path} is larger than any file of ours" if error.errno == errno.EFBIG else (
                f"{path} is no regular file"
            )
        if isinstance(error, FileNotFoundError):
            return f"{path} is missing"
        return f"{path} cannot be read ({error.strerror or error})"
    if isinstance(error, Damaged):
        return _inside(entry, str(error))
    return "what is noted about it cannot be read"


def _inside(entry: Entry, text: str) -> str:
    return text.replace(f"{entry.path}/{TREE}/", "").replace(f"{entry.path}/", "").replace(str(entry.path), "it")
