"""Keyring and password prompts: one question for several connections, and none in a worker thread."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.settings import Settings
from pipfast_hooks.call import Call
from pipfast_hooks.downloads.credentials import Keyring, _around_prompt
from pipfast_hooks.output.records import held_back
from pipfast_hooks.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("pip.keyring")


class Asked:
    """A keyring that counts the questions, and logs that it fails."""

    def __init__(self) -> None:
        self.questions: list[tuple[str, str]] = []

    def __call__(self, url: str, username: str) -> str:
        self.questions.append((url, username))
        logger.warning("keyring fails")
        return f"{url} {len(self.questions)}"


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def ask(asked: Asked) -> Callable[..., Any]:
    keyring = Run(Settings(), 0o022).part(Keyring)
    sessions = [object(), object()]

    def question(url: str = "host", username: str = "me", session: int = 0) -> Any:
        return keyring.ask(Call(asked, sessions[session], (url, username), {}, {"url": 0, "username": 1}))

    return question


def test_connections_that_need_the_same_ask_once(ask: Callable[..., Any], asked: Asked) -> None:
    for _ in range(3):
        with held_back([]):
            assert ask() == "host 1"
    with held_back([]):
        assert (ask("other"), ask(username="you"), ask(session=1)) == ("other 2", "host 3", "host 4")
    assert len(asked.questions) == 4


def test_pips_own_thread_has_the_answer_once_and_then_asks_again(ask: Callable[..., Any], asked: Asked) -> None:
    """As often as pip alone would have asked: a password may have changed."""
    with held_back([]):
        ask()
    assert ask() == "host 1" and ask() == "host 2" and ask() == "host 3"


def test_what_the_keyring_says_is_said_once(
    ask: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """In pip's own thread, also where nobody reads what the asking thread has kept."""
    with held_back([]):
        ask()
    assert caplog.messages == []
    ask()
    assert caplog.messages == ["keyring fails"]


def test_nobody_is_prompted_in_a_worker_thread() -> None:
    call = Call(lambda netloc: ("me", "secret", True), None, ("host",), {}, {"netloc": 0})
    with held_back([]):
        assert _around_prompt(call) == (None, None, False)
    assert _around_prompt(call) == ("me", "secret", True)
