"""Requests of pip and pipfast in random worlds: nothing is asked for that pip would not have been allowed to ask.

``PIPFAST_FUZZ_WORLDS`` is the number of worlds, ``PIPFAST_FUZZ_SEED`` where to begin.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.index import Manners
from support.twin import Scenario, Twin, pip
from support.wheels import Wheel, sdist_of, source_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Request, Server
    from support.twin import Laboratory, Run
    from support.wheels import Archive

WORLDS = int(os.environ.get("PIPFAST_FUZZ_WORLDS", "6"))
SEED = int(os.environ.get("PIPFAST_FUZZ_SEED", "0"))

NAMES = tuple(f"p{number}" for number in range(14))
HOLDS = ("", "", "", ' ; python_version >= "3"')
HOLDS_NOT = (' ; python_version < "3"', ' ; sys_platform == "win32"', ' ; extra == "nobody"')


@dataclass
class World:
    """Projects on two indexes, what is asked for, and what may be."""

    chance: random.Random
    options: tuple[str, ...] = ()
    roots: list[str] = field(default_factory=list)
    leads_to: dict[str, set[str]] = field(default_factory=dict)
    """Project to those that one of its releases requires, where the marker holds."""
    useless: set[str] = field(default_factory=set)
    """Names of files that pip never chooses."""
    prefixes: tuple[str, ...] = ("a",)

    def fill(self, server: Server) -> None:
        """Put the projects on the server."""
        chance = self.chance
        manners = Manners(core_metadata=chance.random() < 0.7, hashes=chance.random() < 0.9,
                          pages=chance.choice(["json", "html"]), ranges=chance.random() < 0.7)
        indexes = {prefix: server.index(prefix, manners) for prefix in "abc"}
        for name in NAMES:
            self.leads_to[name] = set()
            for version in sorted(chance.sample(["0.9", "1.0", "1.1", "2.0"], chance.randint(1, 3))):
                archive, wanted, kind = self._release(name, version)
                prefix = chance.choice("aaab")
                indexes[prefix].add(archive, yanked="bad" if kind == "yanked" else None)
                if kind != "good":
                    self.useless.add(archive.filename)
                else:
                    self.leads_to[name] |= wanted
            # An index that nobody has named has everything, and newer.
            indexes["c"].add(Wheel(name, "9.0").build())
        second = chance.random() < 0.4
        self.prefixes = ("a", "b") if second else ("a",)
        more = chance.choice([(), (), ("--no-deps",), ("--only-binary", ":all:"), ("--prefer-binary",)])
        self.options = (*indexes["a"].args, *(("--extra-index-url", indexes["b"].url) if second else ()), *more)
        self.roots = chance.sample(NAMES, chance.randint(1, 3))

    def _release(self, name: str, version: str) -> tuple[Archive, set[str], str]:
        chance = self.chance
        others = [each for each in NAMES if int(each[1:]) > int(name[1:])]
        count = min(len(others), chance.randint(0, 2))
        wanted = {each: chance.choice(HOLDS) for each in chance.sample(others, count)}
        never = {each: chance.choice(HOLDS_NOT) for each in chance.sample(others, min(len(others), 1))
                 if each not in wanted}
        requires = [f"{each}{marker}" for each, marker in (wanted | never).items()]
        kind = chance.choice(["good"] * 6 + ["yanked", "old python", "platform"])
        python = ">=99" if kind == "old python" else None
        if kind != "platform" and chance.random() < 0.1:
            tree = source_tree(name, version, requires, requires_python=python)
            return sdist_of(name, version, tree, requires_python=python), set(wanted), kind
        tag = "cp27-none-win32" if kind == "platform" else "py3-none-any"
        return Wheel(name, version, requires, requires_python=python, tag=tag).build(), set(wanted), kind

    def allowed(self) -> set[str]:
        """Return the projects that pip could come to."""
        found, new = set[str](), set(self.roots)
        while new:
            found |= new
            if "--no-deps" in self.options:
                break
            new = set[str]().union(*(self.leads_to[each] for each in new)) - found
        return found


_PAGE = re.compile(r"/(\w)/simple/([\w-]+)/")
_FILE = re.compile(r"/(\w)/files/(([\w]+)-[^/]+?)(\.metadata)?")


def objections(world: World, requests: tuple[Request, ...], stock: set[str]) -> Iterator[str]:
    """Yield what was asked for and must not be."""
    allowed = world.allowed()
    for request in requests:
        if request.method != "GET":
            yield f"{request.method} {request.path}"
        if request.path in stock:
            continue
        page, file = _PAGE.fullmatch(request.path), _FILE.fullmatch(request.path)
        if page:
            prefix, name = page.groups()
        elif file:
            prefix, filename, name, _ = file.groups()
            if filename in world.useless:
                yield f"{request.path}, which pip never chooses"
            if "--only-binary" in world.options and filename.endswith(".gz"):
                yield f"{request.path}, which is no wheel"
        else:
            yield f"{request.path}, which is neither a page nor a file"
            continue
        if prefix not in world.prefixes:
            yield f"{request.path} of an index that nobody has named"
        if name not in allowed:
            yield f"{request.path}, to which nothing leads from {world.roots}"


def run(laboratory: Laboratory, server: Server, world: World) -> tuple[Run, Run]:
    """Run both twins with nothing at hand."""
    server.clear()
    world.fill(server)
    verb = world.chance.choice([("install",), ("install", "--dry-run"), ("download", "-d", "there")])
    step = pip(*verb, *world.options, *world.roots, fails=None)
    scenario = Scenario((step,), forked=frozenset(Twin), warm=False, uninstall=False)
    inputs = Path(tempfile.mkdtemp(prefix="pf-asked-"))
    try:
        for folder in ("work", "home"):
            (inputs / folder).mkdir()
        laboratory.forget()
        return laboratory.run(scenario, Twin.STOCK, inputs), laboratory.run(scenario, Twin.OURS, inputs)
    finally:
        shutil.rmtree(inputs, ignore_errors=True)


@pytest.mark.timeout(0)
def test_nothing_is_asked_that_pip_could_not_ask(laboratory: Laboratory, server: Server) -> None:
    """Sets of requests, without a cache: only pages and files that something leads to; all pages that pip asks."""
    problems, asked, ahead = [], 0, 0
    for seed in range(SEED, SEED + WORLDS):
        world = World(random.Random(seed))
        stock, ours = run(laboratory, server, world)
        theirs = {each.path for each in stock.requests}
        mine = {each.path for each in ours.requests}
        asked, ahead = asked + len(mine), ahead + len(mine - theirs)
        found = list(objections(world, ours.requests, theirs))
        if [each.code for each in stock.results] != [each.code for each in ours.results]:
            found.append(f"exit codes differ: {ours.results}")
        if stock.results[0].code == 0:
            # What comes whole, or whose metadata comes beside it, is one file.
            found += [f"{each} was not asked for" for each in theirs - mine if _PAGE.fullmatch(each)]
        problems += [f"seed {seed}: {each}" for each in found]
    print(f"{WORLDS} worlds, {asked} addresses, {ahead} ahead of pip for nothing")
    assert not problems, "\n".join(problems)


def test_what_must_not_be_asked_is_found(server: Server) -> None:
    """The test above would see it."""
    from support.index import Request

    world = World(random.Random(1))
    server.clear()
    world.fill(server)
    outside = next(name for name in NAMES if name not in world.allowed())
    useless = next(iter(world.useless))
    for path in (f"/a/simple/{outside}/", f"/c/simple/{world.roots[0]}/", f"/a/files/{useless}", "/elsewhere"):
        assert list(objections(world, (Request("GET", path, {}, 200),), set())), path
    assert list(objections(world, (Request("HEAD", "/a/simple/", {}, 200),), {"/a/simple/"}))
