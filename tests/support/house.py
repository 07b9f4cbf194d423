"""Reader of this project's own source: imports, state, back doors, sizes, prose."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

CHECKOUT = Path(__file__).parents[2]
ROOTS = {"pipfast": Path("pipx_fast/pipfast"), "pipfast_hooks": Path("hooks/pipfast_hooks")}
"""Each package's folder below a checkout."""

BUNDLED = "bundled"
"""Folder of other people's modules in the engine's."""

FLOORS = (
    "pipfast",
    "pipfast.errors",
    "pipfast.targets",
    "pipfast.address",
    "pipfast.timeline.events",
    "pipfast.report",
    "pipfast.dependencies",
    "pipfast.requirements",
    "pipfast.extra_builds",
    "pipfast.settings",
    "pipfast.placement",
    "pipfast.system",
    "pipfast.timeline",
    "pipfast.wheel",
    "pipfast.store",
    "pipfast.upkeep",
    "pipfast.fetch.transport",
    "pipfast.fetch.file",
    "pipfast.fetch",
    "pipfast.index",
    "pipfast.patterns",
    "pipfast.install",
    "pipfast.prepare",
    "pipfast.builds.hook_names",
    "pipfast.rescue.diagnosis",
    "pipfast.rescue.trust",
    "pipfast.rescue",
    "pipfast.builds",
    "pipfast.remote",
    "pipfast.shells",
    "pipfast.plugin",
    "pipfast.memo.again",
    "pipfast.memo",
    "pipfast.commands",
    "pipfast_hooks",
    "pipfast_hooks.seams",
    "pipfast_hooks.names",
    "pipfast_hooks.call",
    "pipfast_hooks.guard",
    "pipfast_hooks.threads",
    "pipfast_hooks.storage",
    "pipfast_hooks.run",
    "pipfast_hooks.startup",
    "pipfast_hooks.attach",
    "pipfast_hooks.output",
    "pipfast_hooks.network",
    "pipfast_hooks.install",
    "pipfast_hooks.index",
    "pipfast_hooks.metadata",
    "pipfast_hooks.builds",
    "pipfast_hooks.builds.environments",
    "pipfast_hooks.builds.team",
    "pipfast_hooks.builds.rescue",
    "pipfast_hooks.downloads",
    "pipfast_hooks.builds.beside",
    "pipfast_hooks.builds.hooks",
    "pipfast_hooks.resolver",
    "pipfast_hooks.command",
    "pipfast_hooks.pip_main",
    "pipfast_hooks.doctor",
    "pipfast.launch",
    "pipfast.runner",
    "pipfast.__main__",
)
"""Packages and single modules, lowest first: each imports from its own floor and from lower ones."""

MOST_MODULES = 12
"""Modules in one folder, ``__init__`` not counted: a dozen names are read at a glance."""

MOST_WORDS = 12
"""Words in a module's first line."""

_MUTABLE = frozenset((
    "dict list set bytearray deque defaultdict OrderedDict Counter ChainMap WeakKeyDictionary WeakValueDictionary "
    "WeakSet local Lock RLock Condition Event Semaphore BoundedSemaphore Barrier Thread Timer Queue SimpleQueue "
    "LifoQueue PriorityQueue ThreadPoolExecutor ProcessPoolExecutor ContextVar count cycle"
).split())
"""Calls whose result can be changed, or belongs to threads."""

_NO_NOUN = frozenset((
    "what where whether how why which who whose whom from when if because while until so is are was were "
    "it they we you this that these those there run runs make makes put puts write writes read reads ask "
    "asks hash hashes tell tells find finds give gives return returns show shows keep keeps say says do "
    "does start starts"
).split())
"""First words that begin a clause or a command, not a noun phrase."""


