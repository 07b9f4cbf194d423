"""The Python of the ``pip`` on PATH, by what its script says."""

from __future__ import annotations

import os
import sys

from pipfast.targets.target import Target, is_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_READ = 4096
"""Bytes of a script that are read; a first line may have 127, a trampoline's second line a path of any length."""

_SWITCHES = frozenset("bBdEIOPqsSuv")
"""Python's options that say how it runs; others have a value, or have it run something else than a script."""


def pip_on_path(environ: Mapping[str, str], say: Callable[[str], None] = lambda path: None) -> Target | None:
    """Return the interpreter of the first ``pip`` on PATH that is not pipfast and whose Python can be found.

    :param say: is called with the path of each that is passed over because its Python cannot be found.
    """
    for folder in _folders(environ):
        path = os.path.join(folder, "pip")
        if not is_program(path):
            continue
        head = _head(path)
        if _is_ours(path, head):
            continue
        found = _interpreter(path, head, environ)
        if found and is_program(found[0]):
            return Target(found[0], f"pip on PATH: {path}", tuple(found[1:]))
        if found != []:
            say(path)
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
    # The interpreter may well be in a folder of that name.
    words = (each.strip(b"\"';") for line in head.splitlines()[1:] for each in line.split())
    return head.startswith(b"#!") and any(
        each == b"pipfast" or each.startswith(b"pipfast.") or each.endswith((b"/pipfast", b"pipfast/runner.py"))
        for each in words)


def _interpreter(path: str, head: bytes, environ: Mapping[str, str]) -> list[str] | None:
    """Return the interpreter of a script named ``pip``, and Python's options.

    :returns: None if it cannot be found; nothing if the next ``pip`` on PATH is meant.
    """
    lines = head.splitlines()
    if head.startswith(b"#!"):
        words = os.fsdecode(lines[0][2:]).split()
        if words and os.path.basename(words[0]) == "env":
            names = [each for each in words[1:] if not each.startswith("-") and "=" not in each]
            words = [_which(names[0], environ) or "", *words[words.index(names[0]) + 1 :]] if names else []
        if words and os.path.basename(words[0]).startswith(("python", "pypy")):
            return [words[0], *_switches(words[1:])]
        if len(lines) > 1 and lines[1].startswith(b"'''exec' "):
            return [_trampoline(path, os.fsdecode(lines[1][len("'''exec' ") :]))]
        if b'export PYENV_ROOT="' in head:
            from pipfast.targets.pyenv import pyenv_python

            root = os.fsdecode(head.partition(b'export PYENV_ROOT="')[2].partition(b'"')[0])
            found = pyenv_python(root, environ, lambda: _has_another(path, environ))
            return [found] if found else []
        wrapped = _wrapped(head, environ)
        if wrapped:
            return wrapped[0] if len(wrapped) == 1 else None
    # Another tool's shim, or a compiled launcher: what stands for its Python is beside it.
    beside = (os.path.join(os.path.dirname(path), each) for each in ("python3", "python"))
    return next(([each] for each in beside if is_program(each)), None)


def _switches(words: Sequence[str]) -> list[str]:
    """Return Python's options from the words behind it: ``-sE`` and ``-Xutf8`` stay, ``-m`` and ``-c`` do not."""
    kept = []
    for word in words:
        if not word.startswith("-"):
            break
        letters = word[1:]
        if letters[:1] in ("X", "W"):
            kept += [word] if letters[1:] else []
            continue
        good = letters[: next((at for at, each in enumerate(letters) if each not in _SWITCHES), len(letters))]
        kept += [f"-{good}"] if good else []
        if good != letters:
            break
    return kept


def _wrapped(head: bytes, environ: Mapping[str, str]) -> list[list[str]]:
    """Return the interpreters, with options, of a shell's script: ``exec /a/python -I -m pip "$@"``."""
    import shlex

    found: list[list[str]] = []
    for line in os.fsdecode(head).splitlines()[1:]:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        while words and (words[0] in ("command", "env", "exec") or "=" in words[0]):
            del words[0]
        options = words[1 : words.index("pip")] if "pip" in words else []
        python = _which(os.path.expandvars(words[0]), environ) if options and options[-1].endswith("m") else None
        if python and os.path.basename(python).startswith(("python", "pypy")):
            called = [python, *_switches(options)]
            found += [] if called in found else [called]
    return found


def _has_another(path: str, environ: Mapping[str, str]) -> bool:
    """Tell whether there is a ``pip`` on PATH besides this one."""
    others = (os.path.join(folder, "pip") for folder in _folders(environ))
    return any(is_program(each) and os.path.realpath(each) != os.path.realpath(path) for each in others)


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
