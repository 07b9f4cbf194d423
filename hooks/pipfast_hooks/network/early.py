"""Early requests through pip's own session, connections and cache files."""

from __future__ import annotations

import copy
import threading
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from pipfast_hooks.network.beside import Known, guard
from pipfast_hooks.network.pools import track
from pipfast_hooks.network.servers import Servers
from pipfast_hooks.run import Part, Run
from pipfast_hooks.seams import COLLECTS_ANSWERS
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipfast.fetch.turns import Turn


class Buffers(Part):
    """Notes the files in which pip's cache collects answers, and removes them at the end, whoever still writes.

    A thread whose request is not waited for ends with the process, and would leave its file where it is.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._open: WeakSet[Any] = WeakSet()
        self._replaced: tuple[Any, Any] | None = None
        """The module and pip's function that makes them, while ours stands in its place."""

    def begin(self) -> None:
        """Note such files from now on."""
        if self._replaced is not None:
            return
        module: Any = import_module(COLLECTS_ANSWERS[0])
        stock = getattr(module, COLLECTS_ANSWERS[1])

        def noted(*args: Any, **kwargs: Any) -> Any:
            file = stock(*args, **kwargs)
            self._open.add(file)
            return file

        setattr(module, COLLECTS_ANSWERS[1], noted)
        self._replaced = module, stock

    def close(self, wait_s: float) -> None:
        """Close and remove what is left; the run is over."""
        if self._replaced is not None:
            module, stock = self._replaced
            setattr(module, COLLECTS_ANSWERS[1], stock)
            self._replaced = None
        for file in list(self._open):
            with suppress(Exception):
                file.close()
        self._open.clear()


class EarlyRequests(Part):
    """Sends requests before pip comes to them, as each server bears it.

    All of a session's requests go through connection pools of urllib3: there each one is held until its server has
    room for it (``pipfast.fetch.servers``), and watched while it is under way.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.servers = run.part(Servers)
        self.refusals: dict[str, Any] = {}
        """Responses with status 401, by address: pip's own first ones, once pip asks."""
        self._buffers = run.part(Buffers)
        self._attached: WeakKeyDictionary[Any, Known] = WeakKeyDictionary()
        """Sessions, and the authentication of their early requests."""
        self._lock = threading.Lock()

    def attach(self, session: Any) -> None:
        """Have a session's requests go through pools that are watched."""
        with self._lock:
            if session in self._attached:
                return
            self._attached[session] = Known(_apart(getattr(session, "auth", None)))
        with suppress(AttributeError):
            guard(session, self.servers)
        with suppress(Exception):
            self._buffers.begin()
        for adapter in session.adapters.values():
            with suppress(AttributeError):
                track(adapter, self.servers)

    def get(
        self, session: Any, url: str, headers: Mapping[str, str], turn: Turn, *, stream: bool = False
    ) -> Any:
        """Send an early request once its server has room for it; nobody is asked for a password."""
        self.attach(session)
        turn.early, turn.url = True, url
        with here.having(turn=turn):
            response = session.get(url, headers=dict(headers), stream=stream, auth=self._attached[session])
            response.turn = here.turn
            return response


class _Passwords(dict[str, Any]):
    """Users and passwords by server: those that pip knows, and those that early requests have learnt."""

    def __init__(self, pips: dict[str, Any]) -> None:
        super().__init__()
        self._pips = pips

    def __contains__(self, server: object) -> bool:
        return super().__contains__(server) or server in self._pips

    def __missing__(self, server: str) -> Any:
        return self._pips[server]


def _apart(auth: Any) -> Any:
    """Return pip's authentication with a memory of its own.

    pip 23.0 sends a password to a server for whatever is there, once it has asked for a page whose address has it;
    so nothing may be known before pip has asked.
    """
    pips = getattr(auth, "passwords", None)
    if not isinstance(pips, dict):
        return auth
    apart = copy.copy(auth)
    apart.passwords = _Passwords(pips)
    return apart


def is_answer(response: Any) -> bool:
    """Tell whether pip alone would have got the same response."""
    turn = getattr(response, "turn", None)
    return turn is None or turn.server is None or bool(turn.server.is_answer(turn))


def over(response: Any, *, broken: bool = False) -> None:
    """Note that a response has been read or given up."""
    turn = getattr(response, "turn", None)
    if turn is not None and turn.server is not None:
        (turn.server.broke if broken else turn.server.ended)(turn)


def came(response: Any) -> None:
    """Note that a response has been read to its end."""
    turn = getattr(response, "turn", None)
    if turn is not None and turn.server is not None:
        turn.server.came(turn)


def give_up(response: Any) -> None:
    """Note that nobody wants what is still to come of a response."""
    turn = getattr(response, "turn", None)
    if turn is not None:
        turn.dead = True


@contextmanager
def reading(response: Any) -> Iterator[None]:
    """End the request when its response has been read."""
    broken = True
    try:
        yield
        broken = False
    finally:
        over(response, broken=broken)
