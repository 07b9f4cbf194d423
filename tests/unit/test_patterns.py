"""Regular expressions that were compiled in an earlier run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pipfast import patterns as module
from pipfast.patterns import Patterns
from pipfast.store.names import PATTERNS
from pipfast.store.notes import write_note
from support.stores import new_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipfast.store.layout import Layout

EXPRESSIONS = [
    ("a+(?P<name>b|c)(?:d{2,3})?$", 0),
    (r"(?i)^[\w\-.]+@(?P<host>[^\s]+)", re.ASCII),
    ("\\A(?=x)(?<!y)[\u00e0-\u00ff\u0100-\u017f\U0001f600-\U0001f64f]*", re.UNICODE),
    (r"(?x) # a comment" "\n" r" (?P<number>\d+) (?P<rest>.*?) \Z", re.DOTALL | re.VERBOSE),
    ("", 0),
]


@contextmanager
def attached(layout: Layout) -> Iterator[Patterns]:
    found = Patterns(layout.root)
    found.attach()
    try:
        yield found
    finally:
        found.detach()


def compiled() -> list[re.Pattern[str]]:
    re.purge()
    return [re.compile(text, flags) for text, flags in EXPRESSIONS]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return new_store(tmp_path / "store")


@pytest.fixture
def filled(layout: Layout) -> Layout:
    """A store that knows all of them."""
    with attached(layout) as found:
        compiled()
        found.keep(layout)
    return layout


def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be parsed any more."""
    compiler = sys.modules[module._COMPILER]
    monkeypatch.setattr(compiler, "_code", lambda *_: pytest.fail("it is compiled anew"))


def test_they_are_the_same_code(filled: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns are equal if text, flags and code are; nothing is parsed for them."""
    expected = compiled()
    with attached(filled), monkeypatch.context() as patch:
        refusing(patch)
        found = compiled()
    assert found == expected
    assert [each.groupindex for each in found] == [each.groupindex for each in expected]
    match = found[0].match("aabdd")
    assert match is not None and match.groupdict() == {"name": "b"}


def test_everything_an_installer_compiles_is_the_same(layout: Layout) -> None:
    """All the patterns of the modules that this pip loads for an installation."""
    code = (
        "import importlib, re, sys; from pathlib import Path; from pipfast import patterns\n"
        "found = patterns.Patterns(Path(sys.argv[1])); found.attach()\n"
        "importlib.import_module('.'.join(['pip', '_internal', 'commands', 'install']))\n"
        "found.detach()\n"
        "for (text, asked), made in found._new.items():\n"
        "    re.purge(); assert re.compile(text, asked) == found._stock_sre.compile(text, *made), text\n"
        "    assert patterns._known(patterns._row((text, asked), made)) == ((text, asked), made), text\n"
        "print(len(found._new))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(layout.root)], capture_output=True, text=True,
                           check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 50


def test_re_is_left_as_it_was(layout: Layout) -> None:
    compiler: Any = sys.modules[module._COMPILER]
    before = (compiler.compile, compiler._sre)
    with attached(layout) as found:
        assert (compiler.compile, compiler._sre) != before
    found.detach()
    assert (compiler.compile, compiler._sre) == before


@pytest.mark.parametrize(
    "payload", [b"", b"[[]]", b"[7]", b'[["a", 0, 0, "zz", 0, {}, []]]', b'{"a": 1}'], ids=str
)
def test_what_cannot_be_read_is_thrown_away(payload: bytes, layout: Layout) -> None:
    with attached(layout) as found:
        write_note(layout, PATTERNS, found._note_key(), payload)
    with attached(layout):
        assert compiled()[0].match("ab")
    assert not list((layout.root / PATTERNS).glob("*/*"))


def test_code_that_is_none_is_refused_by_the_interpreter(layout: Layout) -> None:
    with attached(layout) as found:
        rows = [["a+", 0, 32, "ffffffff" * 4, 0, {}, [None]]]
        write_note(layout, PATTERNS, found._note_key(), json.dumps(rows).encode())
    with attached(layout):
        re.purge()
        assert re.compile("a+").match("aa")


def test_a_store_of_others_is_not_read(filled: Layout) -> None:
    filled.root.chmod(0o777)
    with attached(filled) as found:
        assert found._known == {}


def test_another_store_does_not_get_them(layout: Layout, tmp_path: Path) -> None:
    """Where pip's configuration names another one than the environment, they would be written in every run."""
    other = new_store(tmp_path / "other")
    with attached(layout) as found:
        compiled()
        found.keep(other)
    assert not list((other.root / PATTERNS).iterdir())


def test_what_is_compiled_later_is_not_kept(layout: Layout) -> None:
    with attached(layout) as found:
        found.notes_new = False
        compiled()
        assert found._new == {}


def test_threads_do_not_mix_up_their_flags(layout: Layout) -> None:
    with attached(layout) as found:
        re.purge()
        threads = [
            threading.Thread(target=lambda n=n, flags=flags: re.compile(f"x{n}[a-z]+", flags))
            for n in range(50) for flags in (0, re.IGNORECASE)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(found._new) >= 100
        for (text, asked), made in found._new.items():
            assert bool(made[0] & re.IGNORECASE) == bool(asked & re.IGNORECASE), text


def test_too_many_are_collected_anew(filled: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PATTERNS", len(EXPRESSIONS))
    with attached(filled) as found:
        re.purge()
        re.compile("one more")
        found.keep(filled)
    with attached(filled) as found:
        assert {text for text, _ in found._known} == {"one more"}


@pytest.mark.parametrize("text", ["[[a]", "[a||b]", "[a&&b]", "[a~~b]"])
def test_what_python_warns_of_is_parsed_each_time(layout: Layout, text: str) -> None:
    """It would be said in the first run only."""
    with attached(layout) as found:
        re.purge()
        with pytest.warns(FutureWarning):
            re.compile(text)
        assert found._new == {}


def test_parsed_patterns_and_bytes_are_left_alone(layout: Layout) -> None:
    with attached(layout) as found:
        re.purge()
        re.compile(b"a+")
        assert found._new == {}
