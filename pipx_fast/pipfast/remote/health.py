"""State of the team's store, for ``pipfast doctor``."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipfast.address import shown
from pipfast.remote.client import Client, RemoteFailed
from pipfast.remote.failures import AGAIN
from pipfast.remote.library import NoLibrary
from pipfast.remote.patience import Patience
from pipfast.remote.remote import ARCHIVES_ALONE, KEY_IS, SET_KEY, WITHOUT_KEY, probe
from pipfast.remote.signing import NoKey, NotSigned, TeamKey, Unbelievable, key_place, read_head, read_key
from pipfast.report import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast.settings import Settings
    from pipfast.store.layout import Layout

_NOTHING = "v1/probe/nothing"
"""A name that no object has."""

_KINDS = ("v1/wheels", "v1/archives", "v1/prepared")

_MOST_TRIED = 4
"""Objects of one kind by which the key is tried: older ones may have been signed with an earlier key."""

_MOST_LISTS = 12
"""Folders of one kind that are looked into: three lead to a wheel, and some may be empty."""

_NAME = re.compile(r"v1/(?:wheels|archives|prepared)(?:/[0-9a-f]{1,64})+")


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
    key: str | None = None
    """What is found of the key, in words; None without one, or without a server."""


def examine(settings: Settings, layout: Layout | None) -> TeamFacts | None:
    """Ask the team's store for an object that is not there, try the key, and if it is written to, put one twice.

    :param layout: the user's store; None if it cannot be used, without which nothing is taken from the team's.
    """
    if settings.remote is None:
        return None
    key, facts = None, TeamFacts(shown(settings.remote), writes=settings.remote_write, shares=_shares(settings))
    try:
        key = read_key(settings.remote_key) if settings.remote_key is not None else None
    except NoKey as error:
        facts = replace(facts, problem=_left_out(str(error)), hint=KEY_IS)
    facts = replace(facts, has_key=key is not None)
    client = Client(settings.remote, Patience(settings.remote_timeout))
    try:
        client.get(_NOTHING)
        facts = replace(facts, answers=True)
        if key is None:
            return facts if facts.problem else _without_key(facts, settings)
        if settings.remote_write and layout is not None:
            facts = _probed(facts, client, layout, key)
        return _with_key(facts, client, key, settings)
    except (RemoteFailed, NoLibrary, OSError) as error:
        return _failed(facts, error)
    finally:
        client.close()


def _probed(facts: TeamFacts, client: Client, layout: Layout, key: TeamKey) -> TeamFacts:
    try:
        # A key that is wrong must not be made known as right.
        problem = probe(client, layout).problem
    except (RemoteFailed, NoLibrary, OSError) as error:
        return _failed(facts, error)
    return replace(
        facts, creates_only=not problem,
        problem=_left_out(f"nothing is put there: {problem}") if problem else None,
    )


def _failed(facts: TeamFacts, error: Exception) -> TeamFacts:
    hint = error.hint if isinstance(error, (RemoteFailed, NoLibrary)) else None
    return replace(facts, answers=False, problem=_left_out(str(error)), hint=hint if hint != AGAIN else None)


def _without_key(facts: TeamFacts, settings: Settings) -> TeamFacts:
    """Tell what has no key, as a command does."""
    if not settings.remote_archives:
        return replace(facts, problem=_left_out(WITHOUT_KEY), hint=SET_KEY)
    if settings.remote_prepared or settings.remote_write:
        return replace(facts, problem=f"{ARCHIVES_ALONE}; {WITHOUT_KEY}", hint=SET_KEY)
    return facts


def _with_key(facts: TeamFacts, client: Client, key: TeamKey, settings: Settings) -> TeamFacts:
    """Try the key with objects that are there. What does not work says nothing of the key."""
    assert settings.remote_key is not None
    place, tried = key_place(settings.remote_key), ""
    try:
        for name in _objects(client, key):
            incoming = client.get(name)
            if incoming is None:
                continue
            try:
                read_head(key, name, incoming.take)
            except NotSigned:
                tried = tried or name
            except Unbelievable:
                # Rubbish, which says nothing of a key.
                continue
            else:
                return replace(facts, key=f"right: {name} is signed with it{_beside(client, name)}")
    except (RemoteFailed, NoLibrary, OSError) as error:
        if not tried:
            return replace(facts, key=f"not tried: {error}")
    if not tried:
        return replace(facts, key="not tried: nothing is there yet that is signed")
    problem = f"the team's key in {place} is another one than {tried} was signed with, as all that was looked at"
    return replace(facts, key=f"wrong: {tried} is not signed with it", problem=facts.problem or problem,
                   hint=facts.hint or f"{KEY_IS}; if the team has changed its key, older objects stay unread")


def _objects(client: Client, key: TeamKey) -> Iterator[str]:
    """Yield the names of some objects: the key's own, and of each kind the newest of a few folders."""
    yield key.object_name
    for kind in _KINDS:
        count, lists, folders = 0, 0, [kind]
        while folders and count < _MOST_TRIED and lists < _MOST_LISTS:
            lists += 1
            below, names = client.names(folders.pop())
            # The last of them is looked at first, and all of it before the others.
            folders += [each for each in below if _NAME.fullmatch(each)][:_MOST_TRIED]
            for name in [each for each in names if _NAME.fullmatch(each)][:2]:
                count += 1
                yield name


def _beside(client: Client, name: str) -> str:
    """Return how many other keys were used there, in words."""
    with suppress(RemoteFailed):
        others = [each for each in client.names("v1/keys")[1] if each != name]
        return f"; {counted(len(others), 'other key')} used there, too" if others else ""
    return ""


def _shares(settings: Settings) -> tuple[str, ...]:
    asked = {"archives": settings.remote_archives, "prepared wheels": settings.remote_prepared}
    return ("wheels", *(name for name, is_asked in asked.items() if is_asked))


def _left_out(why: str) -> str:
    return f"the team's store is left out: {why}"
