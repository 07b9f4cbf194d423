"""Deferred modules, and what an installation with nothing to do leaves unloaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from support.pips import PIP

if TYPE_CHECKING:
    from support.program import Box

PRELUDE = """
import json, sys
from importlib.util import _LazyModule
from pipfast_hooks.startup import deferred

def waiting(name):
    return type(sys.modules.get(name)) is _LazyModule
"""


def told(box: Box, code: str) -> object:
    ended = box.run("-c", PRELUDE + code + "\nprint(json.dumps(said))")
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


def test_deferred_module_is_executed_when_it_is_used(box: Box) -> None:
    """It is what it would have been, from the first use on."""
    assert told(box, """
deferred.defer(["colorsys", "sys"])
import colorsys
said = [waiting("colorsys"), colorsys.rgb_to_hsv(0, 0, 0), waiting("colorsys"), waiting("sys")]
""") == [True, [0.0, 0.0, 0], False, False]


def test_everything_deferred_can_be_executed_at_once(box: Box) -> None:
    """Nothing waits any more when installing begins, and nothing begins to wait."""
    assert told(box, """
deferred.defer(["colorsys", "this-is-none", "chunk"])
import colorsys
deferred.load_all()
import wave
said = [waiting("colorsys"), waiting("wave"), len([each for each in sys.meta_path if "_Finder" in repr(each)])]
""") == [False, False, 0]


def test_what_was_left_out_of_one_import_is_whole_in_the_next(box: Box) -> None:
    """A module that is not needed for one import is not known afterwards, waiting or not."""
    assert told(box, """
with deferred.without(["colorsys"]):
    import colorsys as first
before = "colorsys" in sys.modules
import colorsys
said = [before, waiting("colorsys"), colorsys.rgb_to_hsv(0, 0, 0)]
""") == [False, False, [0.0, 0.0, 0]]


LOADED = """
import sys
from pipfast.launch import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
finally:
    print("", *sorted(name for name, module in sys.modules.items() if type(module).__name__ != "_LazyModule"))
"""
HEAVY: tuple[str, ...] = ("pipfast.fetch", "pipfast.install", "pipfast.prepare.workers")
# Older pips import these for other things.
if Version("26.0") <= PIP:
    HEAVY += ("asyncio",)
if Version("26.3") <= PIP:
    HEAVY += ("pip._vendor.rich.traceback",)


@pytest.mark.parametrize("arguments", [["install", "pip"], ["install", "--dry-run", "pip"]], ids=" ".join)
def test_what_is_satisfied_loads_nothing_that_downloads_or_installs(box: Box, arguments: list[str]) -> None:
    """There is nothing to fetch, unpack or link."""
    ended = box.run("-c", LOADED, *arguments)
    assert ended.status == 0, ended.err
    assert [name for name in ended.out.splitlines()[-1].split() if name.startswith(HEAVY)] == []


def test_everything_is_loaded_where_something_is_installed(box: Box, index_url: str) -> None:
    """From 26.3 on, nothing can be imported after the installation has begun."""
    ended = box.run("-c", LOADED, "install", "--index-url", index_url, "seamless")
    assert ended.status == 0, ended.err
    loaded = ended.out.splitlines()[-1].split()
    assert {"pipfast.install.linker", "pipfast.prepare.workers", "pip._vendor.rich.traceback"} <= set(loaded)


def test_a_traceback_of_pips_is_as_ever(box: Box) -> None:
    """With --debug the deferred module draws the traceback, after a run that had nothing to install too."""
    code = """
import sys
import pip._internal.commands.install as install
from pipfast.launch import main

def fail(*args, **kwargs):
    raise RuntimeError("broken for the test")

install.installed_packages_summary = install.get_lib_location_guesses = fail
main(["install", "--debug", "--quiet", "pip"])
"""
    ended = box.run("-c", code)
    assert ended.status != 0
    assert "RuntimeError: broken for the test" in ended.err
    assert "BlockedImport" not in ended.err
