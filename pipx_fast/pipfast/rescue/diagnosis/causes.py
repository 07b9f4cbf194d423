"""Causes of a failed build: modules and distributions that it misses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class MissingModule:
    """The build imported a module that is not there."""

    module: str
    """Dotted, as the build looked for it."""
    said_by: str
    """The line that named it."""
    backend: bool = False
    """It is the build backend itself: ``build-system.requires`` comes first."""

    @property
    def subject(self) -> str:
        """The missing thing in one word; the same subject a second time ends the rescue."""
        return self.module


@dataclass(frozen=True, slots=True)
class MissingDistribution:
    """The build asked for a distribution by its own name."""

    requirement: str
    """With its specifier, where one was given; without markers."""
    said_by: str
    by: str = ""
    """Distributions that, by the message, depend on it, separated by commas; their own metadata counts."""

    @property
    def subject(self) -> str:
        """The missing thing in one word."""
        return self.requirement


@dataclass(frozen=True, slots=True)
class NeedsOlderSetuptools:
    """The build imported a module that setuptools has dropped."""

    module: str
    below: str
    """The first release of setuptools without it."""
    said_by: str

    @property
    def subject(self) -> str:
        """The missing thing in one word."""
        return self.module


Cause: TypeAlias = MissingModule | MissingDistribution | NeedsOlderSetuptools


@dataclass(frozen=True, slots=True)
class NoCause:
    """No installation mends this build, or nothing shows that one would."""

    reason: str
    """For the debug log."""
