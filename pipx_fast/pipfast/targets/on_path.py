"""The Python of the ``pip`` on PATH, by what its script says."""

from __future__ import annotations

import os
import sys

from pipfast.targets.target import Target, is_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_READ = 4096
"""Bytes of a script that are read; a first line may have 127, a trampoline's second line a path of any length."""


def pip_on_path(environ: Mapping[str, str]) -> Target | None:
    """Return the interpreter of the first ``pip`` on PATH that is not pipfast and whose Python can be found."""
    for folder in _folders(environ):
        path = os.path.join(folder, "pip")
        if not is_program(path):
            continue
        head = _head(path)
        if _is_ours(path, head):
            continue
        found = _interpreter(path, head, environ)
        if found is not None and is_program(found[0]):
            return Target(found[0], f"pip on PATH: {path}", tuple(found[1:]))
    return None


def _folders(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the folders of PATH; none that depends on the current folder."""
    return (each for each in environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(each))


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_READ)
    except OSError:
        return b""


def _is_ours(path: str, head: bytes) -> bool:
    """Tell whether a ``pip`` is pipfast by that name: a link to its command, or a script that calls it."""
    if os.path.realpath(path) == os.path.realpath(sys.argv[0]):
        return True
    # Not in the first lines of a script, which may have an interpreter in a folder of that name.
    lines = head.splitlines() if head.startswith(b"#!") else []
    return any(b"pipfast" in each for each in lines[1:] if not each.startswith(b"'''exec'"))


def _interpreter(path: str, head: bytes, environ: Mapping[str, str]) -> list[str] | None:
    """Return the interpreter of a script named ``pip``, and Python's options."""
    lines = head.splitlines()
    if head.startswith(b"#!"):
        words = os.fsdecode(lines[0][2:]).split()
        if words and os.path.basename(words[0]) == "env":
            names = [each for each in words[1:] if not each.startswith("-") and "=" not in each]
            words = [_which(names[0], environ) or "", *words[words.index(names[0]) + 1 :]] if names else []
        if words and os.path.basename(words[0]).startswith(("python", "pypy")):
            return [words[0], *(each for each in words[1:] if each.startswith("-"))]
        if len(lines) > 1 and lines[1].startswith(b"'''exec' "):
            return [_trampoline(path, os.fsdecode(lines[1][len("'''exec' ") :]))]
        if b'export PYENV_ROOT="' in head:
            from pipfast.targets.pyenv import pyenv_python

            root = os.fsdecode(head.partition(b'export PYENV_ROOT="')[2].partition(b'"')[0])
            found = pyenv_python(root, environ)
            return [found] if found else None
    # Another tool's shim, or a compiled launcher: what stands for its Python is beside it.
    beside = (os.path.join(os.path.dirname(path), each) for each in ("python3", "python"))
    return next(([each] for each in beside if is_program(each)), None)


def _trampoline(path: str, line: str) -> str:
    """Return the interpreter of a script that the shell starts, because a first line is too short for its path.

    E.g. ``'''exec' "/a long/path/bin/python" "$0" "$@"``; uv's relocatable ones name the script's own folder.
    """
    if line.startswith('"$(dirname '):
        name = line.partition(")\"/'")[2].partition("'")[0]
        return os.path.join(os.path.dirname(os.path.realpath(path)), name)
    return line[1:].partition('"')[0] if line.startswith('"') else line.split(" ")[0]


def _which(name: str, environ: Mapping[str, str]) -> str | None:
    if os.path.isabs(name):
        return name
    return next(filter(is_program, (os.path.join(folder, name) for folder in _folders(environ))), None)