@dataclass(frozen=True)
class Module:
    """One source file of ours."""

    name: str
    """Its full dotted name; a package's for ``__init__.py``."""
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree; each node knows the one above it as ``above``."""
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                child.above = node  # type: ignore[attr-defined]
        return tree

    @property
    def package(self) -> str:
        """The package that it stands in; for a package, itself."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @property
    def first_line(self) -> str:
        """The first line of its docstring."""
        return (ast.get_docstring(self.tree) or "").partition("\n")[0]


class House:
    """All modules of ours below one checkout."""

    def __init__(self, checkout: Path = CHECKOUT) -> None:
        self.checkout = checkout
        self.modules = {module.name: module for module in chain.from_iterable(map(self._below, ROOTS))}

    def _below(self, root: str) -> Iterator[Module]:
        folder = self.checkout / ROOTS[root]
        for path in sorted(folder.rglob("*.py")):
            if (folder / BUNDLED) in path.parents:
                continue
            parts = [root, *path.relative_to(folder).with_suffix("").parts]
            yield Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path)

    @cached_property
    def imports(self) -> Mapping[str, Collection[str]]:
        """The modules of ours that each module imports: in functions and for types as well."""
        return {name: frozenset(self._imported(module)) - {name} for name, module in self.modules.items()}

    def _imported(self, module: Module) -> Iterator[str]:
        for name in imported_names(module):
            while name and name not in self.modules:
                name = name.rpartition(".")[0]
            if name:
                yield name

    def arrows_up(self) -> set[str]:
        """Return ``importer -> imported`` for each import from a higher floor."""
        level = {name: _level(name) for name in self.modules}
        return {
            f"{name} -> {other}" for name, others in self.imports.items() for other in others
            if level[other] > level[name]
        }

    def circles(self) -> list[list[str]]:
        """Return the groups of modules that import each other, directly or through others."""
        reached = {name: self._reached(name) for name in self.modules}
        circles = {
            tuple(sorted(other for other in others if name in reached[other]))
            for name, others in reached.items() if name in others
        }
        return sorted(map(list, circles))

    def _reached(self, name: str) -> set[str]:
        reached: set[str] = set()
        ahead = list(self.imports[name])
        while ahead:
            if (other := ahead.pop()) not in reached:
                reached.add(other)
                ahead += self.imports[other]
        return reached

    def crowded(self) -> set[str]:
        """Return the folders that hold more than a dozen modules."""
        names = [module.path.parent for module in self.modules.values() if module.path.name != "__init__.py"]
        return {
            folder.relative_to(self.checkout).as_posix() for folder in names if names.count(folder) > MOST_MODULES
        }


def _level(name: str) -> int:
    """Return the floor of a module: that of the nearest package around it that has one."""
    while name not in FLOORS:
        name = name.rpartition(".")[0]
    return FLOORS.index(name)


def imported_names(module: Module) -> Iterator[str]:
    """Yield the dotted name of everything that is imported: ``a.b.c`` for ``from a.b import c``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = module.package.split(".")
            around = around[: len(around) - node.level + 1] if node.level else []
            stem = ".".join([*around, node.module or ""]).rstrip(".")
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def shared_state(module: Module) -> set[str]:
    """Return the names of ``global`` statements, and of module-level objects that can be changed."""
    found = {
        f"global {name}" for node in ast.walk(module.tree) if isinstance(node, ast.Global) for name in node.names
    }
    for node in _at_the_top(module.tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None and _is_mutable(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(target.id for target in targets if isinstance(target, ast.Name))
    return found


def _at_the_top(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements that are executed once, on import; of classes those in their bodies."""
    ahead: list[ast.AST] = list(tree.body)
    while ahead:
        node = ahead.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.stmt):
            yield node
            ahead += ast.iter_child_nodes(node)
        elif isinstance(node, ast.ExceptHandler):
            ahead += node.body


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, (ast.IfExp, ast.BoolOp)):
        return any(_is_mutable(each) for each in ast.iter_child_nodes(value) if isinstance(each, ast.expr))
    if isinstance(value, ast.Call):
        return _last_name(value.func) in _MUTABLE
    displays = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp, ast.GeneratorExp)
    return isinstance(value, displays)


