"""Stock pip and pipfast do the same in random worlds.

``PIPFAST_FUZZ_WORLDS`` is their number (a few by default), ``PIPFAST_FUZZ_SEED`` where to begin; without one it is
the same few each time. A world that differs is shown as an expression: it goes into ``KNOWN`` below.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzz.worlds import World, worlds
from support.twin import Twins

if TYPE_CHECKING:
    from support.index import Server
    from support.twin import Laboratory

WORLDS = int(os.environ.get("PIPFAST_FUZZ_WORLDS", "4"))
SEED = int(os.environ.get("PIPFAST_FUZZ_SEED", "0"))

KNOWN: dict[str, World] = {}
"""Worlds that differed once, by what was wrong."""


def differences(world: World, laboratory: Laboratory) -> list[str]:
    inputs = Path(tempfile.mkdtemp(prefix="pf-world-"))
    try:
        for folder in ("work", "home"):
            (inputs / folder).mkdir()
        return world.run(Twins(laboratory, inputs))
    finally:
        shutil.rmtree(inputs, ignore_errors=True)


@pytest.mark.timeout(0)
@seed(SEED)
@settings(
    max_examples=WORLDS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
    print_blob=False,
)
@given(world=worlds())
def test_random_worlds(laboratory: Laboratory, server: Server, world: World) -> None:
    """Exit code, output, trees, RECORD, inspect and uninstall are pip's, cold and warm."""
    found = differences(world, laboratory)
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize("name", KNOWN)
def test_worlds_that_differed_once(laboratory: Laboratory, server: Server, name: str) -> None:
    found = differences(KNOWN[name], laboratory)
    assert not found, "\n\n".join(found)
