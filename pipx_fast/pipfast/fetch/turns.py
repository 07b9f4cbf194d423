"""Turns: single requests to a server, pip's own and early ones."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from pipfast.fetch.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    class Asked(Protocol):
        """The server that a turn is one of."""

        left: bool

        def close_idle(self) -> None:
            """Close the connections to it that nobody uses."""

        def ended(self, turn: Turn) -> None:
            """Note that an answer has been read, or given up."""

        def came(self, turn: Turn) -> None:
            """Note that an answer has been read to its end."""

        def broke(self, turn: Turn) -> None:
            """Note that an answer broke off in its middle."""

        def is_answer(self, turn: Turn) -> bool:
            """Tell whether pip would have got this answer from the same request of its own."""


TOO_MANY = frozenset({401, 407, 408, 425, 429})
"""Statuses below 500 that have to do with who asks, or how often: no answer to an early request."""


class LeftToPip(FetchError):
    """A server is asked by pip alone."""

    def __str__(self) -> str:
        return f"{self.url} is left to pip"


class Told(Enum):
    """What a status says of a server."""

    GOOD = "good"
    """It has given what was asked for."""
    NOTHING = "nothing"
    """It has not what was asked for, or not for us: that is no fault."""
    DOUBT = "doubt"
    """It may have refused an early request for the company that this had."""
    LEAVE = "leave"
    """pip alone is to ask it."""


@dataclass(slots=True, eq=False)
class Turn:
    """One request: from when it may be sent until its answer has been read."""

    early: bool
    url: str = ""
    target: str = ""
    """What its first line names on the server."""
    ranged: bool = False
    first: bool = False
    wait: bool = True
    """Whether it waits while it is not known what a refusal was."""
    began: Callable[[], None] | None = None
    """Called when it may be sent; what it raises ends the request."""
    kill: Callable[[], None] = lambda: None
    silence: Callable[[], float] = lambda: 0.0
    """Returns the seconds since the last byte came over its connection."""
    is_over: Callable[[], bool] = lambda: False
    is_open: Callable[[], bool] = lambda: False
    server: Asked | None = None
    sent: float = 0.0
    answered: float | None = None
    status: int = 0
    company: bool = False
    """Whether an early request was under way at the same time, or this is one and any other was."""
    dead: bool = False
    """We have given it up: whatever becomes of its connection is no fault of the server's."""

    @property
    def is_good(self) -> bool:
        """Whether the server has given what was asked for."""
        return self.answered is not None and self.status < 400

    def tells(self, *, asks_for_rest: bool) -> Told:
        """Return what the status of its answer says of the server.

        :param asks_for_rest: the server says when it wants to be asked again.
        """
        refuses = self.status in TOO_MANY or self.status >= 500
        if self.status < 400:
            return Told.GOOD
        if not self.early:
            return Told.LEAVE if self.company and refuses else Told.NOTHING
        if self.ranged:
            return Told.LEAVE if refuses or asks_for_rest else Told.NOTHING
        if self.status >= 500 or asks_for_rest or (refuses and self.company):
            return Told.LEAVE
        return Told.DOUBT if self.company and not refuses else Told.NOTHING


def break_off(turns: Iterable[Turn]) -> None:
    """Break the connections of turns, and close the idle ones of their servers."""
    servers: list[Asked] = []
    for turn in turns:
        with suppress(Exception):
            turn.kill()
        if turn.server is not None and turn.server not in servers:
            servers.append(turn.server)
    for server in servers:
        with suppress(Exception):
            server.close_idle()