def back_doors(module: Module) -> list[int]:
    """Return the lines that look into ``sys.modules`` for a module of ours."""
    lines = []
    for node in ast.walk(module.tree):
        if not (isinstance(node, ast.Attribute) and node.attr == "modules" and _last_name(node.value) == "sys"):
            continue
        here = next(each for each in _above(node) if isinstance(each, (ast.stmt, ast.Module)))
        scope = next((each for each in _above(node) if isinstance(each, ast.FunctionDef)), here)
        key = _key(node)
        if key is None:
            continue
        said = key if isinstance(key, (ast.Constant, ast.JoinedStr)) else scope
        if any(_speaks_of_ours(each) for each in ast.walk(said)):
            lines.append(node.lineno)
    return lines


def _key(modules: ast.Attribute) -> ast.expr | None:
    """Return the key that ``sys.modules`` is asked for, if it is asked for one."""
    above = next(_above(modules))
    if isinstance(above, ast.Subscript):
        return above.slice
    if isinstance(above, ast.Attribute) and isinstance(call := next(_above(above)), ast.Call) and call.args:
        return call.args[0]
    if isinstance(above, ast.Compare):
        return above.left
    return None


def _speaks_of_ours(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id == "__package__"
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(
        re.match(r"pipfast(_hooks)?(\.|$)", node.value)
    )


def run_seekers(module: Module) -> set[str]:
    """Return the functions that call for the current run, and are not the function of a seam."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and _last_name(node) == "current_run":
            functions = [each.name for each in _above(node) if isinstance(each, ast.FunctionDef)]
            if not any(name.startswith(("_around_", "_instead_of_")) for name in functions):
                found.add(functions[0] if functions else "the module itself")
    return found


def version_comparisons(module: Module) -> list[int]:
    """Return the lines that compare pip's version: its text, its parsed form, or a version that seams.py names."""
    of_versions = {
        alias.asname or alias.name for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "pipfast_hooks.seams"
        for alias in node.names if alias.name in ("OLDEST", "NEWEST_TESTED", "parse_version")
    }

    def is_version(node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute) and node.attr == "__version__":
            return _last_name(node.value) == "pip"
        return isinstance(node, ast.Name) and node.id in of_versions

    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Assign) or not any(map(is_version, ast.walk(node.value))):
            continue
        # What another function makes of a version is none.
        if not isinstance(node.value, ast.Call) or is_version(node.value.func):
            of_versions |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return [
        node.lineno for node in ast.walk(module.tree) if isinstance(node, ast.Compare)
        and any(is_version(each) for side in (node.left, *node.comparators) for each in ast.walk(side))
    ]


def wrong_first_line(line: str) -> str:
    """Return what keeps a module's first line from being a short noun phrase; nothing if it is one."""
    words = re.findall(r"[^\s]*\w[^\s]*", line)
    if not words:
        return "there is none"
    if len(words) > MOST_WORDS:
        return f"{len(words)} words"
    if not line.endswith("."):
        return "it goes on below"
    return "no noun phrase" if words[0].lower().rstrip(",:;") in _NO_NOUN else ""


def requirements_of(checkout: Path) -> set[str]:
    """Return the distributions that pyproject.toml and the bundle's list name."""
    pyproject = (checkout / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)\]$", pyproject, re.MULTILINE | re.DOTALL)
    assert block, "no dependencies in pyproject.toml"
    pins = (checkout / "pipx_fast/bundle.txt").read_text(encoding="utf-8")
    return {*re.findall(r'"([\w.-]+)', block[1]), *re.findall(r"^([\w.-]+)==", pins, re.MULTILINE)}


def _above(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes around one, the nearest first."""
    while (node := getattr(node, "above", None)) is not None:  # type: ignore[assignment]
        yield node


def _last_name(node: ast.AST) -> str:
    """Return ``c`` for ``a.b.c``; a subscript's for what is subscripted."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
