"""Wheels with oddities: unusual, wrong or hostile, one name each."""

from __future__ import annotations

import io
import random
import re
import warnings
import zipfile
from dataclasses import replace
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from support.wheels import DIRECTORY_MODE, SYMLINK_MODE, Member, Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from support.wheels import Archive, Row


class Oddity(Enum):
    """One thing that is not as in most wheels."""

    SCRIPTS = "scripts of every kind"
    ENTRY_POINTS = "console scripts"
    BAD_ENTRY_POINT = "an entry point without a function"
    SCHEMES = "files for every scheme"
    UNKNOWN_SCHEME = "a .data folder that no scheme has"
    MODES = "modes of all kinds"
    BAD_SOURCE = "a source that does not compile"
    COOKIE = "a source with a coding cookie"
    UNICODE = "names beyond ASCII"
    BYTECODE = "bytecode of its own"
    PLATLIB = "not purelib"
    NO_RECORD = "no RECORD"
    EMPTY_RECORD = "RECORD without rows"
    FALSE_RECORD = "RECORD with wrong digests"
    SHORT_RECORD = "RECORD without some files"
    LONG_RECORD = "RECORD with files that are not there"
    CRLF_RECORD = "a RECORD with four columns"
    STORED = "members that are not compressed"
    STREAMED = "data descriptors"
    FOLDERS = "members for folders"
    TWICE = "a member twice"
    CASE = "names that differ in case only"
    LINK = "a symbolic link"
    OUTSIDE = "a member outside the tree"
    ABSOLUTE = "a member with an absolute path"
    FILE_AND_FOLDER = "a file with the name of a folder"
    NEW_VERSION = "a wheel version to come"
    OTHER_NAME = "METADATA of another name"
    OTHER_VERSION = "METADATA of another version"
    NO_WHEEL_FILE = "WHEEL without a version"
    INSTALLER = "an INSTALLER of its own"
    DIRECT_URL = "a direct_url.json of its own"
    SHARED = "a file that all such wheels have"
    PTH = "a .pth file"
    LARGE = "a larger file"
    EMPTY = "empty files"
    DEEP = "deep folders"
    LONG_NAME = "a name that is too long"
    DATA_OVER = "a file for a scheme over another one"
    SCRIPT_FOLDER = "a folder of scripts"
    BZIP2 = "members compressed in another way"
    ZIP64 = "members for sizes of 64 bits"
    SHA1_RECORD = "RECORD with digests of another kind"
    ABSOLUTE_RECORD = "RECORD with absolute paths"
    BLANK_RECORD = "RECORD with empty lines"
    FOLDER_RECORD = "RECORD with a folder"
    SIGNED = "signatures of RECORD"
    NO_METADATA = "no METADATA"
    EMPTY_METADATA = "METADATA without a line"
    NO_NAME = "METADATA without a name"
    NO_VERSION = "METADATA without a version"
    NEW_METADATA = "a metadata version to come"
    BAD_REQUIREMENT = "a requirement that is none"
    BAD_PYTHON = "a Requires-Python that is none"
    LATIN_METADATA = "METADATA that is not UTF-8"
    CRLF_METADATA = "METADATA with other line ends"
    BODY = "a description that looks like a requirement"
    ODD_EXTRA = "an extra that is not normalized"
    OTHER_INFO = "a .dist-info folder of another name"
    TWO_INFOS = "two .dist-info folders"
    CP437 = "a member's name that is not UTF-8"
    ENCRYPTED = "a member marked as encrypted"
    COMMENTED = "an archive comment"
    PREFIXED = "bytes before the archive"
    TRAILED = "bytes after the archive"
    BROKEN = "a member whose checksum is wrong"
    CUT = "an archive without its end"
    NO_ZIP = "no archive at all"
    HUGE = "a file for which several requests are sent"


_HUGE_BYTES = 9 << 20
"""From 8 MB on, pipfast fetches a file in segments."""

_REFUSED = (
    "BAD_ENTRY_POINT", "UNKNOWN_SCHEME", "NO_RECORD", "OUTSIDE", "ABSOLUTE", "FILE_AND_FOLDER", "OTHER_NAME",
    "OTHER_VERSION", "NO_WHEEL_FILE", "TWICE", "LONG_NAME", "SCRIPT_FOLDER", "NO_METADATA", "EMPTY_METADATA",
    "NO_NAME", "NO_VERSION", "NEW_METADATA", "BAD_REQUIREMENT", "BAD_PYTHON", "OTHER_INFO", "TWO_INFOS",
    "ENCRYPTED", "TRAILED", "BROKEN", "CUT", "NO_ZIP",
)

