"""Each function of pip's in turn gone or of another shape: stock pip does its part, and the result is the same."""

from __future__ import annotations

import json
import operator
import shutil
from typing import TYPE_CHECKING, NamedTuple

import pip
import pytest

from pipfast_hooks.seams import Seam, seams_of
from support.index import serving
from support.program import add_shim, make_box
from support.snapshot import Tree, compare_trees, picture
from support.sources import archive, backend, built_with
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.program import Box, Ended

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DRIVER = """
import contextlib, json, os, sys
from pipfast.settings import Settings
from pipfast_hooks import pip_main
with contextlib.ExitStack() as ending:
    hooks = pip_main.hook(Settings.from_environ(os.environ), ending)
    status = pip_main.run_pip(json.loads(sys.argv[1]))
for each in hooks.states:
    sys.stderr.write("STATE " + json.dumps([each.seam.label, each.seam.family, each.state]) + "\\n")
sys.exit(status)
"""

FIND = """
import builtins, importlib, inspect
import pip._internal.commands.install
parent = importlib.import_module({module!r})
*path, name = {name!r}.split(".")
for part in path:
    parent = vars(parent)[part]
found = vars(parent)[name]
"""

OTHER_SHAPE = FIND + """
if isinstance(found, property):
    class Computed:
        def __get__(self, instance, owner=None):
            return self if instance is None else found.fget(instance)
    changed = Computed()
else:
    inner = getattr(found, "__func__", found)
    def changed(*things, **named):
        return inner(*things, **named)
    if inner is not found:
        changed = type(found)(changed)
setattr(parent, name, changed)
"""

GONE = FIND + """
delattr(parent, name)
if inspect.isclass(parent):
    # It has moved to a base class; where it asks for one itself, or none can be had, objects have it all the same.
    base = next((each for each in parent.__mro__[1:] if name in vars(each)), None)
    try:
        if "__class__" in getattr(getattr(found, "__code__", None), "co_freevars", ()):
            raise TypeError
        if base is not None:
            setattr(base, name, found)
        else:
            parent.__bases__ = (type(parent)("Moved", (), {{name: found}}), *parent.__bases__)
    except TypeError:
        before = getattr(parent, "__getattr__", None)
        def supply(self, wanted):
            if wanted == name:
                return found.__get__(self, type(self))
            if before is None:
                raise AttributeError(wanted)
            return before(self, wanted)
        parent.__getattr__ = supply
else:
    setattr(builtins, name, found)
"""

ROWS = seams_of(pip.__version__)
_NAME = operator.attrgetter("label")


class World(NamedTuple):
    """An environment that is emptied for each test, and what stock pip makes of it."""

    box: Box
    url: str
    tree: Tree
    last_line: str


def clear(box: Box) -> None:
    """Take away what a run has left."""
    for path in box.site_packages.iterdir():
        if path.name == "running.pth":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for folder in (box.store, box.root / "home", box.tmp):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (box.root / "home", box.tmp):
        folder.mkdir()


def installed(box: Box) -> Tree:
    """Return what was installed, without bytecode: whose name is in it is no matter."""
    found = {path: entry for path, entry in picture(box.site_packages).items() if "__pycache__" not in path}
    return {path: entry for path, entry in found.items() if not path.startswith(("shim", "running"))}


def last_line(ended: Ended) -> str:
    return [line for line in ended.out.splitlines() if line.startswith("Successfully installed")][-1]


ARGUMENTS = ("install", "seamless", "made", "own")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve wheels, a source with a backend of its own, and one that needs an isolated environment."""
    box = make_box(tmp_path_factory.mktemp("each"))
    with serving() as server:
        index = server.index().add(
            Wheel("seamless", requires=["needed"], console={"seamless": "seamless:main"}).build(),
            Wheel("needed").build(), backend(), built_with("maker", "made", scripts={}),
            archive("own", scripts={}),
        )
        ended = box.pip(*ARGUMENTS, *index.args)
        assert ended.status == 0, ended.err
        yield World(box, index.url, installed(box), last_line(ended))


def pass_over_where_pip_fails(world: World, ended: Ended, shim: str) -> None:
    """Skip where pip alone fails, too: it asks where something is gone, or two things have moved to one place."""
    if ended.status != 0:
        clear(world.box)
        add_shim(world.box, shim)
        if world.box.pip(*ARGUMENTS, "--index-url", world.url).status != 0:
            pytest.skip("pip alone cannot do without it")


def check(world: World, seam: Seam, shim: str) -> None:
    """Install where one function is other than expected."""
    box = world.box
    clear(box)
    shim = shim.format(module=seam.module, name=seam.name)
    add_shim(box, shim)
    ended = box.run("-c", DRIVER, json.dumps([*ARGUMENTS, "--index-url", world.url]))
    pass_over_where_pip_fails(world, ended, shim)
    assert ended.status == 0, ended.err
    states = [json.loads(line[6:]) for line in ended.err.splitlines() if line.startswith("STATE ")]
    assert [state for label, family, state in states if (label, family) == (seam.label, seam.family)] == ["stock"]
    said = [line for line in ended.err.splitlines() if not line.startswith("STATE ")]
    assert not said
    assert last_line(ended) == world.last_line
    assert compare_trees(world.tree, installed(box)) == []
    assert box.leftovers() == []
    assert box.broken_entries() == []


@pytest.mark.parametrize("seam", ROWS, ids=_NAME)
def test_of_another_shape(world: World, seam: Seam) -> None:
    """Parameters of other names, or no property any more."""
    check(world, seam, OTHER_SHAPE)


@pytest.mark.parametrize("seam", [each for each in ROWS if not each.name.endswith("__")], ids=_NAME)
def test_gone(world: World, seam: Seam) -> None:
    """pip has it elsewhere, under the same name."""
    check(world, seam, GONE)


@pytest.mark.parametrize("family", sorted({seam.family for seam in ROWS}))
def test_a_whole_family_gone(world: World, family: str) -> None:
    """As after a change of everything that one hook family stands on."""
    rows = [seam for seam in ROWS if seam.family == family and not seam.name.endswith("__")]
    box = world.box
    clear(box)
    functions = "\n".join(
        f"def change_{number}():\n    " + GONE.format(module=seam.module, name=seam.name).replace("\n", "\n    ")
        + f"\nchange_{number}()" for number, seam in enumerate(rows)
    )
    add_shim(box, functions)
    ended = box.pipfast(*ARGUMENTS, "--index-url", world.url)
    pass_over_where_pip_fails(world, ended, functions)
    assert ended.status == 0, ended.err
    assert ended.err == ""
    assert last_line(ended) == world.last_line
    assert compare_trees(world.tree, installed(box)) == []
