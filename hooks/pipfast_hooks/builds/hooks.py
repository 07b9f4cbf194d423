"""Build hooks of pip, run again where a missing module is."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from pipfast.report import logger
from pipfast.rescue.diagnosis.watch import stage_of
from pipfast_hooks.builds.rescue.cached import PassedOver
from pipfast_hooks.builds.rescue.rescues import Rescues
from pipfast_hooks.builds.rescue.watched import Hook
from pipfast_hooks.output import records
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from pipfast_hooks.call import Call


def _around_call_hook(call: Call) -> Any:
    """Run one build hook under watch; rescue it where it fails for want of a module."""
    # A thread does what pip has not come to: what fails there, pip will call.
    if stage_of(str(call["hook_name"])) is None or records.are_held_back():
        _fill_environment(call.instance)
        return call.original()
    run = current_run()
    rescues = run.part(Rescues)
    rescue = rescues.of(getattr(call.instance, "config_holder", None))

    def run_hook() -> Any:
        if (run.builds_ahead or run.build_ahead) is None or (rescue is not None and rescue.is_rescued):
            _fill_environment(call.instance)
            return call.original()
        from pipfast_hooks.builds.beside.answers import instead_of

        with instead_of(call.instance, call["hook_name"], call["kwargs"]):
            return call.original()

    if rescue is None:
        return run_hook()
    hook = Hook(call["hook_name"], call["kwargs"], call.instance, run_hook)
    opened = rescues.open(rescue)
    try:
        return (opened or rescue).call(hook)
    except Exception:
        passed_over = run.find(PassedOver) if hook.name == "build_wheel" else None
        path = passed_over.taken_instead(rescue.requirement.link) if passed_over is not None else None
        if path is None:
            raise
    return os.path.basename(shutil.copy(path, hook.kwargs["wheel_directory"]))


def _fill_environment(instance: Any) -> None:
    """Fill the environment that a hook is about to run in, where that was put off."""
    reuse = sys.modules.get("pipfast_hooks.builds.environments.shared")
    if reuse is not None:
        reuse.fill(getattr(instance, "config_holder", None))


def _around_prepare_build_backend(call: Call) -> Any:
    """Begin with isolation off where it is known that the build needs that."""
    try:
        rescue = current_run().part(Rescues).of(call.instance.req)
        if rescue is not None and rescue.begin():
            return None
    except Exception:
        logger.debug("pipfast: a build begins as ever", exc_info=True)
    return call.original()


def _around_prepare_distribution_metadata(call: Call) -> Any:
    """Let pip begin again by itself where a build that began as a rescue cannot go on."""
    try:
        return call.original()
    except Exception as error:
        rescue = current_run().part(Rescues).made(call.instance.req)
        if rescue is None or not rescue.leave_to_pip(error):
            raise
    return call.original()


def _around_get_cache_dir(call: Call) -> Any:
    """Keep the wheel of a rescued build out of pip's cache: pip could never have built it."""
    requirement, cache = call["req"], call["wheel_cache"]
    rescues = current_run().part(Rescues)
    rescue = rescues.made(requirement)
    if rescue is not None and rescue.is_rescued:
        return cache.get_ephem_path_for_link(requirement.link)
    folder = call.original()
    if (opened := rescues.opened(requirement)) is not None and cache.cache_dir:
        opened.folder = folder if folder == cache.get_path_for_link(requirement.link) else None
    return folder