HARMLESS = tuple(each for each in Oddity if each.name not in (*_REFUSED, "HUGE"))
"""Those that pip installs and that cost little."""

_PARTS: dict[Oddity, dict[str, Any]] = {
    Oddity.SCRIPTS: {
        "data": {
            "scripts/{n}-py": "#!python\nprint(1)\n", "scripts/{n}-w": b"#!pythonw\r\nprint(1)\r\n",
            "scripts/{n}-sh": "#!/bin/sh\necho\n", "scripts/{n}-bin": b"\x7fELF\0\0",
        },
        "modes": {"scripts/{n}-sh": 0o755},
    },
    Oddity.ENTRY_POINTS: {
        "console": {"{n}": "{m}:main", "{n}.x": "{m}.sub:main [more]"}, "gui": {"{n}-g": "{m}:g"},
    },
    Oddity.BAD_ENTRY_POINT: {"console": {"{n}-bad": "{m}"}},
    Oddity.SCHEMES: {"data": {
        "purelib/{m}_pure.py": "x = 1\n", "platlib/{m}_plat.py": "x = 2\n", "headers/{m}.h": "int x;\n",
        "data/share/{m}/x": "x\n", "data/etc/{m}.conf": "",
    }},
    Oddity.UNKNOWN_SCHEME: {"data": {"somewhere/{m}.txt": "x\n"}},
    Oddity.MODES: {
        "files": {"{m}/a.sh": "#!/bin/sh\n", "{m}/b": "b", "{m}/c": "c"},
        "modes": {"{m}/a.sh": 0o755, "{m}/b": 0o600, "{m}/c": 0o4777},
    },
    Oddity.BAD_SOURCE: {"files": {"{m}/bad.py": "def (:\n", "{m}/null.py": b"x = 1\0\n"}},
    Oddity.COOKIE: {"files": {"{m}/latin.py": b"# coding: latin-1\nx = '\xe4'\n"}},
    Oddity.UNICODE: {"files": {"{m}/\xe4\u6f22.py": "x = 1\n", "{m}/with space.txt": "x", '{m}/"q",.txt': "x"}},
    Oddity.BYTECODE: {"files": {"{m}/__pycache__/own.cpython-311.pyc": b"own", "{m}/legacy.pyc": b"legacy"}},
    Oddity.PLATLIB: {"purelib": False},
    Oddity.STORED: {"compression": zipfile.ZIP_STORED},
    Oddity.STREAMED: {"streamed": True},
    Oddity.FOLDERS: {"more": [Member("{m}/", mode=DIRECTORY_MODE, recorded=False),
                              Member("{m}/empty/", mode=DIRECTORY_MODE, recorded=False)]},
    Oddity.TWICE: {"more": [Member("{m}/twice.py", b"x = 1\n"), Member("{m}/twice.py", b"x = 2\n")]},
    Oddity.CASE: {"files": {"{m}/Case.py": "x = 1\n", "{m}/case.py": "x = 2\n"}},
    Oddity.LINK: {"more": [Member("{m}/link", b"__init__.py", SYMLINK_MODE)]},
    Oddity.OUTSIDE: {"more": [Member("../{m}-outside.txt", b"x")]},
    Oddity.ABSOLUTE: {"more": [Member("/tmp/tmp{m}-absolute.txt", b"x")]},
    Oddity.FILE_AND_FOLDER: {"more": [Member("{m}/thing", b"x"), Member("{m}/thing/inside", b"x")]},
    Oddity.NEW_VERSION: {"wheel_version": "1.9"},
    Oddity.OTHER_NAME: {"metadata_name": "somebody-else"},
    Oddity.OTHER_VERSION: {"metadata_version": "7.7"},
    Oddity.NO_WHEEL_FILE: {"dist_info": {"WHEEL": "Generator: tests\n"}},
    Oddity.INSTALLER: {"dist_info": {"INSTALLER": "conda\n", "REQUESTED": "x"}},
    Oddity.DIRECT_URL: {"dist_info": {"direct_url.json": '{"url": "file:///x", "dir_info": {}}'}},
    Oddity.SHARED: {"files": {"shared_folder/__init__.py": "", "shared_folder/{m}.py": "x = 1\n"}},
    Oddity.PTH: {"files": {"{m}.pth": "# nothing\n"}},
    Oddity.LARGE: {"files": {"{m}/large.bin": bytes(range(256)) * 2000}},
    Oddity.EMPTY: {"files": {"{m}/nothing.py": "", "{m}/nothing.txt": ""}, "data": {"scripts/{n}-nothing": ""}},
    Oddity.DEEP: {"files": {"{m}/" + "deep/" * 30 + "x.py": "x = 1\n"}},
    Oddity.LONG_NAME: {"files": {"{m}/" + "x" * 300: "x"}},
    Oddity.DATA_OVER: {"data": {"purelib/{m}/sub.py": "over = 1\n", "platlib/{m}/sub.py": "over = 2\n"}},
    Oddity.SCRIPT_FOLDER: {"data": {"scripts/{n}.d/x": "#!python\nprint(1)\n"}},
    Oddity.BZIP2: {"compression": zipfile.ZIP_BZIP2},
    Oddity.ZIP64: {"more": [Member("{m}/wide.py", b"x = 1\n", zip64=True)]},
    Oddity.SIGNED: {"dist_info": {"RECORD.jws": "{}", "RECORD.p7s": b"\0"}},
    Oddity.TWO_INFOS: {"files": {
        "other-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n",
    }},
    Oddity.CP437: {"more": [Member("{m}/cp437-AAAA.txt", b"x", recorded=False)]},
}

