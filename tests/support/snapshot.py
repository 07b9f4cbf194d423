"""Pictures of a folder after a run, and their differences."""

from __future__ import annotations

import difflib
import marshal
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.environments import walk
from support.outputs import without_random_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PYC_HEADER_SIZE = 16
"""Bytes before the code of a .pyc: magic, flags, and time and size of the source or its hash (PEP 552)."""

PRIVATE = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""Files of a .dist-info that people append to: they must never be shared with a store."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or link."""

    mode: int
    content: bytes = b""
    """The bytes of a file, the target of a link."""
    links: int = 1
    mtime: int = 0
    """Whole seconds, as bytecode records it."""

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)


Tree = dict[str, Entry]


def look_at(path: Path) -> Entry:
    """Return what is at a path, not following a link."""
    info = path.lstat()
    if stat.S_ISLNK(info.st_mode):
        return Entry(info.st_mode, str(path.readlink()).encode())
    if stat.S_ISREG(info.st_mode):
        return Entry(info.st_mode, path.read_bytes(), info.st_nlink, int(info.st_mtime))
    return Entry(info.st_mode)


def picture(root: Path, paths: Iterable[str] | None = None) -> Tree:
    """Return what is below ``root``, or at the given relative paths of it.

    pip leaves a temporary folder of a random name there: with ``--root`` beside ``--target``.
    """
    if paths is None:
        return {without_random_names(relative): look_at(path) for relative, path in walk(root)}
    return {relative: look_at(root / relative) for relative in paths}


def compare_trees(stock: Mapping[str, Entry], ours: Mapping[str, Entry]) -> list[str]:
    """Return one line or more for each difference; times and bytecode's file names are none."""
    problems = [f"only with stock pip: {path}" for path in sorted(stock.keys() - ours.keys())]
    problems += [f"only with pipfast: {path}" for path in sorted(ours.keys() - stock.keys())]
    for path in sorted(stock.keys() & ours.keys()):
        theirs, mine = stock[path], ours[path]
        if theirs.mode != mine.mode:
            problems.append(f"mode of {path}: stock {theirs.mode:o}, ours {mine.mode:o}")
        if not theirs.is_file or not mine.is_file:
            if theirs.content != mine.content:
                problems.append(f"link {path}: stock {theirs.content!r}, ours {mine.content!r}")
        elif path.endswith(".pyc"):
            problems += _compare_bytecode(path, theirs.content, mine.content)
        elif theirs.content != mine.content:
            problems.append(f"content of {path}:\n{_text_difference(theirs.content, mine.content)}")
    return problems


def _compare_bytecode(path: str, stock: bytes, ours: bytes) -> list[str]:
    if stock == ours:
        # Bytecode of a wheel's own, for another interpreter perhaps.
        return []
    if stock[:8] != ours[:8]:
        return [f"header of {path}: stock {stock[:8].hex()}, ours {ours[:8].hex()}"]
    hash_based = stock[4] & 1
    if hash_based and stock[8:16] != ours[8:16]:
        return [f"source hash in {path}: stock {stock[8:16].hex()}, ours {ours[8:16].hex()}"]
    # Code objects compare by what they do: the file name in them is not part of it.
    if marshal.loads(stock[PYC_HEADER_SIZE:]) != marshal.loads(ours[PYC_HEADER_SIZE:]):
        return [f"code in {path} differs"]
    return []


def stale_bytecode(tree: Mapping[str, Entry]) -> dict[str, str]:
    """Return the .pyc files that the interpreter would not use for the source beside them, and why."""
    problems = {}
    for path, entry in tree.items():
        folder, _, name = path.rpartition("/")
        source = tree.get(f"{folder.removesuffix('__pycache__')}{name.split('.')[0]}.py")
        is_bytecode = name.endswith(".pyc") and folder.endswith("__pycache__") and stat.S_ISREG(entry.mode)
        if source is None or not is_bytecode:
            continue
        flags, mtime, size = struct.unpack("<4xIII", entry.content[:PYC_HEADER_SIZE])
        if flags == 0 and (mtime, size) != (source.mtime & 0xFFFFFFFF, len(source.content) & 0xFFFFFFFF):
            problems[path] = (
                f"{path} is for time {mtime} and size {size}, "
                f"its source has {source.mtime} and {len(source.content)}"
            )
    return problems


def shared_files(tree: Mapping[str, Entry]) -> list[str]:
    """Return the files that are links to a store and must not be: people and pip write into them."""
    return [
        f"{path} is shared: {entry.links} links"
        for path, entry in tree.items()
        if entry.is_file and entry.links > 1 and (path.rpartition("/")[2] in PRIVATE or "bin/" in path[:9])
    ]


def text_difference(stock: str, ours: str) -> str:
    """Return a unified difference, stock first."""
    lines = difflib.unified_diff(stock.splitlines(), ours.splitlines(), "stock", "ours", lineterm="", n=1)
    return "\n".join(lines)


def _text_difference(stock: bytes, ours: bytes) -> str:
    try:
        return text_difference(stock.decode(), ours.decode())[:4000]
    except UnicodeDecodeError:
        return f"{len(stock)} bytes against {len(ours)}, not text"
