"""pip's installation of a wheel, from the store."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pip._internal.operations.install import wheel as pip_wheel

from pipfast.install.aside import LIB, Unmovable, move, move_info
from pipfast.install.linker import Linker
from pipfast.install.place import check_targets, place
from pipfast.install.plan import Batch, check_sources
from pipfast.report import logger, timed
from pipfast.store.manifest import is_tree
from pipfast.wheel.members import NotStorable
from pipfast.wheel.record import digest_and_size, installed_rows, record_text
from pipfast_hooks.guard import guarded
from pipfast_hooks.install.expectation import Expectation
from pipfast_hooks.install.ready import get_ready
from pipfast_hooks.install.request import LeftToPip, Ready, Request, make_scripts
from pipfast_hooks.run import Run, current_run

if TYPE_CHECKING:
    from pipfast_hooks.call import Call


def _around_install_wheel(call: Call) -> Any:
    """Install from the store; whatever is unusual, pip installs itself."""
    ready, run = None, current_run()
    # Nothing is written by then: pip starts from the beginning.
    with guarded("installation left to pip"):
        request = Request(**{name: call[name] for name in Request.__slots__ if name in call})
        try:
            ready = get_ready(request, run)
        except NotStorable as error:
            logger.debug("pipfast: %s", error)
    if ready is None:
        return _by_pip(call, run)
    with pip_wheel.req_error_context(request.req_description):
        placed = place_wheel(request, ready, run)
        if placed is not None and _install(request, placed, run):
            known, expectation = run.store.known(request.wheel_path), run.find(Expectation)
            if known is not None and expectation is not None:
                expectation.note(known["sha256"], placed.prepared.manifest.info_dir)
            return None
    # pip's own files replace what was placed; it also leaves what it needs to recover, if it fails, too.
    return _by_pip(call, run)


def _by_pip(call: Call, run: Run) -> Any:
    if "wheel_path" in call:
        run.store.make_whole(call["wheel_path"])
    with timed("place", name=str(call.get("name", "")), how="pip"):
        return call.original()


def _install(request: Request, ready: Ready, run: Run) -> bool:
    """Write what says that the package is there: INSTALLER and its like, RECORD last; False if that cannot be."""
    assert ready.scripts is not None
    try:
        _write_metadata(request, ready, run)
    except OSError as error:
        logger.debug("pipfast: %s is left to pip: %r", request.name, error)
        return False
    if request.warn_script_location:
        message = pip_wheel.message_about_scripts_not_on_PATH(ready.scripts.console)
        if message is not None:
            pip_wheel.logger.warning(message)
    return True


def _write_metadata(request: Request, ready: Ready, run: Run) -> None:
    name = ready.prepared.manifest.info_dir
    if ready.moved and ready.arranged is not None:
        try:
            _write_info(request, ready, run, f"{ready.arranged}/{LIB}/{name}")
            move_info(ready.arranged, name, ready.lib_dir)
            return
        except (OSError, Unmovable) as error:
            logger.debug("pipfast: the metadata of %s is placed file by file: %s", request.name, error)
            place(info_batches(ready), run.store.linker)
    _write_info(request, ready, run, ready.info_dir)


def _write_info(request: Request, ready: Ready, run: Run, folder: str) -> None:
    assert ready.scripts is not None
    mode = 0o666 & ~run.umask
    contents: list[tuple[str, bytes]] = [("INSTALLER", b"pip\n")]
    if request.direct_url is not None:
        contents.append(("direct_url.json", request.direct_url.to_json().encode("utf-8")))
    for name, content in contents:
        _write_private(f"{folder}/{name}", content, mode)
    generated = [name for name, _ in contents]
    if request.requested:
        generated.append("REQUESTED")
        # Made where it stands, as pip does: a folder's default access list has its say.
        with open(f"{folder}/REQUESTED", "wb"):
            pass
    made, manifest = ready.scripts, ready.prepared.manifest
    scripts_made = made.console + made.gui
    rows = installed_rows(manifest.rows, ready.plan.installed, made.changed, scripts_made, ready.lib_dir)
    rows += [(f"{manifest.info_dir}/{name}", *digest_and_size(f"{folder}/{name}")) for name in generated]
    _write_private(f"{folder}/RECORD", record_text(sorted(rows)), mode)


def _write_private(path: str, content: bytes, mode: int) -> None:
    """Write a file of this environment's own, whole or not at all. Raises OSError: it could not be written."""
    aside = f"{path}.{secrets.token_hex(8)}.tmp"
    descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(aside, mode)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise


_PLACINGS = 3
"""How often a wheel is placed whose entry keeps vanishing from the store, before pip installs it."""


def place_wheel(request: Request, ready: Ready, run: Run) -> Ready | None:
    """Put the stored files in place; return what they were, or None if pip has to install the wheel.

    The store may lose an entry at any time (`store prune`, another run). Then all its files are placed once more:
    half of a tree and half of its successor would be sources of two times, with bytecode for one of them. Where
    the environment refuses a file, pip's own code has the last word, and replaces what was placed.

    The .dist-info folder says that a package is there: it comes last, so that a command that is killed leaves
    nothing that pip takes for a package.
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
    """Give the stored files their names in the environment, and make the scripts; return what is there then."""
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
