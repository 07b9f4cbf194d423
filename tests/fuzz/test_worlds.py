"""Stock pip and pipfast do the same in random worlds.

``PIPFAST_FUZZ_WORLDS`` is how many are run (a few by default), ``PIPFAST_FUZZ_SEED`` the number of the first. With
``PIPFAST_FUZZ_AGAIN=1`` each command is given four times, by processes of their own, so that the last may be
answered out of what another has kept; with ``=2`` all is uninstalled in between. A world that differs is shown as
an expression: it goes into ``KNOWN`` below.

Before pip 23.1 and Python 3.11, pip takes requirements in an order that depends on where objects are in memory:
run the worlds under ``setarch -R`` there.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fuzz.drawing import NAMES, numbered
from fuzz.shrinking import expression, shrunk
from fuzz.wheels import Oddity
from fuzz.worlds import Command, Release, World
from support.runs import MARKER
from support.twin import Twin, Twins

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.environments import Places
    from support.index import Server
    from support.twin import Difference, Laboratory

WORLDS = int(os.environ.get("PIPFAST_FUZZ_WORLDS", "8"))
SEED = int(os.environ.get("PIPFAST_FUZZ_SEED", "0"))

AT_ONCE = 25
"""Worlds of one test: with ``-n``, tests are what processes share."""

TRIES = int(os.environ.get("PIPFAST_FUZZ_TRIES", "150"))
"""Worlds that are run to make one that differs simpler: some minutes."""

AGAIN = os.environ.get("PIPFAST_FUZZ_AGAIN", "")

KNOWN: dict[str, World] = {
    "a damaged stored archive instead of what came without a digest": World(
        (Release("alpha", "1.0"),),
        (Command(("install", "-i", "{index}", "alpha")),),
        ({"hashes": False, "core_metadata": False}, {}),
        wound=201,
    ),
    "a kept page of an index with a password, and a file that pip 23.0.1 asks for without it": World(
        (Release("alpha", "1.0"),),
        (
            Command(("index", "versions", "-i", "{index}", "alpha")),
            Command(("install", "-i", "{index}", "alpha")),
        ),
        ({"credentials": ("someone", "s3cret")}, {}),
        settings={"PIPFAST_OFFLINE": "prefer"},
    ),
    "a file that pip 23.0.1 is refused, as it has not asked for the page whose address has the password": World(
        (Release("gamma.ray", "1.0.1"),),
        (Command(("install", "-i", "{index}", "{url:gamma.ray}", "delta_1<2")),),
        ({"credentials": ("someone", "s3cret"), "core_metadata": False}, {}),
        settings={"PIPFAST_DISABLE": "downloads"},
    ),
    "a size of what was fetched ahead from a server that names none": World(
        (Release("Beta", "2.0rc1"), Release("alpha", "2.0", requires=("Beta>=2.0rc1",))),
        (
            Command(("install", "-i", "{index}", "-r", "hashed.txt")),
            Command(("install", "-i", "{index}", "--cache-dir", "cache", "-r", "requirements.txt")),
        ),
        ({"ranges": False, "validators": False, "lengths": False, "core_metadata": False}, {}),
        requirements=("alpha",),
    ),
    "two warnings fewer of a Requires-Python that is none": World(
        (Release("alpha", "1.0", oddities=(Oddity.BAD_PYTHON,)),),
        (Command(("install", "-i", "{index}", "alpha")),),
    ),
}
"""Worlds that differed once, by what was wrong."""


def differences(
    world: World, laboratory: Laboratory, sabotage: Callable[[Places], object] | None = None
) -> list[Difference]:
    """Run a world in fresh places; ``sabotage`` changes what pipfast has left there."""
    inputs = Path(tempfile.mkdtemp(prefix="pf-world-"))
    try:
        for folder in ("work", "home"):
            (inputs / folder).mkdir()
        return world.run(Twins(laboratory, inputs), sabotage)
    finally:
        shutil.rmtree(inputs, ignore_errors=True)


def asked_again(world: World, *, anew: bool) -> World:
    """Return a world in which each command is given four times; what has changed just now is not kept yet.

    pip keeps pages of this server only where it is told to trust it.

    :param anew: all is uninstalled in between, and no index has to be asked.
    """
    manners = world.manners
    if anew:
        left_out = ("validators", "core_metadata", "hashes")
        first, second = ({name: each[name] for name in each if name not in left_out} for each in manners)
        manners = {**first, "cache_control": "max-age=600"}, {**second, "cache_control": "max-age=600"}
    between = [Command(("uninstall", "-y", *NAMES))] if anew else []
    commands = tuple(each for command in world.commands for _ in range(4) for each in (command, *between))
    settings = {**world.settings, "PIP_TRUSTED_HOST": "127.0.0.1", MARKER: "again"}
    return dataclasses.replace(world, commands=commands, settings=settings, manners=manners, real=(Twin.OURS,))


def told(world: World, found: list[Difference], laboratory: Laboratory) -> str:
    """Return what differs in a world, and the simplest world in which the first of it does."""

    def differs(simpler: World) -> bool:
        again = simpler.is_sound() and differences(simpler, laboratory)
        return any(each.kind == found[0].kind for each in again or ())

    simplest = shrunk(world, differs, TRIES)
    return "\n\n".join([expression(world), *map(str, found), "the simplest:", expression(simplest)])


@pytest.mark.timeout(0)
@pytest.mark.parametrize("start", range(0, WORLDS, AT_ONCE))
def test_random_worlds(laboratory: Laboratory, server: Server, start: int) -> None:
    """Exit code, output, trees, RECORD, inspect and uninstall are pip's, cold and warm.

    A world that differs does not end the others.
    """
    problems = []

    for number in range(SEED + start, SEED + min(start + AT_ONCE, WORLDS)):
        world = numbered(number)
        if AGAIN:
            world = asked_again(world, anew=AGAIN == "2")
        try:
            found = differences(world, laboratory)
        except Exception:  # The fuzzer's own; the other worlds are run all the same.
            problems.append(f"{number}: {expression(world)}\n\n{traceback.format_exc()}")
            continue
        if found:
            problems.append(f"{number}: {told(world, found, laboratory)}")
    assert not problems, "\n\n\n".join(problems)


@pytest.mark.parametrize("name", KNOWN)
def test_worlds_that_differed_once(laboratory: Laboratory, server: Server, name: str) -> None:
    found = differences(KNOWN[name], laboratory)
    assert not found, "\n\n".join(map(str, found))
