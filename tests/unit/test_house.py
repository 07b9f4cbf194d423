"""Rules of the source tree, each with a planted violation that it finds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.house import (
    CHECKOUT,
    FLOORS,
    MOST_MODULES,
    House,
    Module,
    back_doors,
    imported_names,
    requirements_of,
    run_seekers,
    shared_state,
    version_comparisons,
    wrong_first_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STATE_ROOMS = {"pipfast_hooks.run", "pipfast.report", "pipfast.system.threads"}
"""Modules that may hold what a process has once."""

RUN_ROOMS = {"pipfast_hooks.run", "pipfast_hooks.pip_main"}
"""Modules that begin and end the run."""


@pytest.fixture(scope="module")
def house() -> House:
    return House()


def plant(checkout: Path, **files: str) -> House:
    """Write modules below a checkout, ``fetch__pool`` for pipfast/fetch/pool.py, and read them."""
    for name, source in {"__init__": "", **files}.items():
        root, _, rest = name.rpartition("hooks__")
        folder = checkout / ("hooks/pipfast_hooks" if root or rest != name else "pipx_fast/pipfast")
        path = folder.joinpath(*re.split(r"(?<=[^_])__(?=[^_])", rest)).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return House(checkout)


# Floors


def test_every_floor_is_there(house: House) -> None:
    assert set(FLOORS) <= set(house.modules)


def test_imports_lead_down(house: House) -> None:
    assert not house.arrows_up()


def test_no_circle_of_files(house: House) -> None:
    assert not house.circles()


@pytest.mark.parametrize(
    "source",
    [
        "from pipfast.commands.doctor import main",
        "import pipfast.commands.doctor",
        "from pipfast.commands import doctor",
        "from ..commands import doctor",
        "def f():\n    from pipfast.commands import doctor",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pipfast.commands.doctor import main",
    ],
)
def test_planted_arrow_up_is_found(tmp_path: Path, source: str) -> None:
    house = plant(tmp_path, store__layout=source, commands__doctor="")
    assert house.arrows_up() == {"pipfast.store.layout -> pipfast.commands.doctor"}


def test_planted_circle_is_found(tmp_path: Path) -> None:
    """Through three files of one floor, in a function and for types."""
    house = plant(
        tmp_path,
        store__a="from pipfast.store import b",
        store__b="def f():\n    from pipfast.store.c import x",
        store__c="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pipfast.store.a",
        store__d="from pipfast.store import a",
    )
    assert house.circles() == [["pipfast.store.a", "pipfast.store.b", "pipfast.store.c"]]
    assert not house.arrows_up()


# State


def test_state_belongs_to_the_run(house: House) -> None:
    found = [
        f"{name} has {each}" for name, module in house.modules.items() if name not in STATE_ROOMS
        for each in shared_state(module)
    ]
    assert not found


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("x = None\ndef f():\n    global x\n    x = 1", "global x"),
        ("x = {}", "x"),
        ("x: list[int] = []", "x"),
        ("x = {1, 2}", "x"),
        ("x = [each for each in 'ab']", "x"),
        ("import threading\nx = threading.local()", "x"),
        ("from threading import Lock\nx = Lock()", "x"),
        ("from collections import defaultdict\nx: defaultdict[str, int] = defaultdict(int)", "x"),
        ("from queue import SimpleQueue\nx = SimpleQueue[int]()", "x"),
        ("if True:\n    try:\n        pass\n    except OSError:\n        x = {}", "x"),
        ("class C:\n    x = {}", "x"),
        ("x = None or {}", "x"),
    ],
)
def test_planted_state_is_found(tmp_path: Path, source: str, name: str) -> None:
    assert shared_state(plant(tmp_path, store__layout=source).modules["pipfast.store.layout"]) == {name}


@pytest.mark.parametrize(
    "source",
    [
        "x = (1, 2)",
        "x = frozenset({1, 2})",
        "from types import MappingProxyType\nx = MappingProxyType({1: 2})",
        "def f():\n    x = {}",
        "import sys\nsys.path[:] = []",
        "from dataclasses import field\nclass C:\n    x: dict = field(default_factory=dict)",
    ],
)
def test_constants_and_locals_are_no_state(tmp_path: Path, source: str) -> None:
    assert not shared_state(plant(tmp_path, store__layout=source).modules["pipfast.store.layout"])


# Doors


def test_no_module_of_ours_is_looked_up(house: House) -> None:
    found = [
        name for name, module in house.modules.items() if name != "pipfast_hooks.attach" and back_doors(module)
    ]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        'sys.modules["pipfast.store.layout"].forget()',
        'sys.modules.get("pipfast_hooks.run")',
        'if "pipfast.store" in sys.modules:\n    pass',
        'def f(name):\n    sys.modules.get(f"{__package__}.{name}")',
        'def f():\n    for name in ("pipfast.store", "pipfast.fetch"):\n        sys.modules.pop(name)',
    ],
)
def test_planted_door_is_found(tmp_path: Path, source: str) -> None:
    module = plant(tmp_path, hooks__command=f"import sys\n{source}").modules["pipfast_hooks.command"]
    assert len(back_doors(module)) == 1


def test_other_peoples_modules_are_no_doors(tmp_path: Path) -> None:
    source = 'import sys\nsys.modules["os"]\nsys.modules.get("site")\nlist(sys.modules)\nloaded = set(sys.modules)'
    assert not back_doors(plant(tmp_path, hooks__command=source).modules["pipfast_hooks.command"])


def test_the_run_is_handed_on(house: House) -> None:
    """Functions of seams ask for the current run; deeper ones are given it."""
    found = [
        f"{name} in {each}" for name, module in house.modules.items() if name not in RUN_ROOMS
        for each in run_seekers(module)
    ]
    assert not found


def test_planted_search_for_the_run_is_found(tmp_path: Path) -> None:
    source = (
        "from pipfast_hooks import run\nfrom pipfast_hooks.run import current_run\n"
        "def deep():\n    return run.current_run()\n"
        "def deeper():\n    return [current_run() for _ in '']\n"
        "class C:\n    run = current_run()\n"
        "def _around_main(w, i, a, k):\n    def inner():\n        current_run()\n"
        "def _instead_of_x():\n    current_run()\n"
    )
    module = plant(tmp_path, hooks__command=source).modules["pipfast_hooks.command"]
    assert run_seekers(module) == {"deep", "deeper", "the module itself"}


# pip and other libraries


def test_the_table_alone_compares_pips_version(house: House) -> None:
    found = [
        name for name, module in house.modules.items()
        if name != "pipfast_hooks.seams" and version_comparisons(module)
    ]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        'import pip\nif pip.__version__ < "25":\n    pass',
        'import pip\nnew = pip.__version__.startswith("2") and pip.__version__ != "25.1"',
        "from pipfast_hooks.seams import parse_version\nx = parse_version(text) >= (25, 3)",
        "from pipfast_hooks.seams import parse_version\nversion = parse_version(text)\nx = version[:2] >= (25, 3)",
        "from pipfast_hooks.seams import NEWEST_TESTED\ndef f(pip):\n    return pip > NEWEST_TESTED",
    ],
)
def test_planted_comparison_of_versions_is_found(tmp_path: Path, source: str) -> None:
    module = plant(tmp_path, hooks__command=source).modules["pipfast_hooks.command"]
    assert len(version_comparisons(module)) == 1


def test_declared_dependencies_are_used(house: House) -> None:
    assert requirements_of(CHECKOUT) == {"pip", "isal", "packaging", "platformdirs", "wrapt"}
    assert not unused(requirements_of(CHECKOUT), house.modules.values())


def test_planted_dependency_is_found(tmp_path: Path) -> None:
    house = plant(
        tmp_path,
        store__a="from pipfast import dependencies\nx = dependencies.load('wrapt')",
        store__b="from pipfast.dependencies.packaging.version import Version",
        hooks__command="import pip",
    )
    assert unused({"pip", "wrapt", "packaging", "left-over"}, house.modules.values()) == {"left-over"}


def unused(declared: set[str], modules: Iterable[Module]) -> set[str]:
    """Return the distributions that nothing imports."""
    imported = {name for module in modules for name in names_of_libraries(module)}
    return {name for name in declared if name.replace("-", "_") not in imported}


def names_of_libraries(module: Module) -> Iterable[str]:
    """Yield the top modules that are imported or loaded from ``pipfast.dependencies``."""
    for name in imported_names(module):
        yield name.removeprefix("pipfast.dependencies.").partition(".")[0]
    yield from re.findall(r"dependencies\.load\(\s*[\"'](\w+)", module.path.read_text(encoding="utf-8"))


# Rooms


def test_no_folder_is_crowded(house: House) -> None:
    assert not house.crowded()


def test_planted_crowd_is_found(tmp_path: Path) -> None:
    names = [f"store__m{number}" for number in range(MOST_MODULES + 1)]
    assert not plant(tmp_path, **dict.fromkeys(["store____init__", *names[1:]], "")).crowded()
    assert plant(tmp_path, **dict.fromkeys(names, "")).crowded() == {"pipx_fast/pipfast/store"}


def test_first_lines_are_what_one_would_search_for(house: House) -> None:
    found = [name for name, module in house.modules.items() if wrong_first_line(module.first_line)]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "",
        "What the store keeps.",
        "Write a file aside.",
        "Whether a store, however old it is, may be used.",
        "The store's notes: one file",
        "The one file in which all of what the store has to keep for later stands.",
    ],
)
def test_planted_first_line_is_found(tmp_path: Path, line: str) -> None:
    module = plant(tmp_path, store__layout=f'"""{line}"""\n').modules["pipfast.store.layout"]
    assert wrong_first_line(module.first_line)


@pytest.mark.parametrize("line", ["The store's folders and locks.", "``python -m pipfast`` and ``pipfast``."])
def test_noun_phrases_pass(line: str) -> None:
    assert not wrong_first_line(line)
