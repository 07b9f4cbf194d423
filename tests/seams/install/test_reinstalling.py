"""Installations import nothing once they have begun: pip 26.3 forbids it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.index import serving
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.program import Box


def test_upgrades_and_reinstallations(box: Box) -> None:
    """What was installed is taken away only then, and for that its metadata is read."""
    with serving() as server:
        index = server.index()
        index.add(*(Wheel("demo", version, console={"demo": "demo:f"}).build() for version in ("1.0", "2.0")))
        for words in (("demo==1.0",), ("-U", "demo"), ("--force-reinstall", "demo"), ("demo<2",)):
            ended = box.pipfast("install", *index.args, *words)
            assert (ended.status, "ERROR" in ended.err) == (0, False), ended.err
            assert "Successfully installed demo" in ended.out
