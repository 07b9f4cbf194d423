"""One pip command, from its options to its end: what it will need, and when that is imported."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import pip

from pipfast.report import logger
from pipfast_hooks.run import current_run, end_run
from pipfast_hooks.seams import DRY_RUN_FETCHES_NOTHING, IMPORTED_TO_READ, parse_version
from pipfast_hooks.startup import deferred

if TYPE_CHECKING:

    from pipfast_hooks.call import Call
    from pipfast_hooks.run import Run


def _around_main(call: Call) -> Any:
    """Close everything of ours when a command ends, however it ends."""
    try:
        return call.original()
    finally:
        end_run()


def _around_install_run(call: Call) -> Any:
    """Note what this installation will need."""
    run = current_run()
    if run.patterns is not None:
        run.patterns.note_no_more()
    try:
        options = call["options"]
        # None where pip has no use for its own folder, which it cannot write: ours may be elsewhere.
        run.store_allowed = options.cache_dir is None or bool(options.cache_dir)
        run.installing = not getattr(options, "dry_run", False)
        run.metadata_only = not run.installing and parse_version(pip.__version__) >= DRY_RUN_FETCHES_NOTHING
        places = (getattr(options, name, None) for name in ("target_dir", "prefix_path", "root_path"))
        run.target = next(filter(None, places), "")
        run.link_ahead = not run.target and run.link_mode != "copy" and run.settings.workers > 1
        run.bytecode = None
        if run.installing and options.compile:
            from pipfast.prepare.bytecode import current_kind

            run.bytecode = current_kind(os.environ)
        if run.installing and options.compile and run.bytecode is None:
            logger.debug("pipfast: bytecode is left to pip: the interpreter's settings change it")
            run.installing = False
    except Exception:
        logger.debug("pipfast: installing without the store", exc_info=True)
        run.installing = False
    run.settle()
    if run.installing and "program" in run.settings.disabled:
        # Nothing of ours is asked between the resolver's end and the first installation.
        _import_what_installs(run)
    status = call.original()
    if not status:
        run.keep_expectation()
    _name_what_is_stale(run)
    return status


def _name_what_is_stale(run: Run) -> None:
    if run.stale_before is not None:
        try:
            sys.modules["pipfast_hooks.builds.context"].say_what_is_stale(run.stale_before)
        except Exception:
            logger.debug("pipfast: what was built against something else is not known", exc_info=True)


def _around_get_installation_order(call: Call) -> Any:
    """Import what the installation needs; it begins after this, if anything is to be installed.

    From 26.3 on nothing can be imported any more once it has begun, and before, what is imported may be replaced.
    """
    order = call.original()
    run = current_run()
    run.nothing_to_install = not order
    if order:
        _import_what_installs(run)
    return order


def _import_what_installs(run: Run) -> None:
    try:
        deferred.load_all()
        importlib.import_module("pipfast_hooks.install.wheel")
        importlib.import_module("pipfast_hooks.downloads.downloader")
        importlib.import_module("pipfast.store.sessions")
        # For the run's end.
        importlib.import_module("pipfast.daily")
        for name in IMPORTED_TO_READ:
            importlib.import_module(name)
        if run.installing:
            _ = run.preparer(), run.linker
            builds = sys.modules.get("pipfast_hooks.builds.context")
            run.stale_before = builds.stale_before() if builds is not None else None
    except Exception:
        logger.debug("pipfast: installing without the store", exc_info=True)
        run.installing = False


def _around_eagerly_import_modules(call: Call) -> Any:
    """Import nothing ahead where nothing is going to be installed."""
    return None if current_run().nothing_to_install else call.original()


def _around_prevent_further_imports(call: Call) -> Any:
    """Block no import where nothing has been installed: what is imported later is what was there before."""
    return contextlib.nullcontext() if current_run().nothing_to_install else call.original()
