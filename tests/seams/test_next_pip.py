"""What is announced for the next pips, planted in this one: stock pip does that part, and the result is right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.house import CHECKOUT
from support.index import serving
from support.program import add_shim
from support.sources import archive, backend, built_with
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.program import Box

ANNOUNCED = {
    # Environments are filled in pip's own process: nobody asks for a pip to start.
    "child pips": """
import sys
from pip._internal import build_env
import pip._internal.commands.install
for module in (sys.modules.get("pip._internal.build_env.installer"), build_env):
    for name in ("get_runnable_pip", "SubprocessBuildEnvironmentInstaller"):
        if module is not None and hasattr(module, name):
            found = getattr(module, name)
            if isinstance(found, type) and "install" in vars(found):
                own = found.install
                found.install = lambda self, requirements, into, wanted=own, **named: wanted(
                    self, requirements, into, **named)
            elif not isinstance(found, type):
                setattr(module, name, lambda *things, wanted=found, **named: wanted(*things, **named))
""",
    "legacy resolver": """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("pip._internal.resolution.legacy"):
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Gone())
""",
    # An index has a say of its own in what its page gives.
    "index strategy": """
import pip._internal.commands.install
from pip._internal.index.package_finder import LinkEvaluator, PackageFinder
begin, process = LinkEvaluator.__init__, PackageFinder.process_project_url
def init(self, *things, index_strategy="first", **named):
    begin(self, *things, **named)
    self.index_strategy = index_strategy
LinkEvaluator.__init__ = init
PackageFinder.process_project_url = lambda self, project_url, link_evaluator, strategy=None: process(
    self, project_url, link_evaluator)
""",
    # A link is judged by more than its name, and a file is chosen by more than its tags.
    "wheel variants": """
import pip._internal.commands.install
from pip._internal.index.package_finder import CandidateEvaluator, LinkEvaluator
judge, key = LinkEvaluator.evaluate_link, CandidateEvaluator._sort_key
LinkEvaluator.evaluate_link = lambda self, link, variants=(): judge(self, link)
CandidateEvaluator._sort_key = lambda self, candidate, variants=(): key(self, candidate)
""",
    "pkg_resources": """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name == "pip._internal.metadata.pkg_resources":
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Gone())
""",
}
"""Code that an interpreter runs when it starts."""


@pytest.mark.slow
@pytest.mark.parametrize("change", ANNOUNCED)
def test_stock_pip_does_it(box: Box, change: str) -> None:
    """Wheels, a source with a backend from the index, and one of its own; a second time from the store."""
    with serving() as server:
        index = server.index().add(
            Wheel("demo", requires=["needed"]).build(), Wheel("needed").build(), Wheel("needed", "0.9").build(),
            backend(), built_with("maker", "made", scripts={}), archive("own", scripts={}),
        )
        arguments = ("install", *index.args, "demo", "made", "own")
        add_shim(box, ANNOUNCED[change])
        stock = box.pip(*arguments, "--target", str(box.root / "stock"))
        assert stock.status == 0, stock.err
        for number in range(2):
            ended = box.pipfast(*arguments, "--target", str(box.root / f"ours{number}"))
            assert (ended.status, ended.err) == (0, stock.err), ended.err
            assert ended.out.splitlines()[-1] == stock.out.splitlines()[-1]
            names = [sorted(path.name for path in (box.root / each).rglob("*") if path.suffix != ".pyc")
                     for each in ("stock", f"ours{number}")]
            assert names[0] == names[1]
    assert box.leftovers() == []
    assert box.broken_entries() == []


def test_each_announcement_has_its_row_and_its_test() -> None:
    text = (CHECKOUT / "hooks" / "NEXT_PIP.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`test_next_pip.py`: `([\w ]+)`", text)) == set(ANNOUNCED)
