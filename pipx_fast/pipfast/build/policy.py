"""From a missing module to a distribution that somebody trusted has named. Pure: nothing is read or run.

A module's name never becomes a distribution's name by guessing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from pipfast.build.causes import Cause
    from pipfast.build.known import Known

Mode: TypeAlias = Literal["on", "named", "off"]
"""``PIPFAST_BUILD_RESCUE``; ``named``: what this run or the target names, without the reviewed table."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One distribution that may be put beside a build."""

    requirement: str
    """As pip takes it: ``torch==2.13.0+cpu``, ``torch @ https://…``; the user's constraints hold besides."""
    name: str
    """The distribution's name as its namer writes it."""
    module: str
    """What the build missed."""
    tier: int
    """1: named by this run, the target or the package itself. 2: from the reviewed table."""
    why: str
    """Why it is trusted: the end of the sentence "it is trusted because …"."""
    wheels_only: bool = False
    hashes: tuple[str, ...] = ()
    """Under ``--require-hashes``: what its archive must have, one of them."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nobody trusted has named a distribution for what is missing."""

    module: str
    reason: str
    hint: str | None = None
    """The exact setting that would allow it, where one would."""


def decide(cause: Cause, known: Known, mode: Mode) -> Grant | Refusal:
    """Return the distribution that brings what is missing, at the version this run has or installs."""
    return Refusal(cause.subject, "not decided yet")
