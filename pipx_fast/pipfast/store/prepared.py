"""A wheel in the store: its unpacked tree and its bytecode."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from pipfast.report import logger
from pipfast.store.manifest import MANIFEST, TREE, read_bytecode_manifest, read_tree_manifest
from pipfast.store.reading import read_file

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout
    from pipfast.store.manifest import Folder, StoredFile, TreeManifest


class Prepared(NamedTuple):
    """A wheel in the store, ready to be placed."""

    layout: Layout
    tree: Path
    manifest: TreeManifest
    bytecode: Path | None = None
    compiled: list[Folder] | None = None

    def has_info(self, name: str) -> bool:
        """Tell whether the .dist-info folder has a file."""
        return self._info(name) is not None

    def read_info(self, name: str) -> bytes | None:
        """Return the content of a file of the .dist-info folder; None if it is missing or damaged."""
        stored = self._info(name)
        if stored is None:
            return None
        try:
            content = read_file(self.tree / TREE / self.manifest.info_dir / name, stored.size)
        except OSError as error:
            logger.debug("pipfast: %s of a stored wheel: %r", name, error)
            return None
        if hashlib.sha256(content).hexdigest() == self.manifest.info.get(name):
            return content
        # Size and time may be right, so nothing else finds it. The tree is made again before it is installed.
        self.layout.discard(self.tree)
        return None

    def _info(self, name: str) -> StoredFile | None:
        folders = (folder for folder in self.manifest.folders if folder.path == self.manifest.info_dir)
        return next((file for folder in folders for file in folder.files if file.name == name), None)


def is_tree_there(layout: Layout, digest: str, umask: int) -> bool:
    """Tell whether the store has an archive unpacked, or seems to."""
    return os.path.exists(layout.tree(digest, umask) / MANIFEST)


def read_prepared(layout: Layout, digest: str, umask: int, tag: str | None) -> Prepared:
    """Return a stored wheel."""
    tree = layout.tree(digest, umask)
    manifest = read_tree_manifest(tree)
    if tag is None:
        return Prepared(layout, tree, manifest)
    code = layout.bytecode(digest, umask, manifest.tree_id, tag)
    return Prepared(layout, tree, manifest, code, read_bytecode_manifest(code))
