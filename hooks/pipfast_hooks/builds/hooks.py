"""Builds that rescue themselves: a hook that misses a module runs again where the module is."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pip._internal.utils.logging import subprocess_logger

from pipfast.dependencies import Unusable
from pipfast.report import logger, say
from pipfast.rescue.diagnosis.watch import Watch, stage_of
from pipfast_hooks.builds import context as builds_context
from pipfast_hooks.output import records
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipfast_hooks.builds.rescue.rescue import Rescue
    from pipfast_hooks.builds.rescue.unisolated import OpenBuild

_rescues: dict[int, Rescue] = {}
"""By ``id()`` of pip's requirement, which the rescue keeps alive."""

_opened: dict[int, OpenBuild | None] = {}
"""Builds that the user wants without isolation, by the same key; None where there is nothing to keep."""


class _Held(logging.Filter):
    """Keeps a failed hook's error back until it is known whether it is one; notes all output.

    Under ``-v`` pip keeps no output of its own: what it logs is the only copy.
    """

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._holding = self._released = False
        self.records: list[logging.LogRecord] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Let through what a hook prints; hold what pip says about its end."""
        if self._released:
            return True
        if record.levelno >= logging.ERROR:
            self._holding = True
        if self._holding:
            self.records.append(record)
            return False
        self._watch.output.append(record.getMessage() + "\n")
        return True

    def release(self) -> None:
        """Say what was held back; nothing is held any more."""
        # It may still be the logger's filter, and would get them once more.
        self._released = True
        for record in self.records:
            subprocess_logger.handle(record)
        self.records.clear()


def _rescue_of(requirement: Any) -> Rescue | None:
    """Return the rescue of a requirement's build, or None where builds are not to be rescued."""
    context = builds_context.current()
    if requirement is None or context is None or current_run().settings.build_rescue == "off":
        return None
    rescue = _rescues.get(id(requirement))
    if rescue is None:
        try:
            from pipfast_hooks.builds.rescue.rescue import Rescue
        except Unusable as error:
            say(f"builds are not rescued: {error}", error.hint)
            return None
        except Exception:
            logger.debug("pipfast: builds are not rescued", exc_info=True)
            return None
        rescue = _rescues[id(requirement)] = Rescue(context, requirement)
    return rescue


def _around_call_hook(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Run one build hook under watch; rescue it where it fails for want of a module."""
    names = dict(zip(("hook_name", "kwargs"), args, strict=False)) | kwargs
    # A thread does what pip has not come to: what fails there, pip will call.
    if stage_of(str(names.get("hook_name"))) is None or records.are_held_back():
        _fill_environment(instance)
        return wrapped(*args, **kwargs)
    rescue = _rescue_of(getattr(instance, "config_holder", None))

    def call() -> Any:
        run = current_run()
        if (run.builds_ahead or run.build_ahead) is None or (rescue is not None and rescue.is_rescued):
            _fill_environment(instance)
            return wrapped(*args, **kwargs)
        from pipfast_hooks.builds.beside.answers import instead_of

        with instead_of(instance, names["hook_name"], names["kwargs"]):
            return wrapped(*args, **kwargs)

    if rescue is None:
        return call()
    from pipfast_hooks.builds.rescue.rescue import Hook

    hook = Hook(names["hook_name"], names["kwargs"], instance, call)
    opened = _open_build(rescue)
    try:
        return rescue.run(hook) if opened is None else opened.run(hook)
    except Exception:
        path = builds_context.cached_instead(rescue.requirement.link) if hook.name == "build_wheel" else None
        if path is None:
            raise
    return os.path.basename(shutil.copy(path, hook.kwargs["wheel_directory"]))


def _fill_environment(instance: Any) -> None:
    """Fill the environment that a hook is about to run in, where that was put off."""
    reuse = sys.modules.get("pipfast_hooks.builds.environments.shared")
    if reuse is not None:
        reuse.fill(getattr(instance, "config_holder", None))


def _open_build(rescue: Rescue) -> OpenBuild | None:
    """Return what keeps the wheel of a build without isolation; the same one for all hooks of a requirement."""
    key = id(rescue.requirement)
    if key not in _opened:
        _opened[key] = None
        try:
            if not getattr(rescue.context.options, "build_isolation", True):
                from pipfast_hooks.builds.rescue.unisolated import open_build

                _opened[key] = open_build(rescue)
        except Exception:
            logger.debug("pipfast: a build without isolation is left to pip", exc_info=True)
    return _opened[key]


def _around_prepare_build_backend(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Begin with isolation off where it is known that the build needs that."""
    try:
        rescue = _rescue_of(instance.req)
        if rescue is not None and rescue.begin():
            return None
    except Exception:
        logger.debug("pipfast: a build begins as ever", exc_info=True)
    return wrapped(*args, **kwargs)


def _around_prepare_distribution_metadata(
    wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any
) -> Any:
    """Let pip begin again by itself where a build that began as a rescue cannot go on."""
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        rescues = sys.modules.get("pipfast_hooks.builds.rescue.rescue")
        if rescues is None or not isinstance(error, rescues.Unrescued):
            raise
        _rescues[id(instance.req)].leave_to_pip()
    return wrapped(*args, **kwargs)


def _around_get_cache_dir(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Keep the wheel of a rescued build out of pip's cache: pip could never have built it."""
    names = dict(zip(("req", "wheel_cache"), args, strict=False)) | kwargs
    requirement, cache = names["req"], names["wheel_cache"]
    rescue = _rescues.get(id(requirement))
    if rescue is not None and rescue.is_rescued:
        return cache.get_ephem_path_for_link(requirement.link)
    folder = wrapped(*args, **kwargs)
    if (opened := _opened.get(id(requirement))) is not None and cache.cache_dir:
        opened.folder = folder if folder == cache.get_path_for_link(requirement.link) else None
    return folder


@contextmanager
def watched(instance: Any, hook_name: str) -> Iterator[tuple[Watch, _Held]]:
    """Have the backend's processes noted in the block."""
    original = instance._subprocess_runner
    with Watch(hook_name) as watch:

        def runner(cmd: Any, cwd: Any = None, extra_environ: Any = None) -> None:
            original(cmd, cwd=cwd, extra_environ={**(extra_environ or {}), **watch.environ(os.environ)})

        held = _Held(watch)
        subprocess_logger.addFilter(held)
        instance._subprocess_runner = runner
        try:
            yield watch, held
        finally:
            instance._subprocess_runner = original
            subprocess_logger.removeFilter(held)


def forget() -> None:
    """Throw away the environments of this run; the run is over."""
    for rescue in list(_rescues.values()):
        try:
            rescue.close()
        except Exception:
            logger.debug("pipfast: at the end of a rescued build", exc_info=True)
    _rescues.clear()
    _opened.clear()
