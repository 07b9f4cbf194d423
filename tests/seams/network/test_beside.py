"""pip's own requests beside early ones, with the session's wrapper switched off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipfast.fetch.servers import Server
from pipfast.settings import Settings
from pipfast_hooks.network.early import EarlyRequests
from pipfast_hooks.run import Run
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    import pytest


class Session:
    """As much of pip's as is used; the first request is refused in company."""

    auth = None
    adapters: Any = SimpleNamespace(values=list)

    def __init__(self) -> None:
        self.answers = [404, 200]

    def request(self, method: str, url: str, **options: Any) -> Any:
        status = self.answers.pop(0)
        here.had_company = status == 404
        return SimpleNamespace(status_code=status, close=lambda: None)


def test_what_is_refused_in_company_is_asked_for_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(heard=True)
    run = Run(Settings(), 0o022)
    early = run.part(EarlyRequests)
    monkeypatch.setattr(early.servers, "at", lambda url: server)
    session = Session()
    early.attach(session)
    run.close()
    assert session.request("GET", "http://localhost/x", headers={}).status_code == 200
    assert server.left and not session.answers