_METADATA: dict[Oddity, Callable[[bytes], bytes]] = {
    Oddity.EMPTY_METADATA: lambda text: b"",
    Oddity.NO_NAME: lambda text: _without(text, b"Name:"),
    Oddity.NO_VERSION: lambda text: _without(text, b"Version:"),
    Oddity.NEW_METADATA: lambda text: text.replace(b"Metadata-Version: 2.1", b"Metadata-Version: 9.9"),
    Oddity.BAD_REQUIREMENT: lambda text: text + b"Requires-Dist: no requirement (at all\n",
    Oddity.BAD_PYTHON: lambda text: _without(text, b"Requires-Python:") + b"Requires-Python: a good one\n",
    Oddity.LATIN_METADATA: lambda text: text + b"Author: M\xfcller\n",
    Oddity.CRLF_METADATA: lambda text: text.replace(b"\n", b"\r\n"),
    Oddity.BODY: lambda text: text + b"\nRequires-Dist: nowhere\n\nName: nobody\n",
    Oddity.ODD_EXTRA: lambda text: text + b"Provides-Extra: Odd.Extra_1\n",
}

_RECORDS: dict[Oddity, Callable[[list[Row]], list[Row] | None]] = {
    Oddity.NO_RECORD: lambda rows: None,
    Oddity.EMPTY_RECORD: lambda rows: [],
    Oddity.FALSE_RECORD: lambda rows: [(path, digest and "sha256=AAAA", size) for path, digest, size in rows],
    Oddity.SHORT_RECORD: lambda rows: rows[1:],
    Oddity.LONG_RECORD: lambda rows: [("not/there.py", "", ""), *rows],
    Oddity.CRLF_RECORD: lambda rows: [(*row, "more") for row in rows],
    Oddity.SHA1_RECORD: lambda rows: [(path, digest and "sha1=AAAA", size) for path, digest, size in rows],
    Oddity.ABSOLUTE_RECORD: lambda rows: [(f"/{path}", *rest) for path, *rest in rows],
    Oddity.BLANK_RECORD: lambda rows: [(), *rows, ()],
    Oddity.FOLDER_RECORD: lambda rows: [(f"{rows[0][0].partition('/')[0]}/", "", ""), *rows],
}


def _without(text: bytes, field: bytes) -> bytes:
    return b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(field))


