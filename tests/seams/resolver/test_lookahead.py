"""Requests that pip would make are found by running its code; nothing is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.program import Box

ASKED = """
import json, pip
from pipfast.settings import Settings
from pipfast_hooks.attach import Hooks
import pip._internal.commands.install
Hooks(Settings(), pip.__version__).apply()
from pip._internal.index.collector import LinkCollector
from pip._internal.models.link import Link
from pip._internal.models.search_scope import SearchScope
from pip._internal.network.session import PipSession
from pipfast_hooks.run import current_run
from pipfast_hooks.network import asked
from pipfast_hooks.network.ahead import Ahead

def refuse(*args, **kwargs):
    raise AssertionError("it was sent")

session = PipSession()
session.send = refuse
collector = LinkCollector(session=session, search_scope=SearchScope([], [], False))
assert current_run().find(Ahead) is None
print(json.dumps(asked.request_for(collector, Link("https://index.test/simple/x/"), "x")))
"""


def test_nothing_is_sent_when_the_resolution_is_over(box: Box) -> None:
    """A thread that asks what pip would send learns it, though nobody waits for the answer any more."""
    ended = box.run("-c", ASKED)
    assert ended.status == 0, ended.err
    url, headers = json.loads(ended.out)
    assert url == "https://index.test/simple/x/"
    assert "application/vnd.pypi.simple.v1+json" in headers["Accept"]
