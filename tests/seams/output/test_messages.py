"""Messages that are written without rich: the same bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.program import Box

CODE = """
import inspect, io, json, logging, pip, sys
from pipfast.settings import Settings
from pipfast_hooks.attach import Hooks
import pip._internal.commands.install
from pip._internal.utils import logging as pip_logging

MESSAGES = [
    "plain", "[bold]not markup[/]", ":package:", "x" * 200, "word " * 40 + "end", "trailing   ", "tab\\there", "",
    "two\\nlines", "\\u00fc", "bell\\a", "Requirement already satisfied: a<2,>=1 in ./env (from b) (1.0)", " ",
]

def printed(**options):
    stream = io.StringIO()
    # Older pips make the console in the handler.
    console = getattr(pip_logging, "PipConsole", pip_logging.Console)(file=stream, **options)
    parameters = inspect.signature(pip_logging.RichPipStreamHandler).parameters
    made = {"console": console, "stream": stream, "no_color": False}
    handler = pip_logging.RichPipStreamHandler(**{name: made[name] for name in parameters})
    handler.console = console
    handler.setFormatter(pip_logging.IndentingFormatter("%(message)s"))
    def tell(level, **extra):
        for message in MESSAGES:
            handler.emit(logging.makeLogRecord({"msg": message, "levelno": level, **extra}))
    tell(logging.INFO)
    tell(logging.DEBUG, markup=True)
    tell(logging.WARNING)
    with pip_logging.indent_log():
        tell(logging.INFO)
    with console.capture() as captured:
        tell(logging.INFO)
    handler.emit(logging.makeLogRecord({"msg": "%s", "args": ("[red]rich[/]",), "levelno": 20, "rich": True}))
    return stream.getvalue() + captured.get()

OPTIONS = [{}, {"force_terminal": True}, {"width": 20}, {"soft_wrap": True}, {"no_color": True}, {"quiet": True}]
before = [printed(**each) for each in OPTIONS]
hooks = Hooks(Settings(), pip.__version__)
hooks.apply()
assert not [each.why for each in hooks.states if each.seam.name.endswith("emit") and each.why]
print(json.dumps([before, [printed(**each) for each in OPTIONS]]))
"""


@pytest.mark.parametrize("environ", [{}, {"FORCE_COLOR": "1"}, {"NO_COLOR": "1"}, {"COLUMNS": "30"}], ids=str)
def test_messages_are_the_same(box: Box, environ: dict[str, str]) -> None:
    """Whatever is logged, for whatever console, the same is written."""
    ended = box.run("-c", CODE, **environ)
    assert ended.status == 0, ended.err
    before, after = json.loads(ended.out)
    assert after == before
