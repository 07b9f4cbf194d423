"""Causes of a failed build, each mended by an installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class MissingModule:
    """A module that the build imported, and that is not there."""

    module: str
    """Dotted, as the build looked for it."""
    said_by: str
    """The line that named it."""
    backend: bool = False
    """It is the build backend itself: what ``build-system.requires`` declares comes first."""

    @property
    def subject(self) -> str:
        """What is missing, in one word: the same subject a second time is a stop."""
        return self.module


@dataclass(frozen=True, slots=True)
class MissingDistribution:
    """A distribution that the build asked for by its own name."""

    requirement: str
    """With its specifier, where one was given; without markers."""
    said_by: str
    by: str = ""
    """Which distributions are said to depend on it, separated by commas; empty where none is named. What counts
    is what they themselves declare."""

    @property
    def subject(self) -> str:
        """What is missing, in one word."""
        return self.requirement


@dataclass(frozen=True, slots=True)
class NeedsOlderSetuptools:
    """A module that setuptools had once, and has no longer."""

    module: str
    below: str
    """The first release of setuptools without it."""
    said_by: str

    @property
    def subject(self) -> str:
        """What is missing, in one word."""
        return self.module


Cause: TypeAlias = MissingModule | MissingDistribution | NeedsOlderSetuptools


@dataclass(frozen=True, slots=True)
class NoCause:
    """Nothing that is installed would mend this build, or nothing shows that it would."""

    reason: str
    """For the debug log."""
