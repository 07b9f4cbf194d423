"""Imports that are forbidden, and modules that a command loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pipfast
import pipfast_hooks
from pipfast import dependencies

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE = Path(str(pipfast.__file__)).parent
HOOKS = Path(str(pipfast_hooks.__file__)).parent
PIP_INTERNALS = ".".join(["pip", "_internal"])


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if Path(dependencies.FOLDER) not in path.parents)


def imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node, node.module or ""


@pytest.mark.parametrize("path", modules(ENGINE), ids=lambda path: str(path.relative_to(ENGINE)))
def test_engine_imports_neither_pip_nor_hooks(path: Path) -> None:
    """`launch` reaches the hooks, inside functions only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_the_top = {id(node) for node in tree.body}
    for node, name in imports(tree):
        assert name.partition(".")[0] != "pip"
        if name.partition(".")[0] == "pipfast_hooks":
            assert path.name == "launch.py" and id(node) not in at_the_top


@pytest.mark.parametrize(
    "path", [*modules(ENGINE), *modules(HOOKS)], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_only_the_table_names_pips_internals(path: Path) -> None:
    # The import hook stands in other environments, without the table.
    if path in (HOOKS / "seams.py", HOOKS / "names.py", HOOKS / "startup" / "import_hook.py"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node.value for node in ast.walk(tree)
             if isinstance(node, ast.Constant) and isinstance(node.value, str) and PIP_INTERNALS in node.value]
    assert not found


@pytest.mark.parametrize(
    "path", [*modules(ENGINE), *modules(HOOKS)], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_what_is_needed_is_not_taken_from_the_users_path(path: Path) -> None:
    """Our libraries are imported as those of `pipfast.dependencies`; by their own names for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(node) for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for statement in block.body for node in ast.walk(statement)
    }
    needed = (*dependencies.NEEDED, *dependencies.OPTIONAL)
    assert not [
        name for node, name in imports(tree) if id(node) not in for_types and name.partition(".")[0] in needed
    ]


def loaded_by(arguments: list[str]) -> list[str]:
    """Return the modules that a command has loaded in the end."""
    code = (
        "import sys\n"
        "from pipfast.launch import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "finally:\n    print(*sorted(sys.modules), file=sys.stderr)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=60
    ).stderr.split()


def test_what_is_there_already_loads_no_asyncio() -> None:
    """wrapt imports it, which takes longer than all of our own modules."""
    loaded = loaded_by(["install", "pip"])
    assert "pipfast.dependencies.wrapt" in loaded and "asyncio.events" not in loaded


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["freeze"]], ids=str)
def test_commands_without_work_for_us_load_none_of_it(arguments: list[str]) -> None:
    loaded = loaded_by(arguments)
    heavy = tuple(
        f"pipfast.{each}" for each in ("fetch", "store", "install", "dependencies.wrapt", "dependencies.isal")
    )
    # Regular expressions come out of the store, which takes less time than to compile them.
    read = ("folder", "layout", "names", "notes", "reading")
    light = {"pipfast.store", *(f"pipfast.store.{name}" for name in read)}
    ours = {name for name in loaded if name.startswith(heavy)} - light
    assert "pipfast.settings" in loaded
    assert not ours


def test_without_a_team_nothing_of_its_store_is_loaded(tmp_path: Path) -> None:
    """Not for a build either, of which it would be asked."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "none"\n', encoding="utf-8"
    )
    for arguments in (["install", "pip"], ["wheel", "--no-deps", "--no-index", str(tmp_path / "plain")]):
        loaded = loaded_by(arguments)
        assert not [each for each in loaded if each.startswith(("pipfast.remote", "pipfast_hooks.builds.team"))]
        assert "obstore" not in loaded
