"""Placement of a wheel's files: links, moves, copies; .dist-info last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipfast.install.aside import Unmovable, move
from pipfast.install.linker import Linker
from pipfast.install.place import check_targets, place
from pipfast.install.plan import Batch, check_sources
from pipfast.report import logger, timed
from pipfast.store.manifest import is_tree
from pipfast_hooks.guard import guarded
from pipfast_hooks.install.ready import get_ready
from pipfast_hooks.install.scripts import LeftToPip, make_scripts

if TYPE_CHECKING:
    from pipfast_hooks.install.request import Ready, Request
    from pipfast_hooks.run import Run

_PLACINGS = 3
"""How often a wheel is placed whose entry keeps vanishing from the store, before pip installs it."""


def place_wheel(request: Request, ready: Ready, run: Run) -> Ready | None:
    """Put the stored files in place; return what they were, or None if pip has to install the wheel.

    The store may lose an entry at any time (`store prune`, `store purge`, another run that makes a
    changed one again). Then all its files are placed once more: half of a tree and half of its
    successor would be sources of two times, with bytecode for one of them.

    Where the environment is what refuses a file, pip's own code has the last word: it passes over bytecode that
    cannot be written, and has its own error for everything else. It replaces what was placed.

    The .dist-info folder says that a package is there: it comes last, after the scripts, so that a command that is
    killed leaves nothing that pip takes for a package.
    """
    for _ in range(_PLACINGS):
        try:
            with timed("place", name=request.name) as facts:
                placed = _put(request, ready, run)
                facts["files"], facts["moved"] = sum(len(each.files) for each in ready.plan.batches), placed.moved
        except LeftToPip as error:
            logger.debug("pipfast: %s is left to pip: %r", request.name, error.__cause__)
            return None
        except OSError as error:
            if check_sources(ready.plan.batches, read_only=ready.copied) is None:
                logger.debug("pipfast: %s is left to pip: %r", request.name, error)
                return None
        else:
            if is_tree(ready.prepared.tree, ready.prepared.manifest.tree_id):
                return placed
        logger.debug("pipfast: %s went from the store while it was placed", request.name)
        found = None
        with guarded("installation left to pip"):
            found = get_ready(request, run, again=True)
        if found is None:
            return None
        ready = found
    return None


def info_batches(ready: Ready) -> list[Batch]:
    """Return what goes to the .dist-info folder; RECORD is written anew, when everything else is there."""
    return [
        replace(batch, files=tuple(file for file in batch.files if file.name != "RECORD"))
        if batch.target == ready.info_dir else batch
        for batch in ready.plan.batches if _is_info(batch, ready)
    ]


def _is_info(batch: Batch, ready: Ready) -> bool:
    return f"{batch.target}/".startswith(f"{ready.info_dir}/")


def _put(request: Request, ready: Ready, run: Run) -> Ready:
    """Give the stored files their names in the environment, and make the scripts; return what is there then.

    :raises OSError: as ``place`` does; nothing is placed where ``check_targets`` sees why.
    :raises LeftToPip: a script could not be made.
    """
    batches = ready.plan.batches
    check_targets(batches)
    moved = _move(request, ready, run)
    linker = Linker("copy", run.umask) if ready.copied else run.store.linker
    if not moved:
        place([each for each in batches if not _is_info(each, ready)], linker)
    made = replace(ready, scripts=make_scripts(request, ready), moved=moved)
    if not moved:
        place(info_batches(ready), linker)
    return made


def _move(request: Request, ready: Ready, run: Run) -> bool:
    """Move what is linked aside, if anything is; False if files have to be placed one by one."""
    if ready.arranged is None:
        return False
    try:
        move(ready.arranged, ready.prepared.manifest.info_dir, ready.lib_dir, request.schemes())
    except (OSError, Unmovable) as error:
        # Placing anew replaces what was moved, and gives its own error.
        logger.debug("pipfast: %s is placed file by file: %s", request.name, error)
        return False
    place(ready.script_batches(), run.store.linker)
    return True
