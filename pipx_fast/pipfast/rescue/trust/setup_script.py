"""Arguments of ``setup()`` in a setup.py, read without running it."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass

MAX_CHARACTERS = 1 << 20
"""Characters of a setup.py; a longer one is not parsed."""


@dataclass(frozen=True, slots=True)
class SetupScript:
    """Arguments of ``setup()`` that are literals, or names with one literal value."""

    name: str = ""
    version: str = ""
    install_requires: tuple[str, ...] = ()
    setup_requires: tuple[str, ...] = ()


def read_setup_script(text: str) -> SetupScript:
    """Return the arguments of ``setup()``; none of a script that this Python cannot parse."""
    if len(text) > MAX_CHARACTERS:
        return SetupScript()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return SetupScript()
    given: dict[str, ast.expr] = {}
    names: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    names.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.Call) and _called(node.func) == "setup":
            given |= {each.arg: each.value for each in node.keywords if each.arg is not None}
    values = {key: _resolved(value, names) for key, value in given.items()}
    return SetupScript(
        "".join(_texts(values.get("name"))[:1]), "".join(_texts(values.get("version"))[:1]),
        tuple(_texts(values.get("install_requires"))), tuple(_texts(values.get("setup_requires"))),
    )


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _resolved(value: ast.expr, names: dict[str, list[ast.expr]]) -> ast.expr:
    if isinstance(value, ast.Name) and len(names.get(value.id, ())) == 1:
        return names[value.id][0]
    return value


def _texts(value: ast.expr | None) -> list[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return [line.strip() for line in value.value.splitlines() if line.strip()]
    if isinstance(value, (ast.List, ast.Tuple)):
        return [text for each in value.elts if isinstance(each, ast.Constant)
                and isinstance(text := each.value, str)]
    return []
