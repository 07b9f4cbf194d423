"""Maps of the source tree name its rooms, all of them, floor by floor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.house import CHECKOUT, FLOORS, ROOTS, House

if TYPE_CHECKING:
    from collections.abc import Iterator

MAPS = ("pipx_fast", "hooks", "tests")


def text_of(folder: str) -> str:
    return (CHECKOUT / folder / "README.md").read_text(encoding="utf-8")


def rooms_of(folder: str) -> list[str]:
    """Return the paths that have a line of their own."""
    return re.findall(r"^- `([\w/.]+)`: ", text_of(folder), re.MULTILINE)


def needed(folder: str) -> Iterator[str]:
    """Yield the paths that must have a line: packages, and the modules beside them."""
    if folder == "tests":
        found = {path.relative_to(CHECKOUT / folder).parts[0] for path in (CHECKOUT / folder).glob("*/**/*.py")}
        yield from (f"{name}/" for name in found)
        return
    for module in House().modules.values():
        path = module.path.relative_to(CHECKOUT)
        if path.parts[0] != folder or (len(path.parts) == 3 and path.name == "__init__.py"):
            continue
        below = path.relative_to(folder).as_posix()
        if path.name == "__init__.py":
            yield below.removesuffix("__init__.py")
        elif len(path.parts) == 3:
            yield below


@pytest.mark.parametrize("folder", MAPS)
def test_every_room_has_a_line(folder: str) -> None:
    assert set(needed(folder)) <= set(rooms_of(folder))
    assert len(rooms_of(folder)) == len(set(rooms_of(folder)))


@pytest.mark.parametrize("folder", MAPS)
def test_every_path_is_there(folder: str) -> None:
    """A path begins in the map's folder, in the checkout, or in one of the packages."""
    around = (CHECKOUT / folder, CHECKOUT, CHECKOUT / "pipx_fast", *(CHECKOUT / root for root in ROOTS.values()))
    paths = re.findall(r"`([\w/]+(?:/|\.py))`", text_of(folder))
    assert paths
    for path in paths:
        assert any((base / path).exists() for base in around), path


@pytest.mark.parametrize("folder", ["pipx_fast", "hooks"])
def test_lines_are_in_the_order_of_floors(folder: str) -> None:
    names = [room.removesuffix("/").removesuffix(".py").replace("/", ".") for room in rooms_of(folder)]
    root = names[0].partition(".")[0]
    assert names == [floor for floor in FLOORS if floor.startswith(f"{root}.")]
