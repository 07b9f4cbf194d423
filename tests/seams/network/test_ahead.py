"""Requests ahead of pip's at the end of a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from pipfast.settings import Settings
from pipfast_hooks.network.ahead import Ahead
from pipfast_hooks.network.early import Buffers
from pipfast_hooks.network.servers import Servers
from pipfast_hooks.run import Run

if TYPE_CHECKING:
    import pytest


class Session:
    """As much of pip's as is used."""

    adapters = SimpleNamespace(values=list)

    def request(self) -> None:
        """Nothing is sent."""


def test_the_threads_are_waited_for_before_what_they_use_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server forgotten too soon would be asked once more, and a file too soon forgotten would stay."""
    run = Run(Settings(), 0o022)
    ahead = run.part(Ahead)
    ahead.begin(Session(), lambda link: None).activate()
    ended: list[bool] = []
    for kind in (Servers, Buffers):
        monkeypatch.setattr(kind, "close", lambda self, wait_s: ended.append(ahead.requests is ahead._none))
    run.close()
    assert ended == [True, True]
