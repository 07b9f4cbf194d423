"""Shrinking of a world that differs, and the expression that makes it again."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fuzz.worlds import World

T = TypeVar("T")


def shrunk(world: World, differs: Callable[[World], bool], tries: int) -> World:
    """Return the simplest world found that still differs.

    Hypothesis would shrink what was drawn, most of which is not in the world; this takes parts out of the world
    itself, large ones first.

    :param differs: runs a world; it must be true of ``world``.
    :param tries: how many worlds may be run.
    """
    seen = {expression(world)}
    found = True
    while found:
        found = False
        for simpler in _simpler(world):
            if (text := expression(simpler)) in seen:
                continue
            if tries <= 0:
                return world
            seen.add(text)
            tries -= 1
            if differs(simpler):
                world, found = simpler, True
                break
    return world


def _simpler(value: Any) -> Iterator[Any]:
    """Yield simpler values of the same shape, the simplest first."""
    if is_dataclass(value):
        defaults = {field.name: _default(field) for field in fields(value) if _default(field) is not MISSING}
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        for name, default in defaults.items():
            if parts[name] != default:
                yield replace(value, **{name: default})  # type: ignore[type-var]  # of whatever dataclass it is
        for name, part in parts.items():
            for simpler in _simpler(part):
                yield replace(value, **{name: simpler})  # type: ignore[type-var]  # as above
    elif isinstance(value, tuple):
        yield from _without_some(value)
        for number, part in enumerate(value):
            for simpler in _simpler(part):
                yield (*value[:number], simpler, *value[number + 1 :])
    elif isinstance(value, dict):
        for key in value:
            yield {name: part for name, part in value.items() if name != key}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _without_some(values: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    """Yield shorter tuples: half of the values gone, then a quarter, in the end one at a time.

    A pair of unlike values, or of mappings, is no sequence.
    """
    if len({type(each) for each in values}) > 1 or any(isinstance(each, dict) for each in values):
        return
    size = len(values) // 2
    while size:
        for start in range(0, len(values), size):
            yield values[:start] + values[start + size :]
        size //= 2


def expression(value: object) -> str:
    """Return what Python reads as this value again, without what is as always."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = []
        for field in fields(value):
            part, default = getattr(value, field.name), _default(field)
            if default is MISSING:
                parts.append(expression(part))
            elif part != default:
                parts.append(f"{field.name}={expression(part)}")
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, tuple):
        return f"({', '.join(map(expression, value))}{',' if len(value) == 1 else ''})"
    return repr(value)
