"""pip's installation of a wheel, from the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pip._internal.operations.install import wheel as pip_wheel

from pipfast.install.aside import LIB, Unmovable, move, move_info
from pipfast.install.compiling import bytecode_of_rewritten
from pipfast.install.info import Installed, info_batches, is_info, write_info
from pipfast.install.linker import Linker
from pipfast.install.place import check_targets, place
from pipfast.install.plan import check_sources
from pipfast.memo.again.installation import Installation, Placed
from pipfast.memo.watch import unwatched
from pipfast.report import logger, timed
from pipfast.store.manifest import is_tree
from pipfast.wheel.scheme import SCHEME_KEYS, NotStorable
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
    if run.recording is not None:
        run.recording.begin_installing()
    # Nothing is written by then: pip starts from the beginning.
    with guarded("installation left to pip"), unwatched(run.recording):
        request = Request(**{name: call[name] for name in Request.__slots__ if name in call})
        try:
            ready = get_ready(request, run)
        except NotStorable as error:
            logger.debug("pipfast: %s", error)
    if ready is None:
        return _by_pip(call, run)
    with pip_wheel.req_error_context(request.req_description), unwatched(run.recording):
        placed = place_wheel(request, ready, run)
        if placed is not None and _install(request, placed, run):
            _note(request, placed, run)
            return None
    # pip's own files replace what was placed; it also leaves what it needs to recover, if it fails, too.
    return _by_pip(call, run)


def _note(request: Request, placed: Ready, run: Run) -> None:
    """Note what was installed for who comes with the same command line again."""
    known, expectation = run.store.known(request.wheel_path), run.find(Expectation)
    if known is not None and expectation is not None:
        expectation.note(known["sha256"], placed.prepared.manifest.info_dir)
    if run.recording is None:
        return
    if known is None or request.direct_url is not None:
        run.recording.object_to("a wheel is none of an index")
        return
    try:
        run.recording.note_wheel(_placed(request, placed, run, known["sha256"]))
    except Exception as error:
        # Without it the rest is no whole installation.
        run.recording.object_to(repr(error))


def _placed(request: Request, placed: Ready, run: Run, digest: str) -> Placed:
    assert placed.scripts is not None
    own = [path for each, path in placed.plan.scripts if placed.plan.installed[each] in placed.scripts.changed]
    kind, schemes = run.intent.bytecode, request.schemes()
    terms = Installation(run.settings.link_mode, run.umask, kind.tag if kind is not None else "", ())
    return Placed(
        digest, [schemes[key] for key in SCHEME_KEYS], request.requested,
        [*placed.entry_points.console, *placed.entry_points.gui], own,
        placed.scripts.console + placed.scripts.gui,
        not placed.plan.installed.keys().isdisjoint(bytecode_of_rewritten(placed.plan)),
        [f"{batch.target}/{file.name}" for batch in placed.plan.batches for file in batch.files], terms,
    )


def _by_pip(call: Call, run: Run) -> Any:
    if "wheel_path" in call:
        run.store.make_whole(call["wheel_path"])
    if run.recording is not None:
        run.recording.object_to("pip has installed a wheel")
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
            place(info_batches(ready.plan.batches, ready.info_dir), run.store.linker)
    _write_info(request, ready, run, ready.info_dir)


def _write_info(request: Request, ready: Ready, run: Run, folder: str) -> None:
    made = ready.scripts
    assert made is not None
    direct_url = request.direct_url.to_json() if request.direct_url is not None else None
    write_info(
        Installed(ready.prepared.manifest, ready.plan, ready.lib_dir, made.changed, made.console + made.gui,
                  request.requested, direct_url),
        folder, run.umask,
    )


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


def _put(request: Request, ready: Ready, run: Run) -> Ready:
    """Give the stored files their names in the environment, and make the scripts; return what is there then."""
    batches = ready.plan.batches
    check_targets(batches)
    moved = _move(request, ready, run)
    linker = Linker("copy", run.umask) if ready.copied else run.store.linker
    if not moved:
        place([each for each in batches if not is_info(each, ready.info_dir)], linker)
    made = replace(ready, scripts=make_scripts(request, ready), moved=moved)
    if not moved:
        place(info_batches(batches, ready.info_dir), linker)
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
