"""Wheels with oddities: unusual, wrong or hostile, one name each."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from enum import Enum
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


_REFUSED = (
    "BAD_ENTRY_POINT", "UNKNOWN_SCHEME", "NO_RECORD", "OUTSIDE", "ABSOLUTE", "FILE_AND_FOLDER", "OTHER_NAME",
    "OTHER_VERSION", "NO_WHEEL_FILE", "TWICE",
)

HARMLESS = tuple(each for each in Oddity if each.name not in _REFUSED)
"""Those that pip installs."""

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
}

_RECORDS: dict[Oddity, Callable[[list[Row]], list[Row] | None]] = {
    Oddity.NO_RECORD: lambda rows: None,
    Oddity.EMPTY_RECORD: lambda rows: [],
    Oddity.FALSE_RECORD: lambda rows: [(path, digest and "sha256=AAAA", size) for path, digest, size in rows],
    Oddity.SHORT_RECORD: lambda rows: rows[1:],
    Oddity.LONG_RECORD: lambda rows: [("not/there.py", "", ""), *rows],
    Oddity.CRLF_RECORD: lambda rows: [(*row, "more") for row in rows],
}


def odd_wheel(
    name: str,
    version: str,
    requires: Iterable[str] = (),
    more: Iterable[str] = (),
    requires_python: str | None = None,
    oddities: Iterable[Oddity] = (),
) -> Archive:
    """Build a wheel that has all of these oddities."""
    module = name.replace("-", "_").replace(".", "_").lower()
    wheel = Wheel(
        name, version, tuple(requires), {"more": tuple(more)} if more else None, requires_python,
        files={f"{module}/__init__.py": f"__version__ = {version!r}\n", f"{module}/sub.py": "def main(): pass\n"},
    )
    for oddity in oddities:
        if oddity in _RECORDS:
            wheel = replace(wheel, record=_RECORDS[oddity])
        else:
            wheel = replace(wheel, **_joined(wheel, _filled(_PARTS[oddity], name, module)))
    return wheel.build()


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
