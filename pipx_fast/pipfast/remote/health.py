"""State of the team's store, for ``pipfast doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipfast.address import shown
from pipfast.remote.client import Client, RemoteFailed
from pipfast.remote.library import NoLibrary
from pipfast.remote.patience import Patience
from pipfast.remote.remote import probe
from pipfast.remote.signing import NoKey, read_key

if TYPE_CHECKING:
    from pipfast.settings import Settings
    from pipfast.store.layout import Layout

_NOTHING = "v1/probe/nothing"
"""A name that no object has."""


@dataclass(frozen=True, slots=True)
class TeamFacts:
    """The team's store, and what is wrong with it."""

    address: str
    """Without user, password and query."""
    answers: bool = False
    has_key: bool = False
    writes: bool = False
    """What is built here is put there."""
    shares: tuple[str, ...] = ("wheels",)
    """What is taken from it: also ``archives`` and ``prepared wheels``, by the user's settings."""
    creates_only: bool | None = None
    """The server creates objects and never replaces them; None: nothing is put there, so that was not tried."""
    problem: str | None = None
    hint: str | None = None


def examine(settings: Settings, layout: Layout | None) -> TeamFacts | None:
    """Ask the team's store for an object that is not there, and if it is written to, put one twice.

    :param layout: the user's store; None if it cannot be used, without which nothing is taken from the team's.
    """
    if settings.remote is None:
        return None
    address = shown(settings.remote)
    has_key, problem = settings.remote_key is not None, ""
    try:
        if settings.remote_key is not None:
            read_key(settings.remote_key)
    except NoKey as error:
        has_key, problem = False, str(error)
    client = Client(settings.remote, Patience(settings.remote_timeout))
    try:
        client.get(_NOTHING)
        creates_only = None
        if settings.remote_write and has_key and layout is not None:
            found = probe(client, layout)
            creates_only, problem = not found.problem, found.problem or problem
    except (RemoteFailed, NoLibrary, OSError) as error:
        hint = error.hint if isinstance(error, (NoLibrary, RemoteFailed)) else None
        problem = _sentence(str(error))
        return TeamFacts(address, False, has_key, settings.remote_write, _shares(settings), None, problem, hint)
    finally:
        client.close()
    if not has_key:
        problem = problem or "without the team's key (PIPFAST_REMOTE_KEY) no wheel of it is believed"
    return TeamFacts(address, True, has_key, settings.remote_write, _shares(settings), creates_only,
                     _sentence(problem) if problem else None)


def _shares(settings: Settings) -> tuple[str, ...]:
    asked = {"archives": settings.remote_archives, "prepared wheels": settings.remote_prepared}
    return ("wheels", *(name for name, is_asked in asked.items() if is_asked))


def _sentence(problem: str) -> str:
    return f"the team's store is left out: {problem}"
