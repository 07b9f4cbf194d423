"""Names of pip that are imported, called or read."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pip
import pytest

import pipfast_hooks
from pipfast.settings import FAMILIES, Settings
from pipfast_hooks.attach import Hooks
from pipfast_hooks.names import NAMES, Names
from pipfast_hooks.output import messages
from pipfast_hooks.seams import NEWEST_TESTED, OLDEST, SEAMS, SELF_CHECK, SERVERS_ANSWERS, parse_version

if TYPE_CHECKING:
    from collections.abc import Iterator

HOOKS = Path(str(pipfast_hooks.__file__)).parent
SOURCES = sorted(HOOKS.rglob("*.py"))
HERE = [row for row in NAMES if row.fits(parse_version(pip.__version__))]

ROWS = {f"{row.module}.{name}" for row in NAMES for name in row.names} | {seam.label for seam in SEAMS}
ATTRIBUTES = {label.rpartition(".")[2] for label in ROWS}

NOT_PIPS = {"_sock", "_actions", "_SubParsersAction", "_exit", "_initializing", "_self_wrapper"}
"""Attributes of Python's own objects, and of wrapt's."""


@pytest.mark.parametrize("row", HERE, ids=lambda row: f"{row.module}-{row.names[0]}")
def test_this_pip_has_the_names(row: Names) -> None:
    """What a row of this pip names is there."""
    # On 25.1 some modules cannot be imported first.
    importlib.import_module("pip._internal.commands.install")
    assert not list(row.missing(importlib.import_module(row.module)))


def test_notes_of_this_pip_are_where_they_are_said_to_be(tmp_path: Path) -> None:
    """What servers have said, and when pip has asked for a newer pip: neither may be part of a kept answer."""
    from pip._internal.network.cache import SafeFileCache
    from pip._internal.self_outdated_check import SelfCheckState

    for folder in ("http", "http-v2"):
        path = SafeFileCache(str(tmp_path / folder))._get_cache_path("http://127.0.0.1/simple/")
        assert re.search(SERVERS_ANSWERS, path)
    assert SELF_CHECK in str(SelfCheckState(str(tmp_path))._statefile_path)


def test_rows_are_of_known_families_and_pips() -> None:
    for row in NAMES:
        assert row.families and set(row.families) <= set(FAMILIES)
        assert OLDEST <= row.since <= NEWEST_TESTED
        assert row.before is None or row.since < row.before <= NEWEST_TESTED


@pytest.mark.parametrize("name", ["Nothing", "Link._nothing", "Nothing._at_all"])
def test_name_that_is_not_there_is_missing(name: str) -> None:
    row = Names("pip._internal.models.link", ("Link", name, "Link._url"), ("index",))
    missing = list(row.missing(importlib.import_module(row.module)))
    assert missing == [f"pip._internal.models.link.{name}"]


@pytest.mark.parametrize("optional", [False, True])
def test_what_is_missing_gives_up_its_families_unless_it_is_optional(
    optional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only then ``doctor`` names it."""
    row = Names("pip._internal.models.link", ("Link", "Nothing"), ("index",), optional=optional)
    monkeypatch.setattr("pipfast_hooks.attach.NAMES", (row,))
    hooks = Hooks(Settings(), pip.__version__)
    shown = hooks.check_names()
    assert ("pip._internal.models.link.Nothing" in shown) is not optional
    assert shown["pip._internal.models.link.Link"] == ("index", "")
    hooks._check_names("index")
    index = [state for state in hooks.states if state.seam.family == "index"]
    assert index and all(bool(state.why) is not optional for state in index)
    assert not any(state.why for state in hooks.states if state.seam.family != "index")


@pytest.mark.parametrize(("attributes", "plain"), [
    ({"_live": None}, True), ({"_live": "a display"}, False), ({"_live_stack": []}, True),
    ({"_live_stack": ["a display"]}, False), ({}, False),
], ids=str)
def test_console_whose_live_displays_nobody_knows_prints_itself(attributes: dict[str, Any], plain: bool) -> None:
    """rich has had two names for them; a distribution's pip may have any rich."""
    console = SimpleNamespace(**messages._AS_IT_IS, _render_hooks=[], **attributes)
    assert messages._is_plain(console) is plain


def without_row(tree: ast.Module) -> set[str]:
    """Return the names of pip's that a module imports or reads, and that have no row."""
    found, modules = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pip":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if is_module(full):
                    modules[alias.asname or alias.name] = full
                elif not has_row(full):
                    found.add(full)
    ours = own_attributes(tree)
    for node in ast.walk(tree):
        first, _, rest = ast.unparse(node).partition(".") if isinstance(node, ast.Attribute) else ("", "", "")
        if first in modules:
            module, _, name = f"{modules[first]}.{rest}".rpartition(".")
            if is_module(module) and not is_module(f"{module}.{name}") and not has_row(f"{module}.{name}"):
                found.add(f"{module}.{name}")
    found |= {name for name in private_attributes(tree) if name not in ATTRIBUTES | NOT_PIPS | ours}
    return found


def has_row(name: str) -> bool:
    return name in ROWS or any(row.startswith(f"{name}.") for row in ROWS)


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def private_attributes(tree: ast.Module) -> Iterator[str]:
    """Yield the private attributes of objects other than ``self``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name, of_self = node.attr, isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            name, of_self = str(getattr(node.args[1], "value", "")), False
        else:
            continue
        if name.startswith("_") and not name.startswith(("__", "_pipfast_")) and not of_self:
            yield name


def own_attributes(tree: ast.Module) -> set[str]:
    """Return the private attributes that a module's own classes have, and give their objects."""
    found: set[str] = set()
    for kind in ast.walk(tree):
        if not isinstance(kind, ast.ClassDef):
            continue
        for node in ast.walk(kind):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
            elif isinstance(node, ast.FunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id == "self":
                    found.add(node.attr)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(HOOKS)))
def test_each_name_of_pips_has_a_row(path: Path) -> None:
    """What pip may change without a word is checked before it is used."""
    assert not without_row(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("source, name", [
    ("from pip._internal.models.link import Linc", "pip._internal.models.link.Linc"),
    ("def f():\n    from pip._internal.network import download\n    download.nothing()",
     "pip._internal.network.download.nothing"),
    ("x._nothing", "_nothing"), ("x = getattr(y, '_nothing', None)", "_nothing"),
])
def test_planted_name_without_a_row_is_found(source: str, name: str) -> None:
    assert without_row(ast.parse(source)) == {name}
