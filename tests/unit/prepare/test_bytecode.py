"""Stored bytecode is what compileall would have written, file names in code objects apart."""

from __future__ import annotations

import compileall
import importlib.util
import marshal
import shutil
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import pytest

from pipfast.prepare.bytecode import BytecodeKind, compile_sources, current_kind, has_uncommon_cookie
from pipfast.store.manifest import StoredFile

if TYPE_CHECKING:
    from pathlib import Path
    from types import CodeType

SOURCES = {
    "a.py": '"""Doc."""\nassert True\ndef f(x):\n    "doc"\n    return [y for y in x]\n',
    "b.c.py": "x = 1\n",
    ".py": "hidden = True\n",
    "latin.py": "# -*- coding: latin-1 -*-\ns = '\xe9'\n",
    "empty.py": "",
    "escape.py": "s = '\\d'\n",
    "broken.py": "def :\n",
    "nul.py": "a = 1\0\n",
}


def write_sources(folder: Path) -> list[tuple[str, StoredFile]]:
    folder.mkdir(exist_ok=True)
    found = []
    for name, text in SOURCES.items():
        (folder / name).write_bytes(text.encode("latin-1"))
        status = (folder / name).stat()
        found.append(("", StoredFile(name, status.st_size, status.st_mtime_ns)))
    return found


def without_file_names(code: CodeType) -> CodeType:
    constants = tuple(without_file_names(each) if hasattr(each, "co_code") else each for each in code.co_consts)
    return code.replace(co_filename="", co_consts=constants)


@pytest.mark.parametrize("optimization", [0, 1, 2])
@pytest.mark.parametrize("epoch", [None, "1580608922"])
def test_as_compileall_writes_it(
    optimization: int, epoch: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same names, same headers, same code; nothing for a source that does not compile."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    if epoch:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    tree = tmp_path / "tree"
    sources = write_sources(tree)
    kind = current_kind({"SOURCE_DATE_EPOCH": epoch} if epoch else {})
    assert kind is not None
    kind = BytecodeKind(kind.cache_tag, kind.magic, optimization, kind.mode)
    facts = compile_sources(tree, sources, tmp_path / "ours", kind, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in SOURCES:
            compileall.compile_file(tree / name, force=True, quiet=2, optimize=optimization)
    theirs = {path.name: path for path in (tree / "__pycache__").iterdir()}
    ours = {path.name: path for path in (tmp_path / "ours" / "__pycache__").iterdir()}
    assert ours.keys() == theirs.keys() == {name for name, *_ in facts}
    for name, path in ours.items():
        our_bytes, their_bytes = path.read_bytes(), theirs[name].read_bytes()
        assert our_bytes[:16] == their_bytes[:16]
        our_code, their_code = marshal.loads(our_bytes[16:]), marshal.loads(their_bytes[16:])
        assert without_file_names(our_code) == without_file_names(their_code)
        assert path.stat().st_mode == theirs[name].stat().st_mode


def test_names_are_those_of_the_import_system() -> None:
    kind = current_kind({})
    assert kind is not None
    for name in ("a.py", "a.b.py", ".py"):
        assert importlib.util.cache_from_source(f"/x/{name}") == f"/x/__pycache__/{kind.pyc_name(name)}"


def test_interpreter_uses_it(tmp_path: Path) -> None:
    """A module whose source and bytecode were put together is not compiled again."""
    tree = tmp_path / "tree"
    sources = [each for each in write_sources(tree) if each[1].name == "a.py"]
    kind = current_kind({})
    assert kind is not None
    compile_sources(tree, sources, tree, kind, {})
    shutil.copystat(tree, tree)
    said = subprocess.run(
        [sys.executable, "-I", "-v", "-c", f"import sys; sys.path.insert(0, {str(tree)!r}); import a"],
        capture_output=True, text=True, check=True,
    ).stderr
    assert f"matches {tree / 'a.py'}" in said


def test_with_a_cache_prefix_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", "/elsewhere")
    assert current_kind({}) is None


def _said_under(*options: str) -> str:
    program = "from pipfast.prepare.bytecode import current_kind; print(current_kind({}))"
    return subprocess.run(
        [sys.executable, *options, "-c", program], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the settings came with it, in part")
@pytest.mark.parametrize("option", ["no_debug_ranges", "int_max_str_digits=0"])
def test_with_settings_that_workers_have_not_nothing_is_compiled(option: str) -> None:
    assert _said_under() != "None\n"
    assert _said_under("-X", option) == "None\n"


def test_third_optimization_has_a_name_of_its_own(tmp_path: Path) -> None:
    """``-OOO`` compiles as ``-OO`` does; what is imported then is named ``.opt-3.pyc``."""
    assert "optimization=3" in _said_under("-OOO")
    kind = current_kind({})
    assert kind is not None
    sources = [each for each in write_sources(tmp_path / "tree") if each[1].name == "a.py"]
    kinds = [BytecodeKind(kind.cache_tag, kind.magic, optimization, kind.mode) for optimization in (2, 3)]
    for each in kinds:
        compile_sources(tmp_path / "tree", sources, tmp_path / "code", each, {})
    two, three = (tmp_path / "code/__pycache__" / each.pyc_name("a.py") for each in kinds)
    assert three.name == f"a.{kind.cache_tag}.opt-3.pyc"
    assert three.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(("source", "uncommon"), [
    (b"x = 1\n", False), (b"", False), (b"# no coding here\n", False), (b"coding = 'cp1252'\n", False),
    (b"# -*- coding: utf-8 -*-\n", False), (b"# coding=UTF8\n", False), (b"#coding:utf-8-sig\n", False),
    (b"# coding: utf8-sig\n", True),
    (b"# coding: latin-1\n", False), (b"# coding: iso-8859-1-unix\n", False), (b"# coding: iso_8859_1\n", False),
    (b"# coding: cp1252\n", True), (b"# coding: iso-8859-15\n", True), (b"# coding: utf-16\n", True),
    (b"# coding: ascii\r\n", True), (b"#!/usr/bin/python\n# vim: set fileencoding=koi8-r :\n", True),
    (b"\n \t# coding: gbk\n", True), (b"\n\n# coding: gbk\n", False), (b"x = 1\n# coding: gbk\n", False),
])
def test_uncommon_cookies_are_left_to_the_installing_process(source: bytes, uncommon: bool) -> None:
    """PEP 263: in a comment of the first line, or of the second below a blank or a comment."""
    assert has_uncommon_cookie(source) is uncommon
