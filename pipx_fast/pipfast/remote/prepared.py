"""Prepared wheels of the team's store: place, content, asking and putting."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from pipfast.prepare.making import claim_second
from pipfast.remote.client import RemoteFailed
from pipfast.remote.entries import Index, Listed, Making, Plan, encode_index
from pipfast.remote.library import NoLibrary
from pipfast.remote.remote import MAX_OBJECT_BYTES, Remote
from pipfast.remote.signing import Head, Unbelievable, read_head, sign
from pipfast.report import logger, timed
from pipfast.store.archives import find_archive, is_digest, sha256_of
from pipfast.store.manifest import TREE, Damaged, Folder, read_digests
from pipfast.store.names import BYTECODE, REMOTE, TREES
from pipfast.store.notes import keep_note, load_note, note_key
from pipfast.store.prepared import is_tree_there
from pipfast.store.reading import opened
from pipfast.system.inflate import inflater

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pipfast.prepare.aside import Link
    from pipfast.prepare.bytecode import BytecodeKind
    from pipfast.settings import LinkMode
    from pipfast.store.layout import Layout
    from pipfast.store.prepared import Prepared

KIND = "prepared"

_BLOCK = 1 << 20
"""Bytes of a file that are in memory at once."""

FORMAT = 1
"""Number of the content's form; it is part of each object's name."""


class Brought(NamedTuple):
    """How asking for a prepared wheel ended."""

    is_there: bool
    """There may be an object."""
    size: int | None = None
    """Bytes of the archive, if tree and bytecode are in the store now."""
    link: Link | None = None
    """Links it aside, as long as nothing else is asked for."""


def object_of(digest: str, kind: BytecodeKind | None) -> str:
    """Return the name of the object of a prepared wheel.

    :param digest: SHA-256 of the archive.
    :param kind: its bytecode's; None where none is installed.
    """
    key = note_key({
        "format": FORMAT, "store": [TREES, BYTECODE], "implementation": sys.implementation.name,
        "bytecode": kind.tag if kind is not None else "none",
    })
    return f"v1/prepared/{digest[:2]}/{digest}/{key[:32]}"


def plan_of(head: Head) -> Plan | None:
    """Return what an object's head says of its content; None if it says nothing of it."""
    index, index_sha256, packed = (head.info.get(each) for each in ("index", "index_sha256", "packed"))
    if not isinstance(index, int) or not isinstance(index_sha256, str) or head.kind != KIND:
        return None
    return Plan(head.size, head.sha256, index, index_sha256, packed is True)


def pack(prepared: Prepared, path: Path, *, packed: bool, most: int) -> dict[str, object] | None:
    """Write a prepared wheel's content into a new file; return what the head says of it.

    :param packed: compress it, as fast as can be.
    :param most: bytes beyond which there is no use in it; then None is returned.
    :raises Damaged: a stored file is not what it was: an environment may have changed it. OSError: one is gone.
    """
    manifest, compiled = prepared.manifest, prepared.compiled
    digests = read_digests(prepared.tree)
    text = encode_index(Index(
        manifest.info_dir, manifest.root_is_purelib, manifest.entry_points, manifest.rows,
        [(folder.path, [Listed(each.name, each.size, each.executable, digests[folder.path_of(each.name)])
                        for each in folder.files]) for folder in manifest.folders],
        None if compiled is None else
        [(folder.path, [Listed(each.name, each.size, False, "") for each in folder.files]) for folder in compiled],
    ))
    folders = (*manifest.folders, *(compiled or ()))
    if len(text) + sum(each.size for folder in folders for each in folder.files) > most:
        # Told before anything is read: that would take seconds, in each run of a machine that starts empty.
        return None
    deflater = inflater.compressobj(1) if packed else None
    with path.open("xb") as file:
        for content in chain([text], _contents(prepared, digests)):
            file.write(content if deflater is None else deflater.compress(content))
        if deflater is not None:
            file.write(deflater.flush())
    return {"index": len(text), "index_sha256": hashlib.sha256(text).hexdigest(), "packed": packed}


def _contents(prepared: Prepared, digests: Mapping[str, str]) -> Iterator[bytes]:
    yield from _files(prepared.tree, prepared.manifest.folders, digests, "")
    if prepared.bytecode is not None and prepared.compiled is not None:
        yield from _files(prepared.bytecode, prepared.compiled, read_digests(prepared.bytecode), "__pycache__")


def _files(entry: Path, folders: list[Folder], digests: Mapping[str, str], below: str) -> Iterator[bytes]:
    for folder in folders:
        place = "/".join(part for part in (os.fspath(entry), TREE, folder.path, below) if part)
        for each in folder.files:
            path = f"{place}/{each.name}"
            digest, missing = hashlib.sha256(), each.size
            with opened(path) as descriptor:
                while content := os.read(descriptor, min(_BLOCK, missing + 1)):
                    missing -= len(content)
                    digest.update(content)
                    yield content
            if missing or digest.hexdigest() != digests[folder.path_of(each.name)]:
                raise Damaged(f"{path} is not what it was")