def _renamed(data: bytes, name: Callable[[str], str]) -> bytes:
    """Write an archive again with other names of its members; one without a name is left out."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(buffer, "w") as target,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
        for info in source.infolist():
            content = source.read(info)
            info.filename = name(info.filename)
            if info.filename:
                target.writestr(info, content)
    return buffer.getvalue()


def _marked_as_encrypted(data: bytes) -> bytes:
    """Set the flag of the first member, in its own header and in the directory (APPNOTE, 4.4.4)."""
    marked = bytearray(data)
    marked[data.index(b"PK\3\4") + 6] |= 1
    marked[data.index(b"PK\1\2") + 8] |= 1
    return bytes(marked)


def _with_comment(data: bytes) -> bytes:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"a comment"
    return buffer.getvalue()


def _broken(data: bytes) -> bytes:
    """Flip a bit of the first member's data."""
    flipped = bytearray(data)
    flipped[data.index(b"__init__.py") + len("__init__.py") + 2] ^= 0x10
    return bytes(flipped)


_INFO = re.compile(r"^[^/]+\.dist-info/")

_BYTES: dict[Oddity, Callable[[bytes], bytes]] = {
    Oddity.NO_METADATA: lambda data: _renamed(data, lambda name: "" if name.endswith("/METADATA") else name),
    Oddity.OTHER_INFO: lambda data: _renamed(data, lambda name: _INFO.sub("other-1.0.dist-info/", name)),
    Oddity.CP437: lambda data: data.replace(b"cp437-AAAA", b"cp437-\x84\x81\x94\xe1"),
    Oddity.ENCRYPTED: _marked_as_encrypted,
    Oddity.COMMENTED: _with_comment,
    Oddity.PREFIXED: lambda data: b"#!/bin/sh\nexit\n" + data,
    Oddity.TRAILED: lambda data: data + b"\0" * 70000,
    Oddity.BROKEN: _broken,
    Oddity.CUT: lambda data: data[: len(data) * 2 // 3],
    Oddity.NO_ZIP: lambda data: b"<html>no archive</html>",
}
"""What is done to the whole file, in the order of ``Oddity``."""


def odd_wheel(
    name: str,
    version: str,
    requires: Iterable[str] = (),
    more: Iterable[str] = (),
    requires_python: str | None = None,
    oddities: Iterable[Oddity] = (),
    tag: str = "",
) -> Archive:
    """Build a wheel that has all of these oddities; ``tag`` may have a build's number before it."""
    module = name.replace("-", "_").replace(".", "_").lower()
    wheel = Wheel(
        name, version, tuple(requires), {"more": tuple(more)} if more else None, requires_python,
        files={f"{module}/__init__.py": f"__version__ = {version!r}\n", f"{module}/sub.py": "def main(): pass\n"},
        tag=tag or "py3-none-any",
    )
    oddities = sorted(set(oddities), key=list(Oddity).index)
    for oddity in oddities:
        if oddity in _RECORDS:
            wheel = replace(wheel, record=_RECORDS[oddity])
        elif oddity is Oddity.HUGE:
            wheel = replace(wheel, more=[*wheel.more, Member(f"{module}/huge.bin", _noise())])
        else:
            wheel = replace(wheel, **_joined(wheel, _filled(_PARTS.get(oddity, {}), name, module)))
    changed = [_METADATA[oddity] for oddity in oddities if oddity in _METADATA]
    if changed:
        metadata = wheel.build().metadata or b""
        for change in changed:
            metadata = change(metadata)
        wheel = replace(wheel, dist_info={**wheel.dist_info, "METADATA": metadata})
    archive = wheel.build()
    data = archive.data
    for oddity in oddities:
        if oddity in _BYTES:
            data = _BYTES[oddity](data)
    return replace(archive, data=data)


@lru_cache
def _noise() -> bytes:
    return random.Random(0).randbytes(_HUGE_BYTES)


def _joined(wheel: Wheel, parts: dict[str, Any]) -> dict[str, Any]:
    joined = {}
    for key, value in parts.items():
        present = getattr(wheel, key)
        if isinstance(value, dict):
            value = {**(present or {}), **value}
        elif isinstance(value, list):
            value = [*present, *value]
        joined[key] = value
    return joined


def _filled(value: Any, name: str, module: str) -> Any:
    if isinstance(value, str):
        return value.replace("{n}", name).replace("{m}", module)
    if isinstance(value, dict):
        return {_filled(key, name, module): _filled(each, name, module) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, name, module) for each in value]
    if isinstance(value, Member):
        return replace(value, name=_filled(value.name, name, module))
    return value
