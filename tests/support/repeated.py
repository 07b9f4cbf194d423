"""Boxes in which one command runs again and again, each time from the same beginning."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipfast.store.layout import layout_to_look_at
from pipfast.upkeep.verify import verify
from support.program import make_box
from support.snapshot import compare_trees, picture
from support.wheels import Wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support.index import Index
    from support.program import Box
    from support.snapshot import Tree

FOLDERS = ("venv", "store", "home", "tmp")
"""All of a box that a command changes."""

_LEFT_BY_PIP = re.compile(r"(?:^|/)~|\.tmp$")
"""What pip, too, leaves when it is killed: what it was about to uninstall, and files that have no name yet."""


def demo(version: str, modules: int = 0) -> Wheel:
    """Return a wheel with something for each folder of an environment.

    :param modules: how many more modules it has, which take time to compile.
    """
    many = "".join(f"def f{number}(x):\n    return [x + {number}, x * {number}]\n" for number in range(100))
    return Wheel(
        "demo", version, requires=["library"], console={"demo": "demo:main"},
        files={
            "demo/__init__.py": f"def main():\n    return {version!r}\n", f"demo/new{version[0]}.py": "x = 1\n",
            "demo/data/table.txt": "x" * 10_000, "top.py": "",
            **{f"demo/m{number}.py": many for number in range(modules)},
            f"demo-{version}.data/data/share/demo.txt": "x", f"demo-{version}.data/scripts/run-demo": "#!python\n",
        },
    )


@dataclass(frozen=True)
class Repeated:
    """A box before a command, and what the command makes of it under pip."""

    box: Box
    arguments: list[str]
    before: Tree
    right: Tree
    saved: Path
    more: dict[str, str] = field(default_factory=dict)
    """Environment variables of each command."""

    def restore(self, *names: str) -> None:
        """Have the box as it was, or these folders of it."""
        for name in names or FOLDERS:
            shutil.rmtree(self.box.root / name, ignore_errors=True)
            if (self.saved / name).exists():
                shutil.copytree(self.saved / name, self.box.root / name, symlinks=True)

    def tree(self) -> Tree:
        return installed_tree(self.box)

    def damages(self) -> list[str]:
        """Return what ``store verify`` finds; here, as each command takes as long as all the rest."""
        if not self.box.store.exists():
            return []
        found = verify(layout_to_look_at(self.box.store)).damages
        return [f"the store is damaged: {each.path}: {each.reason}" for each in found]

    def problems_of_next(self, *, killed: bool) -> list[str]:
        """Return what is wrong after the next run.

        :param killed: the environment may have what a killed pip leaves, too.
        """
        again = self.box.pipfast(*self.arguments, "--force-reinstall", **self.more)
        if killed and "no RECORD file was found" in again.err:
            # pip, too, leaves a folder of metadata without RECORD when it is killed there, and names this way out.
            again = self.box.pipfast(*self.arguments, "--ignore-installed", **self.more)
        if again.status != 0 and killed and self.box.pip(*self.arguments, "--force-reinstall").status != 0:
            # What a power cut has spoiled is linked into the environment, too: pip alone cannot read it either.
            self.restore("venv")
            again = self.box.pipfast(*self.arguments, "--force-reinstall", **self.more)
        if again.status != 0:
            return [f"the next run ends with {again.status}: {again.err[-1000:]}"]
        tree = self.tree()
        if killed:
            # pip has put the old metadata aside first: killed then, it no longer knows whose the old files are.
            old = self.before.keys() - self.right.keys()
            tree = {path: entry for path, entry in tree.items() if not (path in old or _LEFT_BY_PIP.search(path))}
        return [f"after the next run: {line}" for line in compare_trees(self.right, tree)]


def installed_tree(box: Box) -> Tree:
    """Return what lies in the environment, without our own shims."""
    tree = picture(box.root / "venv")
    return {path: entry for path, entry in tree.items() if "/running.pth" not in path}


def make_repeated(root: Path, index: Index, state: str, *names: str, **more: str) -> Repeated:
    """Prepare a box in which ``demo==2.0`` is to be installed.

    :param state: ``cold``: nothing is there; ``warm``: the store has it; ``upgrade``: the environment has an older
        one besides.
    :param names: further requirements.
    """
    box = make_box(root)
    arguments = ["install", *index.args, "demo==2.0", *names]
    if state != "cold":
        assert box.pipfast(*arguments, "--target", str(root / "elsewhere"), **more).status == 0
    if state == "upgrade":
        assert box.pipfast("install", *index.args, "demo==1.0", **more).status == 0
    before = installed_tree(box)
    saved = root / "saved"
    for name in FOLDERS:
        if (root / name).exists():
            shutil.copytree(root / name, saved / name, symlinks=True)
    assert box.pip(*arguments).status == 0
    repeated = Repeated(box, arguments, before, installed_tree(box), saved, more)
    repeated.restore()
    return repeated