class Arrival:
    """Entries that are on their way into the store, in folders of their own until they are whole."""

    def __init__(self, layout: Layout, digest: str, kind: BytecodeKind | None, umask: int) -> None:
        """:raises OSError: nothing can be written there."""
        self._layout, self.digest, self._kind, self._umask = layout, digest, kind, umask
        self._tree, self._code = layout.new_staging(), None
        try:
            self._code = layout.new_staging() if kind is not None else None
            second = claim_second(layout)
        except OSError:
            self.give_up()
            raise
        self.making = Making(
            os.fspath(self._tree), os.fspath(self._code or ""), secrets.token_hex(8), second, umask,
            kind.magic if kind is not None else "", kind.mode if kind is not None else "",
        )

    def settle(self) -> bool:
        """Rename what was written into place; False if another process was first."""
        layout, tree_id = self._layout, self.making.tree_id
        if not layout.settle(self._tree, layout.tree(self.digest, self._umask)):
            return False
        for superseded in layout.bytecode_of_others(self.digest, self._umask, tree_id):
            layout.discard(superseded)
        if self._code is not None and self._kind is not None:
            layout.settle(self._code, layout.bytecode(self.digest, self._umask, tree_id, self._kind.tag))
        return True

    def places(self) -> dict[str, str]:
        """Return where the store is, and the two entries have their names in it."""
        layout, kind = self._layout, self._kind
        code = "" if kind is None else layout.bytecode(self.digest, self._umask, self.making.tree_id, kind.tag)
        tree = layout.tree(self.digest, self._umask)
        return {"root": os.fspath(layout.root), "tree": os.fspath(tree), "code": os.fspath(code)}

    def give_up(self) -> None:
        """Remove what was not renamed into place."""
        for folder in (self._tree, self._code):
            if folder is not None:
                self._layout.discard(folder)


class PreparedRemote(Remote):
    """The team's store of a command that shares prepared wheels, too."""

    def prepared(self, digest: str, kind: BytecodeKind | None, umask: int) -> Brought:
        """Bring a wheel's tree and bytecode into the store, if the team has them.

        They are code that runs, and no index vouches for them: without the key nothing is taken.

        :param digest: SHA-256 of the archive, as the index has it.
        :param kind: the bytecode that is wanted; None for none.
        """
        if self._key is None or not self._asks or self.is_over or not is_digest(digest):
            return Brought(is_there=True)
        noted = note_key("prepared\n", digest)
        if is_tree_there(self._layout, digest, umask):
            return Brought(is_there=True, size=load_note(self._layout, REMOTE, noted, int))
        name = object_of(digest, kind)
        with self._turn, timed("remote", name=name) as told, self._endings(name):
            take = self.client.head(name)
            if take is None:
                return Brought(is_there=False)
            head = read_head(self._key, name, take)
            told["size"] = head.size
            plan, size = plan_of(head), head.info.get("archive")
            if plan is None or not isinstance(size, int) or head.size > MAX_OBJECT_BYTES:
                raise Unbelievable("has no prepared wheel in it")
            arrival = Arrival(self._layout, digest, kind, umask)
            self._receive(plan, arrival)
            keep_note(self._layout, REMOTE, noted, size)
            return Brought(is_there=True, size=size, link=partial(self._link, arrival))
        return Brought(is_there=True)

    def _receive(self, plan: Plan, arrival: Arrival) -> None:
        try:
            wrong = self.client.receive(plan, arrival.making)
            if wrong:
                raise Unbelievable(wrong)
            arrival.settle()
        finally:
            arrival.give_up()

    def _link(self, arrival: Arrival, folder: Path, mode: LinkMode) -> str:
        """Link a wheel aside that came just now; return its tree's id, or nothing if not all could be linked."""
        try:
            with timed("arrange", digest=arrival.digest):
                is_linked = self.client.link(**arrival.places(), folder=os.fspath(folder), mode=mode)
        except (RemoteFailed, NoLibrary) as error:
            self._fail(error)
            return ""
        return arrival.making.tree_id if is_linked else ""

    def keep_prepared(self, digest: str, kind: BytecodeKind | None, wheel: Prepared) -> bool:
        """Put a wheel's tree and bytecode there; tell whether they are new there."""
        if self.is_over or not self.writes or self._key is None:
            return False
        name, archive = object_of(digest, kind), find_archive(self._layout, digest)
        if archive is None:
            return False
        try:
            with self._turn, self._layout.staging() as folder:
                path = folder / "content"
                # What comes from a folder is not worth the time to inflate it, see README.
                packed = not self.client.address.startswith("file:")
                info = pack(wheel, path, packed=packed, most=MAX_OBJECT_BYTES)
                if info is None:
                    self._say_too_large(f"{archive.name}, prepared,")
                if info is None or not self._may_create():
                    return False
                info |= {"archive": archive.size, "wheel": wheel.manifest.info_dir}
                head = sign(self._key, name, KIND, path.stat().st_size, sha256_of(path), info)
                return self._put(head, path)
        except (RemoteFailed, NoLibrary) as error:
            self._fail(error)
        except (OSError, Damaged) as error:
            logger.debug("pipfast: %s cannot be prepared for the team's store: %r", wheel.manifest.info_dir, error)
        return False
