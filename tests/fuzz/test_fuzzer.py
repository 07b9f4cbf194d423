"""The fuzzer itself: it finds what is planted, and makes a world that differs simple."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fuzz.drawing import numbered
from fuzz.places import Present
from fuzz.shrinking import expression, shrunk
from fuzz.test_worlds import differences
from fuzz.wheels import Oddity, odd_wheel
from fuzz.worlds import Command, Release, World
from support.environments import Kind
from support.twin import Laboratory, Twin

if TYPE_CHECKING:
    from support.environments import Places
    from support.index import Server
    from support.runs import Result
    from support.twin import Scenario, Step

PLAIN = World(
    (Release("alpha", "1.0", requires=("Beta",)), Release("Beta", "1.0")),
    (Command(("install", "-i", "{index}", "alpha")),),
)

LARGE = World(
    (
        Release("alpha", "1.0", ("wheel", "sdist"), more=("Beta",)),
        Release("Beta", "2.0", requires=("alpha",), oddities=(Oddity.MODES, Oddity.SCRIPTS, Oddity.PTH)),
        Release("Beta", "1.0"),
        Release("gamma.ray", "1.0", lies="digest"),
    ),
    (Command(("freeze",)), Command(("install", "-i", "{index}", "-U", "Beta")), Command(("check",))),
    ({"ranges": False}, {"pages": "html", "lengths": False}),
    requirements=("Beta", "alpha"),
    local=(Release("alpha", "1.1"),),
    present=((Release("alpha", "0.9"), Present.BY_CONDA),),
    umask=0o077,
    settings={"PIPFAST_WORKERS": "1"},
    wound=7,
    real=(Twin.OURS,),
)


def test_a_changed_byte_is_found(laboratory: Laboratory, server: Server) -> None:
    """One byte of an installed file is another one."""

    def flip(places: Places) -> None:
        path = places.site_packages / "beta/sub.py"
        path.unlink()
        path.write_text("def main(): past\n", "utf-8")

    found = differences(PLAIN, laboratory, flip)
    assert {each.kind for each in found} == {"environment"}
    assert "beta/sub.py" in str(found[0])


def test_a_lost_line_is_found(laboratory: Laboratory, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of standard output is missing, in forks and in processes."""
    stock = Laboratory._step

    def losing(self: Laboratory, scenario: Scenario, step: Step, twin: Twin) -> Result:
        result = stock(self, scenario, step, twin)
        if twin is Twin.STOCK:
            return result
        return replace(result, stdout=result.stdout.replace("Installing collected packages: Beta, alpha\n", ""))

    monkeypatch.setattr(Laboratory, "_step", losing)
    for world in (PLAIN, replace(PLAIN, real=tuple(Twin))):
        found = differences(world, laboratory)
        assert [(each.round, each.kind) for each in found] == [("cold", "stdout"), ("warm", "stdout")]
        assert "-Installing collected packages: Beta, alpha" in str(found[0])


def test_what_the_next_command_takes_away_is_found(
    laboratory: Laboratory, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mode is another one after the first command; the second removes the file."""
    stock = Laboratory._step

    def changing(self: Laboratory, scenario: Scenario, step: Step, twin: Twin) -> Result:
        result = stock(self, scenario, step, twin)
        path = self.places.site_packages / "beta/sub.py"
        if twin is Twin.OURS and path.exists():
            path.chmod(0o600)
        return result

    monkeypatch.setattr(Laboratory, "_step", changing)
    world = replace(PLAIN, commands=(*PLAIN.commands, Command(("uninstall", "-y", "Beta"))))
    found = differences(world, laboratory)
    assert [(each.round, each.kind) for each in found] == [
        (round, "environment after step 0") for round in ("cold", "warm")
    ]
    assert "mode of" in str(found[0])


@pytest.mark.parametrize("oddity", Oddity)
def test_oddities_are_in_the_wheel(oddity: Oddity) -> None:
    """Each changes the file, alone and beside others."""
    plain = odd_wheel("alpha", "1.0")
    assert odd_wheel("alpha", "1.0", oddities=[oddity]).data != plain.data
    others = [Oddity.NO_RECORD, Oddity.STREAMED, Oddity.TWICE, Oddity.PREFIXED]
    assert odd_wheel("alpha", "1.0", oddities=[oddity, *others]).filename == plain.filename


def test_a_world_shrinks_to_what_differs() -> None:
    """Nothing is left but what the difference needs, and that is an expression."""
    tried = []

    def differs(world: World) -> bool:
        tried.append(world)
        installs = any("install" in command.args for command in world.commands)
        return installs and any(Oddity.SCRIPTS in release.oddities for release in world.releases)

    simplest = shrunk(LARGE, differs, 200)
    assert expression(simplest) == (
        "World(releases=(Release('Beta', '2.0', oddities=(Oddity.SCRIPTS,)),), commands=(Command(('install',)),))"
    )
    assert len(tried) < 60


def test_shrinking_ends() -> None:
    """No more worlds are run than there are tries, and none twice."""
    tried: list[str] = []

    def differs(world: World) -> bool:
        tried.append(expression(world))
        return len(tried) % 3 == 0

    shrunk(LARGE, differs, 25)
    assert len(tried) == len(set(tried)) == 25


@pytest.mark.parametrize("number", range(20))
def test_worlds_are_expressions(number: int) -> None:
    """What is printed makes the world again; no command of it asks a public index."""
    world = numbered(number)
    assert world == numbered(number) != numbered(number + 1)
    names = {each.__name__: each for each in (Command, Kind, Oddity, Present, Release, Twin, World)}
    assert eval(expression(world), names) == world
    assert world.is_sound()


def test_public_indexes_are_not_asked() -> None:
    """A world that lost its index in shrinking is none."""
    for line in ("install alpha", "install -i alpha", "list --outdated"):
        assert not replace(PLAIN, commands=(Command(tuple(line.split())),)).is_sound()
    for line in ("install --no-index alpha", "list"):
        assert replace(PLAIN, commands=(Command(tuple(line.split())),)).is_sound()
