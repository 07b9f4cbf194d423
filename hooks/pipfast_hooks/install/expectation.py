"""Expectation of a command line: its last wheels, linked aside early."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipfast.prepare.expected import ExpectedWheel, command_key, find_expected, keep_expected, merged
from pipfast.report import counted, logger
from pipfast.store.folder import default_root, is_usable
from pipfast.store.layout import Layout
from pipfast.store.names import EXPECTED
from pipfast.store.notes import is_noted
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Sequence


class Expectation(Part):
    """What is known of a command line before it runs, and what it installs."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._key = ""
        """Of the command line; empty: nothing is known, and nothing kept."""
        self._wheels: tuple[ExpectedWheel, ...] = ()
        self._here: frozenset[str] = frozenset()
        """Names in the environment's library folder."""
        self._placed: list[ExpectedWheel] = []

    def missing(self, arguments: Sequence[str]) -> list[str]:
        """Look the command line up, and return the digests of what this environment has not.

        :raises StoreUnusable: nobody knows where the store is.
        """
        key = command_key(arguments, os.environ)
        root = self.run.settings.store or default_root()
        if is_noted(root, EXPECTED, key) and is_usable(root):
            self._wheels = tuple(find_expected(Layout(root), key))
            # Not at the top: most command lines are new.
            import sysconfig

            self._here = frozenset(os.listdir(sysconfig.get_path("purelib")))
        self._key = key
        return [wheel.digest for wheel in self._wheels if wheel.info_dir not in self._here]

    def note(self, digest: str, info_dir: str) -> None:
        """Note a wheel that was installed from the store."""
        self._placed.append(ExpectedWheel(digest, info_dir))

    def keep(self) -> None:
        """Keep what was installed for the next time; nothing is written where that is known."""
        layout = self.run.store.layout
        if not (self._key and self._placed and layout.keeps):
            return
        wheels = merged(self._wheels, self._here, self._placed)
        if wheels != list(self._wheels):
            logger.debug("pipfast: expected of this command line: %s", counted(len(wheels), "wheel"))
            keep_expected(layout, self._key, wheels)
