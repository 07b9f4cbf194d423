"""Plan of a stored wheel's files in one environment."""

from __future__ import annotations

import os
import posixpath
import sys
from typing import TYPE_CHECKING, NamedTuple

from pipfast.store.likeness import first_unlike
from pipfast.store.manifest import TREE, Folder, StoredFile
from pipfast.wheel.scheme import split_data_path

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pipfast.store.prepared import Prepared

_PRIVATE = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
"""Files of the .dist-info folder that tools append to, so they are never shared with the store."""


class Batch(NamedTuple):
    """Files of one stored folder that go to one folder of the environment."""

    source: str
    target: str
    files: tuple[StoredFile, ...]
    private: bool = False
    """They are copied in every link mode, since they will be rewritten."""


class Plan:
    """The files of a wheel, before entry points and generated files."""

    __slots__ = ("batches", "installed", "scripts", "uncompiled")

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.installed: dict[str, str] = {}
        """Path in the archive -> path in RECORD of the environment, in pip's order of installing."""
        self.scripts: list[tuple[str, str]] = []
        """(Path in the archive, full path) of the wheel's own scripts, to be rewritten after placing."""
        self.uncompiled: list[str] = []
        """Full paths of Python sources without bytecode in the store: scripts, and what may not compile here."""


def wrapper_test(entry_points: Collection[str]) -> Callable[[str], bool]:
    """Return what tells whether a script is one that setuptools put into the wheel for an entry point.

    pip leaves those out. :param entry_points: names of entry points that become scripts.
    """
    def is_wrapper(name: str) -> bool:
        for suffix in (".exe", "-script.py", ".pya"):
            if name.lower().endswith(suffix):
                name = name[: -len(suffix)]
                break
        return name in entry_points

    return is_wrapper


def plan_wheel(
    prepared: Prepared, schemes: Mapping[str, str], lib_dir: str, is_wrapper: Callable[[str], bool]
) -> Plan:
    """Return where each file goes; nothing is written.

    :param schemes: scheme key -> folder, for all of ``scheme.SCHEME_KEYS``.
    :param lib_dir: the scheme folder of the wheel's root.
    :param is_wrapper: tells whether an entry point generates the script of this file name anyway.

    Binary distribution format, "Installing a wheel 'distribution-1.0-py32-none-any.whl'".
    """
    plan = Plan()
    root = os.fspath(prepared.tree / TREE)
    record_prefix = _RecordPaths(lib_dir)
    deferred: list[tuple[Folder, str, str]] = []
    info_dir = prepared.manifest.info_dir
    for folder in prepared.manifest.folders:
        data = split_data_path(f"{folder.path}/x") if folder.path else None
        if data is not None:
            deferred.append((folder, data[0], posixpath.dirname(data[1])))
            continue
        source, target = folder.below(root), folder.below(lib_dir)
        if folder.path == info_dir:
            private = tuple(file for file in folder.files if file.name in _PRIVATE)
            shared = tuple(file for file in folder.files if file.name not in _PRIVATE)
            plan.batches += Batch(source, target, shared), Batch(source, target, private, private=True)
        else:
            plan.batches.append(Batch(source, target, folder.files))
        for file in folder.files:
            path = folder.path_of(file.name)
            plan.installed[path] = path
    # pip installs the root first, then data files, scripts last.
    deferred.sort(key=lambda each: each[1] == "scripts")
    for folder, key, below in deferred:
        target = f"{schemes[key]}/{below}" if below else schemes[key]
        files = folder.files
        if key == "scripts":
            files = tuple(file for file in files if not is_wrapper(file.name))
            plan.scripts += [(f"{folder.path}/{file.name}", f"{target}/{file.name}") for file in files]
        plan.batches.append(Batch(f"{root}/{folder.path}", target, files, private=key == "scripts"))
        for file in files:
            plan.installed[f"{folder.path}/{file.name}"] = record_prefix.of(target, file.name)
    if prepared.bytecode is not None and prepared.compiled is not None:
        code = os.fspath(prepared.bytecode / TREE)
        _plan_bytecode(plan, code, prepared.compiled, schemes, lib_dir, record_prefix)
        plan.uncompiled += [target for _, target in plan.scripts if target.endswith(".py")]
        _plan_uncompiled(plan, prepared, prepared.compiled)
    return plan


def _plan_bytecode(
    plan: Plan, root: str, compiled: list[Folder], schemes: Mapping[str, str], lib_dir: str,
    record_prefix: _RecordPaths,
) -> None:
    for folder in compiled:
        data = split_data_path(f"{folder.path}/x") if folder.path else None
        if data is not None and data[0] == "scripts":
            # A script may be rewritten, so it is compiled in its place.
            continue
        if data is not None:
            below = posixpath.dirname(data[1])
            place = f"{schemes[data[0]]}/{below}" if below else schemes[data[0]]
        else:
            place = folder.below(lib_dir)
        target = f"{place}/__pycache__"
        plan.batches.append(Batch(f"{folder.below(root)}/__pycache__", target, folder.files))
        for file in folder.files:
            # Bytecode has no row in the wheel's RECORD; pip's key for it is the full path.
            plan.installed[f"{target}/{file.name}"] = record_prefix.of(target, file.name)


def _plan_uncompiled(plan: Plan, prepared: Prepared, folders: list[Folder]) -> None:
    compiled = {folder.path: folder.files for folder in folders}
    places = {batch.source: batch.target for batch in plan.batches}
    root = os.fspath(prepared.tree / TREE)
    for folder in prepared.manifest.folders:
        sources = [file.name for file in folder.files if file.name.endswith(".py")]
        found = compiled.get(folder.path, ())
        data = split_data_path(f"{folder.path}/x") if folder.path else None
        if len(sources) == len(found) or (data is not None and data[0] == "scripts"):
            continue
        place = places[folder.below(root)]
        for name in sources:
            start = f"{name.removesuffix('.py') or 'py'}.{sys.implementation.cache_tag}."
            if not any(each.name.startswith(start) for each in found):
                plan.uncompiled.append(f"{place}/{name}")


class _RecordPaths:
    """Paths as RECORD has them: relative to the wheel's own folder, with ``/`` (PEP 376)."""

    def __init__(self, lib_dir: str) -> None:
        self._lib_dir = lib_dir
        self._folders: dict[str, str] = {}

    def of(self, folder: str, name: str) -> str:
        relative = self._folders.get(folder)
        if relative is None:
            relative = os.path.relpath(folder, self._lib_dir).replace(os.path.sep, "/")
            self._folders[folder] = relative
        return name if relative == "." else f"{relative}/{name}"


def check_sources(batches: list[Batch], *, read_only: bool = False) -> str | None:
    """Compare each stored file with the manifest, as ``likeness`` does; return the path of the first that differs.

    A change through a link in some environment changes the stored file, too, and is found here.

    :param read_only: pass files without the right to write, too.
    """
    found = (first_unlike(batch.source, batch.files, read_only=read_only) for batch in batches)
    return next((path for path in found if path is not None), None)
