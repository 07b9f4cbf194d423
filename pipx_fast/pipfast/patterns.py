"""Compiled regular expressions, kept from run to run.

Two hundred are compiled while pip is imported, in every run. ``re`` parses a pattern into a list of numbers, of
which ``_sre`` makes the pattern. That list is kept, for one build of the interpreter, and ``_sre`` checks it
before use.
"""

from __future__ import annotations

import array
import json
import re
import sys
from _thread import get_ident
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipfast.store.folder import is_usable
from pipfast.store.layout import Layout
from pipfast.store.names import PATTERNS
from pipfast.store.notes import is_noted, keep_note, load_note, note_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_COMPILER = "re._compiler" if sys.version_info >= (3, 11) else "sre_compile"

_SET_OPERATIONS = ("[[", "--", "&&", "~~", "||")
"""Signs that may get another meaning: ``re`` warns of them."""

_Key = tuple[str, int]
"""A pattern's text, and the flags that ``re`` was asked for; more may stand in the text."""

_Made = tuple[int, list[int], int, dict[str, int], tuple["str | None", ...]]
"""The arguments of ``_sre.compile`` after the text: flags, code, groups, and two tables of group names."""

MAX_PATTERNS = 2_000
"""Patterns beyond which they are collected anew: some belong to pips that are not used any more."""


class Patterns:
    """Answers in the place of ``re``'s compiler for patterns that it knows, and notes the others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[_Key, _Made] = {}
        self._new: dict[_Key, _Made] = {}
        self.notes_new = True
        """False: patterns compiled from now on may be of this run alone."""
        self._asked: dict[int, int] = {}
        self._compiler: Any = None
        self._stock: Callable[..., Any] | None = None
        self._stock_sre: Any = None

    def attach(self) -> None:
        """Read the kept patterns, and answer with them from now on."""
        self._compiler = import_module(_COMPILER)
        self._stock, self._stock_sre = self._compiler.compile, self._compiler._sre
        self._known = self._read()
        self._compiler._sre = SimpleNamespace(**vars(self._stock_sre) | {"compile": self._make})
        self._compiler.compile = self._compile

    def detach(self) -> None:
        """Leave ``re`` to itself again."""
        if self._stock is not None:
            self._compiler.compile, self._compiler._sre = self._stock, self._stock_sre
            self._stock = None

    def keep(self, layout: Layout) -> None:
        """Keep the noted patterns, if this is the store that was read."""
        if not self._new or layout.root != self.root:
            return
        known = self._known if len(self._known) + len(self._new) <= MAX_PATTERNS else {}
        rows = [_row(key, made) for key, made in {**known, **self._new}.items()]
        keep_note(layout, PATTERNS, self._note_key(), rows)
        self._new = {}

    def _compile(self, pattern: Any, flags: Any = 0) -> Any:
        assert self._stock is not None
        # Text only: Python can be told to warn of a comparison of bytes with text.
        made = self._known.get((pattern, int(flags))) if type(pattern) is str else None
        if made is not None:
            try:
                return self._stock_sre.compile(pattern, *made)
            except Exception:
                # A damaged note.
                del self._known[(pattern, int(flags))]
        self._asked[get_ident()] = int(flags)
        return self._stock(pattern, flags)

    def _make(self, pattern: Any, flags: int, code: list[int], groups: int, names: Any, numbers: Any) -> Any:
        """Make a pattern as ``_sre`` does, and note its code; one that was given parsed has no text."""
        asked = self._asked.pop(get_ident(), re.DEBUG)
        if self.notes_new and type(pattern) is str and not asked & re.DEBUG and not _may_warn(pattern):
            plain = (int(flags), [int(each) for each in code], int(groups), dict(names), tuple(numbers))
            self._new[(pattern, asked)] = plain
        return self._stock_sre.compile(pattern, flags, code, groups, names, numbers)

    def _note_key(self) -> str:
        build = (sys.implementation.cache_tag, sys.version, self._stock_sre.MAGIC, self._stock_sre.CODESIZE)
        return note_key(repr(build))

    def _read(self) -> dict[_Key, _Made]:
        key = self._note_key()
        if not is_noted(self.root, PATTERNS, key) or not is_usable(self.root):
            return {}
        found = load_note(Layout(self.root), PATTERNS, key, lambda payload: dict(map(_known, json.loads(payload))))
        return found or {}


def _may_warn(text: str) -> bool:
    return any(sign in text for sign in _SET_OPERATIONS) or any(f"(?{flag}" in text[1:] for flag in "aiLmsux")


def _row(key: _Key, made: _Made) -> list[Any]:
    (text, asked), (flags, code, groups, names, numbers) = key, made
    return [text, asked, flags, array.array("I", code).tobytes().hex(), groups, names, numbers]


def _known(row: list[Any]) -> tuple[_Key, _Made]:
    text, asked, flags, code, groups, names, numbers = row
    numbered = array.array("I", bytes.fromhex(code)).tolist()
    return (text, asked), (flags, numbered, groups, names, tuple(numbers))
