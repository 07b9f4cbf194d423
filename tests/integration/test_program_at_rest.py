"""After any damage to the store the next command does as pip does."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import add_shim
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box

pytestmark = [pytest.mark.many, pytest.mark.once]

APP = Wheel(
    "app", requires=["library"], files={"app/__init__.py": "x = 1\n", "app/data.txt": "data\n"},
    data={"scripts/run": "#!python\nprint(1)\n"}, console={"app": "app:x"},
)


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    with serving() as server:
        index = server.index()
        index.add(APP.build())
        index.add(Wheel("library", files={"library/__init__.py": "y = 2\n"}).build())
        yield index


def _flip(path: Path) -> None:
    """One bit, and nothing but the content shows it."""
    found = path.stat()
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _huge(path: Path) -> None:
    os.truncate(path, 1 << 40)


def _unreadable(path: Path) -> None:
    path.chmod(0)


def _executable(path: Path) -> None:
    path.chmod(0o4777)


DAMAGES = [_flip, _truncate, _empty, _fifo, _folder, _link, _huge, _unreadable, _executable]


def files_of(store: Path) -> list[Path]:
    return [
        path for path in sorted(store.glob("*-v*/**/*"))
        if not path.is_symlink() and path.is_file()
    ]


@pytest.mark.parametrize("damage", [_fifo, _huge], ids=lambda damage: damage.__name__)
def test_looking_after_the_store_ends_whatever_is_in_it(
    damage: Callable[[Path], None], box: Box, index: Index
) -> None:
    arguments = ("install", "--index-url", index.url, "app")
    assert box.pipfast(*arguments).status == 0
    for path in files_of(box.store):
        damage(path)
    for action in ("info", "list", "prune"):
        assert box.pipfast("store", action).status == 0
    ended = box.pipfast("store", "verify")
    assert (ended.status, ended.err) == (1, "")
    assert box.pipfast("store", "verify").status == 0


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_is_damaged_is_not_installed(damage: Callable[[Path], None], box: Box, index: Index) -> None:
    """Installed again, all files are what they were the first time, but for what only verify finds: see below."""
    arguments = ("install", "--index-url", index.url, "app")
    first = box.pipfast(*arguments)
    assert first.status == 0
    before = contents(box)
    assert box.pipfast("uninstall", "-y", "app", "library").status == 0
    for path in files_of(box.store):
        if not (damage is _flip and _is_linked(path)):
            damage(path)
    ended = box.pipfast(*arguments)
    assert ended.status == 0
    assert "Traceback" not in ended.out + ended.err
    assert contents(box) == before
    assert box.leftovers() == []
    assert box.pipfast("uninstall", "-y", "app", "library").status == 0
    assert box.pipfast(*arguments).err == ""
    assert contents(box) == before


def _is_linked(path: Path) -> bool:
    """A flipped bit in what is linked is found by verify alone - but for what is read before: METADATA."""
    return "tree" in path.parts and path.name != "METADATA"


def contents(box: Box) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of what the wheels have put into the environment."""
    found = {}
    for top in ("app", "library", "app-1.0.dist-info", "library-1.0.dist-info"):
        for path in sorted((box.site_packages / top).rglob("*")):
            if path.suffix != ".pyc" and path.is_file():
                found[str(path.relative_to(box.site_packages))] = (
                    stat.S_IMODE(path.lstat().st_mode), path.read_bytes())
    for name in ("run", "app"):
        path = box.python.parent / name
        found[name] = (stat.S_IMODE(path.lstat().st_mode), path.read_bytes())
    return found


@pytest.mark.parametrize("damage", [_truncate, _fifo, _link], ids=lambda damage: damage.__name__)
def test_a_damaged_script_is_not_installed_where_files_were_linked_aside(
    damage: Callable[[Path], None], box: Box, index: Index
) -> None:
    arguments = ("install", "--index-url", index.url, "app")
    assert box.pipfast(*arguments).status == 0
    before = contents(box)
    assert box.pipfast("uninstall", "-y", "app", "library").status == 0
    (script,) = box.store.glob("trees-v*/*/*/tree/app-1.0.data/scripts/run")
    damage(script)
    ended = box.pipfast(*arguments)
    assert ended.status == 0 and "run" in ended.err
    assert contents(box) == before


def test_a_store_that_lost_its_times_is_used_without_a_word(box: Box, index: Index) -> None:
    arguments = ("install", "--index-url", index.url, "app")
    assert box.pipfast(*arguments).status == 0
    before, made = contents(box), entries_of(box.store)
    assert box.pipfast("uninstall", "-y", "app", "library").status == 0
    for path in files_of(box.store):
        os.utime(path)
    ended = box.pipfast(*arguments)
    assert (ended.status, ended.err) == (0, "")
    assert contents(box) == before
    assert entries_of(box.store) == made
    assert box.pipfast("store", "verify").status == 0


WHILE_IT_WAITS = """
import pathlib
import wrapt
@wrapt.when_imported("pipfast.prepare.aside")
def wait(module):
    module.COMPARED_S = -1.0
    original = module.Arrangement.take
    def take(arrangement, tree_id):
        found = original(arrangement, tree_id)
        for path in pathlib.Path({store!r}).glob("trees-v*/*/*/tree/app/data.txt"):
            path.chmod(0o600)
        return found
    module.Arrangement.take = take
"""


def test_what_was_linked_aside_long_ago_is_compared_again(box: Box, index: Index) -> None:
    """Files are linked aside when a command begins; builds or downloads may take minutes then."""
    arguments = ("install", "--index-url", index.url, "app")
    assert box.pipfast(*arguments).status == 0
    before = contents(box)
    assert box.pipfast("uninstall", "-y", "app", "library").status == 0
    add_shim(box, WHILE_IT_WAITS.format(store=str(box.store)))
    ended = box.pipfast(*arguments)
    assert (ended.status, ended.err) == (0, "")
    assert contents(box) == before


def entries_of(store: Path) -> dict[str, int]:
    """Return the entries' names and inodes."""
    found = [path for bucket in ("trees", "bytecode") for path in store.glob(f"{bucket}-v*/*/*")]
    return {path.name: path.stat().st_ino for path in found}
