"""Checks of a stored wheel before it is placed, and its plan."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.install.plan import check_sources, plan_wheel, wrapper_test
from pipfast.report import logger, say, timed
from pipfast.store.archives import add_archive, find_archive, sha256_of, stored_bytes
from pipfast.store.manifest import is_tree
from pipfast.store.names import TMP
from pipfast.wheel.scheme import NotStorable
from pipfast_hooks.install.request import Ready, Request, read_entry_points

if TYPE_CHECKING:
    from pipfast.prepare.preparer import Preparer
    from pipfast.store.prepared import Prepared
    from pipfast_hooks.run import Run


def get_ready(request: Request, run: Run, *, again: bool = False) -> Ready | None:
    """Get a wheel ready to be placed, or return None if pip is to install it."""
    preparer = run.store.preparer()
    if preparer is None or request.is_passing or request.pycompile != (run.intent.bytecode is not None):
        return None
    # A wheel that is not in the store yet is taken in.
    layout, known, path = run.store.layout, run.store.known(request.wheel_path), Path(request.wheel_path)
    digest = known["sha256"] if known is not None else sha256_of(path)
    stored = find_archive(layout, digest)
    if stored is None and not run.store.stands_in(request.wheel_path):
        stored = add_archive(layout, path, digest, path.name, move=False)
        if stored is None:
            return None
    # Of a wheel that came prepared there is no archive; if its tree goes from the store, pip gets one.
    archive = stored.path if stored is not None else stored_bytes(layout, digest)
    with timed("prepare", name=request.name, on=digest):
        prepared = preparer.wait(digest, archive, again=again)
        if prepared is not None and not is_tree(prepared.tree, prepared.manifest.tree_id):
            # Pruned since it was prepared, during the downloads perhaps.
            prepared = preparer.wait(digest, archive, again=True)
    if prepared is None:
        return None
    ready = _planned(request, prepared)
    arranged = _arranged(ready, preparer, digest)
    if arranged is not None or check_sources(ready.plan.batches) is None:
        return arranged or ready
    if not os.access(layout.root / TMP, os.W_OK | os.X_OK):
        # A store in an image: nothing there can be put right, but what was only made read-only serves as it is.
        if check_sources(ready.plan.batches, read_only=True) is None:
            return replace(ready, copied=True)
        logger.debug("pipfast: %s is not as it was stored, in a store that is read-only", request.name)
        return None
    return _mended(ready, request, preparer, digest, archive)


def _planned(request: Request, prepared: Prepared) -> Ready:
    info_dir = canonicalize_name(prepared.manifest.info_dir)
    if not info_dir.startswith(canonicalize_name(request.name)):
        raise NotStorable(f"{info_dir} is not the metadata of {request.name}")
    entry_points = read_entry_points(request, prepared.manifest.entry_points)
    scheme = request.schemes()
    lib_dir = scheme["purelib" if prepared.manifest.root_is_purelib else "platlib"]

    plan = plan_wheel(prepared, scheme, lib_dir, wrapper_test({*entry_points.console, *entry_points.gui}))
    targets = [f"{batch.target}/{file.name}" for batch in plan.batches for file in batch.files]
    if len(set(targets)) != len(targets):
        raise NotStorable("two of its files go to the same place")
    return Ready(prepared, plan, entry_points, lib_dir)


def _arranged(ready: Ready, preparer: Preparer, digest: str) -> Ready | None:
    arrangement = preparer.arrangement(digest)
    if arrangement is None:
        return None
    arranged = arrangement.take(ready.prepared.manifest.tree_id)
    # Long ago - during downloads, or builds - is not now. Scripts are never linked aside.
    batches = ready.plan.batches if arrangement.is_old() else ready.script_batches()
    return replace(ready, arranged=arranged) if arranged is not None and check_sources(batches) is None else None


def _mended(ready: Ready, request: Request, preparer: Preparer, digest: str, archive: Path) -> Ready | None:
    """Return the wheel when its stored files are as they were stored; made again if need be, which is said."""
    changed = preparer.mend(digest)
    if changed is not None:
        name = os.path.basename(request.wheel_path)
        told = f"a stored file of {name} {changed.how}; it is made again ({changed.path})"
        if changed.vanished:
            # The store is kept below its bound, or emptied, beside this run: that is nobody's fault.
            logger.debug("pipfast: %s", told)
        else:
            say(told)
        prepared = preparer.wait(digest, archive, again=True)
        if prepared is None:
            return None
        ready = _planned(request, prepared)
    return ready if check_sources(ready.plan.batches) is None else None
