"""What the command line at hand installed the last time, linked aside before pip has been imported."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.prepare.expected import ExpectedWheel, command_key, find_expected, keep_expected, merged
from pipfast.report import logger
from pipfast.store.folder import default_root, is_usable
from pipfast.store.layout import Layout
from pipfast.store.names import EXPECTED
from pipfast.store.notes import is_noted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipfast_hooks.run import Run


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is known of a command line before it runs."""

    key: str
    wheels: tuple[ExpectedWheel, ...] = ()
    """What it installed the last time."""
    here: frozenset[str] = frozenset()
    """Names in the environment's library folder."""


def begin(run: Run, arguments: Sequence[str]) -> Expectation:
    """Look the command line up, and begin to link aside what this environment has not.

    :raises StoreUnusable: nobody knows where the store is.
    """
    key = command_key(arguments, os.environ)
    root = run.settings.store or default_root()
    if not is_noted(root, EXPECTED, key) or not is_usable(root):
        return Expectation(key)
    wheels = find_expected(Layout(root), key)
    # Not at the top: most command lines are new.
    import sysconfig

    here = frozenset(os.listdir(sysconfig.get_path("purelib")))
    missing = [wheel.digest for wheel in wheels if wheel.info_dir not in here]
    layout = run.layout() if missing else None
    if layout is not None:
        from pipfast.prepare.bytecode import current_kind

        run.bytecode = current_kind(os.environ)
        if run.bytecode is not None:
            run.link_ahead = True
            run.make_preparer(layout).expect(missing)
    return Expectation(key, tuple(wheels), here)


def keep(run: Run, expectation: Expectation) -> None:
    """Keep what was installed for the next time; nothing is written where that is known."""
    layout = run.layout()
    if layout is None or not run.placed:
        return
    wheels = merged(expectation.wheels, expectation.here, run.placed)
    if wheels != list(expectation.wheels):
        logger.debug("pipfast: %d wheels are expected of this command line", len(wheels))
        keep_expected(layout, expectation.key, wheels)
