"""One pip command: its intent, its imports, its end."""

from __future__ import annotations

import contextlib
import importlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pip

from pipfast.report import logger
from pipfast_hooks.attach import is_attached
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, Run, current_run, end_run
from pipfast_hooks.seams import IMPORTED_TO_READ, fetches_nothing_in_dry_run
from pipfast_hooks.startup import deferred
from pipfast_hooks.storage import Aim, Intent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipfast.patterns import Patterns
    from pipfast.prepare.bytecode import BytecodeKind
    from pipfast_hooks.call import Call
    from pipfast_hooks.install.expectation import Expectation


_IMPORTED_TO_INSTALL = (
    "pipfast_hooks.install.wheel", "pipfast_hooks.downloads.credentials", "pipfast_hooks.downloads.downloader",
    "pipfast.store.sessions", "pipfast.system.daily",
)
"""Modules of ours that installing needs; the last one, the run's end."""

_IMPORTED_TO_BOUND = ("pipfast.upkeep.bound",)
"""The same where the store has a bound."""


class Start(Part):
    """What a command begins with, before pip reads its options."""

    patterns: Patterns | None = None
    expectation: Expectation | None = None

    def expect(self, arguments: Sequence[str]) -> None:
        """Start to link aside what this command line installed the last time."""
        run = self.run
        if "install" not in arguments or run.settings.workers < 2 or run.store.link_mode == "copy":
            return
        if not run.settings.disabled.isdisjoint(("install", "program")):
            return
        with guarded("nothing is expected"):
            from pipfast_hooks.install.expectation import Expectation

            self.expectation = run.part(Expectation)
            missing = self.expectation.missing(arguments)
            kind = _bytecode_kind() if missing and run.store.layout.keeps else None
            if kind is not None:
                run.intent = replace(run.intent, bytecode=kind, link_ahead=True)
                run.store.make_preparer().expect(missing)

    def close(self, wait_s: float) -> None:
        """Keep the new patterns."""
        layout = self.run.store.opened
        if self.patterns is not None and layout is not None:
            self.patterns.keep(layout)


def _around_main(call: Call) -> Any:
    """End the run when the command ends, however it ends."""
    status: Any = None
    try:
        status = call.original()
        return status
    except SystemExit as end:
        status = end.code
        raise
    finally:
        end_run(status if isinstance(status, int) else None)


def _around_install_run(call: Call) -> Any:
    """Note what this installation intends."""
    run = current_run()
    start = run.part(Start)
    if start.patterns is not None:
        start.patterns.notes_new = False
    options = call["options"]
    try:
        # None where pip cannot write its own cache folder; the store may be elsewhere.
        run.intent = Intent(stores=options.cache_dir is None or bool(options.cache_dir))
        if not run.intent.stores and run.recording is not None:
            run.recording.object_to("the cache is switched off")
        run.intent = _intent(options, run)
    except Exception:
        _leave_to_pip(run)
    run.store.settle()
    if run.intent.installs and not _is_asked_before_installing(options):
        _import_what_installs(run)
    status = call.original()
    if not status and start.expectation is not None and run.intent.link_ahead and run.intent.bytecode is not None:
        with guarded("what was installed is not kept"):
            start.expectation.keep()
    if not status and run.settings.remote_write and (run.settings.remote_archives or run.settings.remote_prepared):
        with guarded("archives are not put into the team's store"):
            _put_all(run)
    with guarded("packages that were built against others are not known"):
        from pipfast_hooks.builds.context import Context

        if (context := run.find(Context)) is not None:
            context.say_stale()
    return status


def _is_asked_before_installing(options: Any) -> bool:
    """Tell whether anything of ours is asked between the resolver's end and the first installation."""
    if getattr(options, "deprecated_features_enabled", None):
        # The legacy resolver, which is imported later.
        return False
    with guarded("what installs is imported before pip resolves"):
        from pip._internal.resolution.resolvelib.resolver import Resolver

        return is_attached(Resolver.get_installation_order)
    return False


def _put_all(run: Run) -> None:
    from pipfast_hooks.downloads.team import TeamArchives, TeamPrepared

    if (archives := run.find(TeamArchives)) is not None:
        archives.put_all()
    if (prepared := run.find(TeamPrepared)) is not None:
        prepared.put_all()


def _intent(options: Any, run: Run) -> Intent:
    """Return what an installation with these options intends; ``run.intent.stores`` is set already."""
    aim, bytecode = Aim.INSTALL, None
    if getattr(options, "dry_run", False):
        aim = Aim.METADATA if fetches_nothing_in_dry_run(pip.__version__) else Aim.ARCHIVES
    elif options.compile:
        bytecode = _bytecode_kind()
        if bytecode is None:
            logger.debug("pipfast: bytecode is left to pip: the interpreter's settings change it")
            aim = Aim.ARCHIVES
    places = (getattr(options, name, None) for name in ("target_dir", "prefix_path", "root_path"))
    target = next(filter(None, places), "")
    link_ahead = not target and run.store.link_mode != "copy" and run.settings.workers > 1
    return replace(run.intent, aim=aim, bytecode=bytecode, link_ahead=link_ahead, target=target)


def _bytecode_kind() -> BytecodeKind | None:
    from pipfast.prepare.bytecode import current_kind

    return current_kind(os.environ)


def _leave_to_pip(run: Run) -> None:
    logger.debug("pipfast: installing without the store", exc_info=True)
    run.intent = replace(run.intent, aim=Aim.ARCHIVES)


def _around_get_installation_order(call: Call) -> Any:
    """Import what installing needs, if anything is to be installed.

    From 26.3 on nothing can be imported once it has begun; under older pips a module may be replaced by then.
    """
    order = call.original()
    run = current_run()
    run.intent = replace(run.intent, nothing_to_install=not order)
    if order:
        _import_what_installs(run)
    return order


def _import_what_installs(run: Run) -> None:
    try:
        deferred.load_all()
        bounded = run.settings.store_size is not None
        for name in (*_IMPORTED_TO_INSTALL, *(_IMPORTED_TO_BOUND if bounded else ()), *IMPORTED_TO_READ):
            importlib.import_module(name)
        # For the command's end, even if nothing is installed from the store.
        from pipfast_hooks.builds.context import Context

        if run.intent.installs:
            _ = run.store.preparer(), run.store.linker
            if (context := run.find(Context)) is not None:
                context.note_stale()
    except Exception:
        _leave_to_pip(run)


def _around_eagerly_import_modules(call: Call) -> Any:
    """Skip pip's early imports where nothing is to be installed."""
    return None if current_run().intent.nothing_to_install else call.original()


def _around_prevent_further_imports(call: Call) -> Any:
    """Block no import where nothing was installed: no module can have been replaced."""
    return contextlib.nullcontext() if current_run().intent.nothing_to_install else call.original()
