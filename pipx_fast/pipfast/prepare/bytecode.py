"""Byte-compilation of stored sources, as `compileall` does it."""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import os
import re
import stat
import struct
import sys
import warnings
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipfast.store.manifest import Damaged, FileFacts, StoredFile
from pipfast.store.reading import read_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import CodeType


# e.g. `# -*- coding: cp1252 -*-` in the first line, or in the second below a comment
_COOKIE = re.compile(rb"(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n?|\n))?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)")
_COMMON = re.compile(rb"(?i:(?:utf[-_]8|(?:iso[-_])?latin[-_]1|iso[-_]8859[-_]1)(?![a-z0-9])|utf8(?![-\w.]))")
_COOKIE_BYTES = 1000
"""Bytes that are searched for a cookie; two lines are hardly ever longer."""


class BytecodeKind(NamedTuple):
    """A kind of .pyc file; one source can have several."""

    cache_tag: str
    """``sys.implementation.cache_tag``, for example ``cpython-311``."""
    magic: str
    """The interpreter's magic number in hex; builds of one cache tag can differ in it."""
    optimization: int
    """``sys.flags.optimize``; above 2 only the files' names are others."""
    mode: Literal["timestamp", "checked-hash"]
    """``checked-hash`` where SOURCE_DATE_EPOCH is set (PEP 552)."""

    @property
    def tag(self) -> str:
        """One path component that names this kind."""
        return f"{self.cache_tag}-{self.magic}-opt{self.optimization}-{self.mode}"

    def pyc_name(self, source_name: str) -> str:
        """Return the .pyc file's name for ``module.py``, as ``cache_from_source`` builds it."""
        optimization = f".opt-{self.optimization}" if self.optimization else ""
        # A file named `.py` keeps that name, as under compileall.
        return f"{source_name.removesuffix('.py') or 'py'}.{self.cache_tag}{optimization}.pyc"


def current_kind(environ: dict[str, str] | os._Environ[str]) -> BytecodeKind | None:
    """Return the kind that ``py_compile`` would write now, or None if pip is to compile.

    pip compiles with a pycache prefix, which leads out of the environment, and with settings of the interpreter
    under which it would write other code than our workers, which have none.
    """
    if sys.implementation.cache_tag is None or sys.pycache_prefix is not None or not _compiles_as_workers_do():
        return None
    # py_compile._get_default_invalidation_mode: hash-based where builds must be reproducible.
    return BytecodeKind(
        sys.implementation.cache_tag, importlib.util.MAGIC_NUMBER.hex(), sys.flags.optimize,
        "checked-hash" if environ.get("SOURCE_DATE_EPOCH") else "timestamp",
    )


def _compiles_as_workers_do() -> bool:
    """Tell whether this interpreter compiles as one without options and variables does."""
    # PYTHONINTMAXSTRDIGITS decides which sources compile. Not every 3.10 has it.
    limit = getattr(sys, "get_int_max_str_digits", None)
    if limit is not None and limit() != sys.int_info.default_max_str_digits:
        return False
    # PYTHONNODEBUGRANGES leaves the columns out, from 3.11 on; only a code object tells.
    positions = getattr(compile("0", "", "exec", dont_inherit=True), "co_positions", None)
    return positions is None or any(None not in each for each in positions())


def compile_sources(
    tree: Path, sources: Sequence[tuple[str, StoredFile]], target: Path, kind: BytecodeKind,
    digests: Mapping[str, str],
) -> list[FileFacts]:
    """Compile ``sources`` of ``tree`` into ``__pycache__`` folders below ``target``.

    :param digests: SHA-256 by path, of sources that were not written just now.
    :returns: the facts of the .pyc files, each with its source's folder in its path; a source has none if it does
        not compile, or may not compile in the process that installs it.
    :raises OSError: a file could not be read or written.
    :raises Damaged: a source has another content than it had.
    """
    facts: list[FileFacts] = []
    made: set[str] = set()
    with warnings.catch_warnings():
        # pip silences warnings of the compiler, too: e.g. `SyntaxWarning: invalid escape sequence`.
        warnings.simplefilter("ignore")
        for folder, file in sources:
            path = f"{folder}/{file.name}" if folder else file.name
            source = read_file(f"{tree}/{path}", file.size)
            if digests.get(path, digest := hashlib.sha256(source).hexdigest()) != digest:
                raise Damaged(f"{tree}/{path} is not what it was")
            if has_uncommon_cookie(source):
                continue
            try:
                # The import system puts the path right when it loads the module.
                code = compile(source, path, "exec", dont_inherit=True, optimize=min(kind.optimization, 2))
                content = _pyc(kind, code, source, file.mtime_ns)
            except Exception:
                continue
            cache = f"{target}/{folder}/__pycache__" if folder else f"{target}/__pycache__"
            if cache not in made:
                os.makedirs(cache, exist_ok=True)
                made.add(cache)
            name = kind.pyc_name(file.name)
            # By the umask this is the source's mode without executable bits, as py_compile gives it.
            descriptor = os.open(f"{cache}/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                found = os.fstat(descriptor)
            facts.append((
                f"{folder}/{name}" if folder else name, found.st_size, found.st_mtime_ns,
                stat.S_IMODE(found.st_mode), hashlib.sha256(content).hexdigest(),
            ))
    return facts


def has_uncommon_cookie(source: bytes) -> bool:
    """Tell whether compiling a source imports a codec, which pip 26.3 forbids at that time.

    PEP 263; the tokenizer itself knows the names of UTF-8 and Latin-1, and UTF-8's codec is always loaded.
    """
    if b"coding" not in source[:_COOKIE_BYTES]:
        return False
    found = _COOKIE.match(source)
    return found is not None and not _COMMON.match(found[1])


def _pyc(kind: BytecodeKind, code: CodeType, source: bytes, mtime_ns: int) -> bytes:
    """Return the file's content: PEP 552, "Specification"."""
    magic = bytes.fromhex(kind.magic)
    if kind.mode == "checked-hash":
        head = magic + struct.pack("<I", 0b11) + importlib.util.source_hash(source)
    else:
        seconds = mtime_ns // 1_000_000_000
        head = magic + struct.pack("<III", 0, seconds & 0xFFFFFFFF, len(source) & 0xFFFFFFFF)
    return head + marshal.dumps(code)
