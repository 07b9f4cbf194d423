"""Keyring and password prompts, with several connections at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipfast_hooks.output import records
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    import logging

    from pipfast_hooks.call import Call


@dataclass(slots=True)
class _Asked:
    answers: dict[tuple[Any, Any], Any] = field(default_factory=dict)
    """By address and user."""
    unsaid: list[logging.LogRecord] = field(default_factory=list)
    """What was logged as other threads asked: that it fails, which pip says once."""


class Keyring(Part):
    """The user's keyring, asked once for what several connections need at the same time: it may ask the user."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._asked: dict[Any, _Asked] = {}
        self._asking = threading.Lock()

    def ask(self, call: Call) -> Any:
        """Return pip's answer, that of another connection if there is one."""
        key = call["url"], call["username"]
        with self._asking:
            asked = self._asked.setdefault(call.instance, _Asked())
            if records.are_held_back():
                if key not in asked.answers:
                    # What is said in a thread whose request is refused is thrown away.
                    with records.held_back_twice(asked.unsaid):
                        asked.answers[key] = call.original()
                return asked.answers[key]
            records.replay(asked.unsaid)
            # In pip's own thread an answer counts as what pip would have got here; the next time it asks again.
            return asked.answers.pop(key) if key in asked.answers else call.original()


def _around_keyring(call: Call) -> Any:
    """Ask the user's keyring once for what several connections need at the same time."""
    return current_run().part(Keyring).ask(call)


def _around_prompt(call: Call) -> Any:
    """Never ask in a worker thread: no credentials, so that the main thread asks when its turn comes."""
    if records.are_held_back():
        return None, None, False
    return call.original()
