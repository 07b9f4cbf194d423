"""Attaching to this environment's pip, and undoing it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.settings import FAMILIES, WITHOUT_HOOKS

if TYPE_CHECKING:
    from support.program import Box

IMPORT_PIP = """
import pip._internal.cli.main, pip._internal.cli.main_parser, pip._internal.commands.install
import pip._internal.req.req_install, pip._internal.commands.wheel
import pip._internal.network.session, pip._internal.network.download, pip._internal.operations.install.wheel
import pip._internal.metadata.importlib, pip._internal.resolution.resolvelib.resolver
import pip._internal.resolution.legacy.resolver
"""
"""What a long-lived process, or ``sitecustomize``, may have imported before us. In this order: up to
25.1 ``network.download`` cannot be the first."""

PRELUDE = """
import inspect, json, sys, pip
from pipfast.settings import Settings
from pipfast_hooks.attach import Hooks, wrapt

def hooks(**settings):
    return Hooks(Settings(**settings), pip.__version__)

def states(hooks):
    return {each.seam.label: [each.state, each.why, bool(each.seam.wrapper or each.seam.kept)]
            for each in hooks.check_all()}

def standing(hooks):
    \"\"\"Every name of the table as it stands in its module or class, not looked up any further.\"\"\"
    found = {}
    for each in hooks.states:
        *holders, name = each.seam.name.split(".")
        holder = sys.modules[each.seam.module]
        for part in holders:
            holder = vars(holder)[part]
        found[each.seam.label] = vars(holder)[name]
    return found

def layers(value):
    \"\"\"The wrappers of a name from the outside, and its original.\"\"\"
    found = [value]
    while isinstance(found[-1], wrapt.FunctionWrapper):
        found.append(found[-1].__wrapped__)
    return found

def bound_elsewhere():
    \"\"\"Everything in pip's modules that is a wrapper of wrapt's.\"\"\"
    return [f"{module}.{name}" for module, loaded in list(sys.modules.items()) if module.startswith("pip.")
            for name, value in vars(loaded).items() if isinstance(value, wrapt.FunctionWrapper)]

def say(value):
    print(json.dumps(value))
"""


def told(box: Box, code: str) -> Any:
    """Run ``code`` in a fresh interpreter and return what it says."""
    ended = box.run("-c", PRELUDE + code)
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


@pytest.mark.parametrize("before", ["", IMPORT_PIP], ids=["pip-imported-after", "pip-imported-before"])
def test_every_seam_is_as_the_table_says(box: Box, before: str) -> None:
    """No seam of this pip stays stock, whether it was imported before us or not."""
    states = told(box, before + "each = hooks(); each.apply(); say(states(each))")
    wrong = {label: why for label, (state, why, wrapped) in states.items()
             if state != ("attached" if wrapped else "as expected")}
    assert states and not wrong


@pytest.mark.parametrize("before", ["", IMPORT_PIP], ids=["pip-imported-after", "pip-imported-before"])
def test_undo_restores_the_identical_objects(box: Box, before: str) -> None:
    """After ``undo`` pip is what it was: the same objects, also where they are bound by from-import."""
    result = told(box, before + """
each = hooks()
first = {}
if "pip._internal.commands.install" in sys.modules:
    first = standing(each)
each.apply(); each.check_all()
attached = standing(each)
wrapped = [label for label, value in attached.items() if isinstance(value, wrapt.FunctionWrapper)]
each.undo()
last = standing(each)
say({
    "wrapped": wrapped,
    "changed": [label for label in first if last[label] is not first[label]],
    "left": [label for label, value in last.items() if isinstance(value, wrapt.FunctionWrapper)],
    "not its original": [label for label in wrapped if last[label] is not layers(attached[label])[-1]],
    "elsewhere": bound_elsewhere(),
})
""")
    assert len(result.pop("wrapped")) > 5
    assert result == {"changed": [], "left": [], "not its original": [], "elsewhere": []}


def test_undo_before_pip_is_imported_attaches_nothing(box: Box) -> None:
    """A hook that waits for a module lets it be after ``undo``."""
    assert told(box, f"each = hooks(); each.apply(); each.undo()\n{IMPORT_PIP}\nsay(bound_elsewhere())") == []


def test_applying_twice_wraps_once(box: Box) -> None:
    """Neither the same hooks nor further ones put a second wrapper around a seam."""
    result = told(box, """
one, other = hooks(), hooks()
one.apply(); one.apply(); one.check_all(); other.apply(); other.check_all()
twice = [label for label, value in standing(one).items()
         if len(layers(value)) > 1 + max(1, sum(each.seam.label == label for each in one.states))]
other.undo()
still = [label for label, value in standing(one).items() if isinstance(value, wrapt.FunctionWrapper)]
one.undo()
say({"twice": twice, "still": len(still), "left": bound_elsewhere()})
""")
    assert result["still"] > 5
    assert (result["twice"], result["left"]) == ([], [])


def test_hooks_can_be_applied_again_after_undo(box: Box) -> None:
    """Undoing is not for ever."""
    result = told(box, """
each = hooks(); each.apply(); each.check_all(); once = sorted(states(each).items())
each.undo(); each.apply(); again = sorted(states(each).items())
each.undo()
say({"once": once, "again": again, "left": bound_elsewhere()})
""")
    assert result["once"] == result["again"]
    assert result["left"] == []


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - WITHOUT_HOOKS))
def test_each_family_can_be_switched_off(box: Box, family: str) -> None:
    """The seams of a family that is off are stock; those of the others are attached."""
    code = f"each = hooks(disabled=frozenset([{family!r}])); each.apply(); result = states(each)\n"
    code += "say({each.seam.label: [each.state, each.seam.family] for each in each.states})"
    states = told(box, code)
    assert {state for state, own in states.values() if own == family} == {"stock"}
    assert {state for state, own in states.values() if own != family} <= {"attached", "as expected"}


def test_wrappers_of_others_are_left_in_place(box: Box) -> None:
    """Somebody else's wrapper around a seam is wrapped as pip's own function would be, and kept."""
    result = told(box, IMPORT_PIP + """
from pip._internal.network.download import Downloader
theirs = wrapt.FunctionWrapper(vars(Downloader)["__call__"], lambda wrapped, instance, a, k: wrapped(*a, **k))
Downloader.__call__ = theirs
each = hooks(); each.apply()
attached = vars(Downloader)["__call__"].__wrapped__ is theirs
each.undo()
say([attached, vars(Downloader)["__call__"] is theirs])
""")
    assert result == [True, True]


@pytest.mark.parametrize("version, attached", [("22.3.1", False), ("99.0", True)])
def test_pips_outside_the_tested_range(box: Box, version: str, attached: bool) -> None:
    """A newer pip than any tested one keeps its own writing code; an older one keeps everything."""
    result = told(box, f"""
pip.__version__ = {version!r}
each = hooks(); each.apply(); each.check_all()
say([[state.seam.writes, state.seam.family, state.state] for state in each.states])
""")
    assert all(state == "stock" for writes, _, state in result if writes)
    assert any(state == "attached" for *_, state in result) is attached
