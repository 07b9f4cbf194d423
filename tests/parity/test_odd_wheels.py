"""Wheels that are unusual, broken or hostile: the same result or the same refusal."""

from __future__ import annotations

import random
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from support.index import Manners
from support.twin import pip
from support.wheels import (
    DIRECTORY_MODE,
    EXECUTABLE_MODE,
    SYMLINK_MODE,
    Archive,
    Member,
    Wheel,
    record_row,
    wheel,
    with_broken_member,
    zip_bytes,
)

if TYPE_CHECKING:
    from support.twin import Twins
    from support.wheels import Row

CODE = "value = 1\n"
CACHE_TAG = sys.implementation.cache_tag
PLAIN = {"odd/__init__.py": CODE, "odd/module.py": "def f():\n    return 1\n" * 50}


def _long_rows(rows: list[Row]) -> list[Row]:
    return [(*row, "more", "and more") for row in rows]


def _lying_rows(rows: list[Row]) -> list[Row]:
    return [record_row(path, b"something else") for path, *_ in rows]


def _absent_rows(rows: list[Row]) -> list[Row]:
    return [*rows, ("odd/absent.py", "sha256=x", "3"), ("../../../outside", "", ""), ("/abs/olute", "", "")]


def _short_rows(rows: list[Row]) -> list[Row]:
    return [(path,) for path, *_ in rows]


def _few_rows(rows: list[Row]) -> list[Row]:
    return rows[-2:]


def _twice_rows(rows: list[Row]) -> list[Row]:
    return [*rows, *rows]


def _plus(*members: Member) -> Archive:
    return Wheel("odd", files=PLAIN, more=members).build()


def _zip_of(files: dict[str, str]) -> bytes:
    return zip_bytes(Member(path, text.encode()) for path, text in files.items())


def _cut_off() -> Archive:
    whole = Wheel("odd", files=PLAIN).build()
    return Archive(whole.filename, whole.data[: len(whole.data) // 2], whole.metadata)


def _renamed(filename: str) -> Archive:
    whole = Wheel("odd", files=PLAIN).build()
    return Archive(filename, whole.data, whole.metadata)


METADATA = b"Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n"
STORED = zipfile.ZIP_STORED

ODD: dict[str, Archive] = {
    "stored": Wheel("odd", files=PLAIN, compression=STORED).build(),
    "bzip2": Wheel("odd", files=PLAIN, compression=zipfile.ZIP_BZIP2).build(),
    "lzma": Wheel("odd", files=PLAIN, compression=zipfile.ZIP_LZMA).build(),
    "data-descriptors": Wheel("odd", files=PLAIN, streamed=True).build(),
    "zip64": _plus(Member("odd/large.bin", b"x" * 5000, zip64=True)),
    "folders": _plus(Member("odd/sub/", mode=DIRECTORY_MODE), Member("odd/empty/", mode=DIRECTORY_MODE)),
    "folders-in-data": _plus(
        Member("odd-1.0.data/", mode=DIRECTORY_MODE), Member("odd-1.0.data/scripts/", mode=DIRECTORY_MODE)
    ),
    "only-metadata": Wheel("odd", files={}).build(),
    "non-ascii": Wheel("odd", files={**PLAIN, "odd/naïve_文.py": CODE, "odd/☃.txt": "snow"}).build(),
    "spaces-and-quotes": Wheel("odd", files={**PLAIN, "odd/a b.txt": "", 'odd/q"u,o.txt': "x"}).build(),
    "deep": Wheel("odd", files={**PLAIN, "/".join(["odd", *["d"] * 60, "x.py"]): CODE}).build(),
    "long-name": Wheel("odd", files={**PLAIN, f"odd/{'n' * 200}.py": CODE}).build(),
    "top-level-only": Wheel("odd", files={"odd.py": CODE, "odd.pth": "# nothing\n"}).build(),
    "many-small": Wheel("odd", files={f"odd/m{number}.py": CODE for number in range(300)}).build(),
    "platlib": Wheel("odd", files=PLAIN, purelib=False).build(),
    "wheel-version-1.9": Wheel("odd", files=PLAIN, wheel_version="1.9").build(),
    "executables": Wheel(
        "odd", files={**PLAIN, "odd/tool.py": CODE}, modes={"odd/tool.py": 0o755, "odd/module.py": 0o444}
    ).build(),
    "setuid": _plus(Member("odd/setuid", b"x", mode=0o104755), Member("odd/nobody", b"x", mode=0o100000)),
    "no-mode-at-all": _plus(Member("odd/plain.txt", b"x", mode=0)),
    "own-bytecode": _plus(Member(f"odd/__pycache__/module.{CACHE_TAG}.pyc", b"not bytecode")),
    "own-installer-files": Wheel(
        "odd", files=PLAIN, dist_info={"INSTALLER": "else\n", "REQUESTED": "yes", "direct_url.json": "{}"}
    ).build(),
    "record-jws": Wheel("odd", files=PLAIN, dist_info={"RECORD.jws": "{}", "RECORD.p7s": "x"}).build(),
    "does-not-compile": Wheel("odd", files={**PLAIN, "odd/bad.py": "def (:\n", "odd/py2.py": "print 'x'"}).build(),
    "warns-when-compiled": Wheel("odd", files={**PLAIN, "odd/warns.py": "x = 1 is 1\ny = '\\d'\n"}).build(),
    "null-bytes-in-source": Wheel("odd", files={**PLAIN, "odd/null.py": b"x = 1\0\n"}).build(),
    "latin-1-source": Wheel(
        "odd", files={**PLAIN, "odd/latin.py": "# coding: latin-1\nx = 'é'\n".encode("latin-1")}
    ).build(),
    "cookies": Wheel("odd", files={
        **PLAIN,
        **{f"odd/{codec.replace('-', '_')}.py": f"# -*- coding: {codec} -*-\nx = 1\n".encode() for codec in (
            "ascii", "cp1252", "cp437", "gbk", "idna", "koi8-r", "mac-roman", "nonsense", "rot13",
            "unicode_escape", "us-ascii", "utf-16", "utf-7", "utf8", "utf8-sig", "utf_8", "utf-8-sig",
        )},
        "odd/second.py": b"#!/x\n# vim: set fileencoding=cp1252 :\nx = '\x80'\n",
        "odd/bom.py": b"\xef\xbb\xbf# coding: cp1252\n",
    }).build(),
    "bad-encoding": Wheel("odd", files={**PLAIN, "odd/latin.py": b"x = '\xe9'\n"}).build(),
    "bom-and-crlf": Wheel("odd", files={**PLAIN, "odd/dos.py": b"\xef\xbb\xbfx = 1\r\n"}).build(),
    "templates-that-are-not-modules": Wheel(
        "odd", files={**PLAIN, "odd/{{name}}.py": "{{ x }}", "odd/a-b.py": CODE}
    ).build(),
    "script-kinds": Wheel(
        "odd",
        files=PLAIN,
        data={
            "scripts/a": b"#!python\r\nimport odd\r\n",
            "scripts/b": "#!python -u\nimport odd\n",
            "scripts/c": "#!/usr/bin/env python\n",
            "scripts/d": b"\x7fELF binary",
            "scripts/e": "",
            "scripts/f.py": "#!python3.11\nx = 1\n",
        },
    ).build(),
    "script-and-entry-point": Wheel(
        "odd", files=PLAIN, data={"scripts/odd": "#!python\n"}, console={"odd": "odd:f"}
    ).build(),
    "special-entry-points": Wheel(
        "odd", files=PLAIN, console={"easy_install": "odd:f", "easy_install-3.9": "odd:f", "pip": "odd:f"}
    ).build(),
    "entry-point-with-extra": Wheel("odd", files=PLAIN, console={"odd": "odd.module:f [more]"}).build(),
    "data-in-subfolders": Wheel(
        "odd", files=PLAIN, data={"data/lib/odd/x.txt": "x", "headers/sub/y.h": "y"}
    ).build(),
    "data-over-files": Wheel("odd", files=PLAIN, data={"purelib/odd/module.py": "over = 1\n"}).build(),
    "name-spelled-otherwise": Wheel("odd", files=PLAIN, metadata_name="ODD").build(),
    "version-spelled-otherwise": Wheel("odd", "1.0", files=PLAIN, metadata_version="1.0.0").build(),
    "file-name-spelled-otherwise": _renamed("Odd-1.0-py3-none-any.whl"),
    "no-metadata-version": Wheel("odd", files=PLAIN, dist_info={"METADATA": b"Name: odd\nVersion: 1.0\n"}).build(),
    "metadata-9.9": Wheel("odd", files=PLAIN, dist_info={"METADATA": METADATA.replace(b"2.1", b"9.9")}).build(),
    "non-utf8-metadata": Wheel(
        "odd", files=PLAIN, dist_info={"METADATA": METADATA + b"Author: Ren\xe9\n"}
    ).build(),
    "zip-comment-and-prefix": Archive(
        "odd-1.0-py3-none-any.whl", b"#!/bin/sh\nexit\n" + Wheel("odd", files=PLAIN).build().data, METADATA
    ),
    "no-record": Wheel("odd", files=PLAIN, record=lambda _: None).build(),
    "record-with-long-rows": Wheel("odd", files=PLAIN, record=_long_rows).build(),
    "record-that-lies": Wheel("odd", files=PLAIN, record=_lying_rows).build(),
    "record-of-absent-files": Wheel("odd", files=PLAIN, record=_absent_rows).build(),
    "record-of-paths-only": Wheel("odd", files=PLAIN, record=_short_rows).build(),
    "record-of-few": Wheel("odd", files=PLAIN, record=_few_rows).build(),
    "record-twice": Wheel("odd", files=PLAIN, record=_twice_rows).build(),
    "empty-record": Wheel("odd", files=PLAIN, record=lambda _: []).build(),
}
"""One wheel per oddity that pip bears with, most of the time."""

HOSTILE: dict[str, Archive] = {
    "wheel-version-2.0": Wheel("odd", files=PLAIN, wheel_version="2.0").build(),
    "wheel-version-nonsense": Wheel("odd", files=PLAIN, wheel_version="one").build(),
    "no-wheel-version": Wheel("odd", files=PLAIN, dist_info={"WHEEL": "Root-Is-Purelib: true\n"}).build(),
    "outside": _plus(Member("../evil.py", b"evil = 1\n")),
    "far-outside": _plus(Member("odd/../../../../../../evil.py", b"evil = 1\n")),
    "dots-that-stay-inside": _plus(Member("odd/sub/../inside.py", b"x = 1\n")),
    "absolute": _plus(Member("/tmp/pipfast-evil/evil.py", b"evil = 1\n")),
    "outside-by-data": _plus(Member("odd-1.0.data/purelib/../../../../evil.py", b"evil = 1\n")),
    "outside-by-scripts": _plus(Member("odd-1.0.data/scripts/../../evil", b"evil = 1\n", mode=EXECUTABLE_MODE)),
    "backslashes": _plus(Member("odd\\..\\..\\evil.py", b"evil = 1\n")),
    "unknown-scheme": _plus(Member("odd-1.0.data/magic/x.py", b"x = 1\n")),
    "scheme-without-file": _plus(Member("odd-1.0.data/purelib", b"x = 1\n")),
    "data-of-somebody-else": _plus(Member("other-2.0.data/scripts/x", b"#!python\n")),
    "twice": _plus(Member("odd/twice.py", b"first = 1\n"), Member("odd/twice.py", b"second = 22\n")),
    "twice-in-data": _plus(
        Member("odd-1.0.data/purelib/odd/same.py", b"a = 1\n"),
        Member("odd-1.0.data/platlib/odd/same.py", b"b = 2\n"),
    ),
    "case-collision": _plus(Member("odd/Case.py", b"upper = 1\n"), Member("odd/case.py", b"lower = 1\n")),
    "file-and-folder": _plus(Member("odd/both", b"file"), Member("odd/both/inside.py", b"x = 1\n")),
    "symlink": _plus(Member("odd/link.py", b"/etc/passwd", mode=SYMLINK_MODE, compression=STORED)),
    "device": _plus(Member("odd/device", b"", mode=0o020644)),
    "broken-member": with_broken_member(Wheel("odd", files=PLAIN).build(), "odd/module.py"),
    "broken-stored-member": with_broken_member(
        Wheel("odd", files=PLAIN, compression=STORED).build(), "odd/module.py"
    ),
    "broken-metadata": with_broken_member(
        Wheel("odd", files=PLAIN, compression=STORED).build(), "odd-1.0.dist-info/METADATA"
    ),
    "cut-off": _cut_off(),
    "not-a-zip": Archive("odd-1.0-py3-none-any.whl", b"this is no wheel", METADATA),
    "empty-file": Archive("odd-1.0-py3-none-any.whl", b"", METADATA),
    "no-dist-info": Archive("odd-1.0-py3-none-any.whl", _zip_of({"odd.py": CODE}), METADATA),
    "two-dist-infos": _plus(Member("other-1.0.dist-info/METADATA", METADATA)),
    "dist-info-of-another-name": Archive(
        "odd-1.0-py3-none-any.whl", Wheel("other", files=PLAIN).build().data, METADATA
    ),
    "no-metadata": Archive(
        "odd-1.0-py3-none-any.whl", _zip_of({"odd-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\n"}), METADATA
    ),
    "no-wheel-file": Archive(
        "odd-1.0-py3-none-any.whl", _zip_of({"odd-1.0.dist-info/METADATA": METADATA.decode()}), METADATA
    ),
}
"""One wheel per kind of damage or malice; what becomes of it is pip's decision, and differs between pips."""


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_wheel(twins: Twins, odd: Archive) -> None:
    """An odd wheel, between two good ones: the same files or the same refusal, and nothing outside."""
    index = twins.server.index().add(odd, wheel("first"), wheel("last", "1.0", "odd"))
    twins.agree(pip("install", *index.args, "first", "odd", "last", fails=None), stock_once=True)


@pytest.mark.parametrize("odd", HOSTILE.values(), ids=HOSTILE)
def test_hostile_wheel(twins: Twins, odd: Archive) -> None:
    """The same with one that is broken or hostile."""
    index = twins.server.index().add(odd, wheel("first"), wheel("last", "1.0", "odd"))
    twins.agree(pip("install", *index.args, "first", "odd", "last", fails=None), warm=False)


@pytest.mark.parametrize("name", ["broken-member", "outside", "cut-off", "unknown-scheme", "wheel-version-2.0"])
def test_upgrade_to_an_odd_wheel(twins: Twins, name: str) -> None:
    """Where the new version cannot be installed, the old one is as it was."""
    good = Wheel("odd", "0.9", files={"odd/__init__.py": "good = 1\n"}, console={"odd": "odd:f"}).build()
    index = twins.server.index().add(good, HOSTILE[name], wheel("last"))
    twins.agree(pip("install", *index.args, "odd<1"), pip("install", *index.args, "-U", "odd", "last", fails=None))


@pytest.mark.parametrize("odd", [
    {}, {"wheel_version": "2.0"}, {"wheel_version": "1.9"}, {"wheel_version": "one"},
    {"dist_info": {"WHEEL": "Root-Is-Purelib: true\n"}}, {"more": [Member("other-1.0.dist-info/x", b"x")]},
], ids=["plain", "version-2.0", "version-1.9", "version-nonsense", "no-version", "two-dist-infos"])
def test_dry_run_of_a_large_wheel(twins: Twins, odd: dict[str, Any]) -> None:
    """Of which pip reads METADATA alone where it may: what it has to say of the rest is said."""
    files: dict[str, str | bytes] = {**PLAIN, "odd/noise.bin": random.Random(0).randbytes(5 << 20)}
    index = twins.server.index(manners=Manners(core_metadata=False)).add(Wheel("odd", files=files, **odd).build())
    twins.agree(pip("install", "--dry-run", *index.args, "odd", fails=None), more_requests=True)


@pytest.mark.parametrize(
    "filename",
    [
        "odd-1.0-py3-none.whl",
        "odd-1.0-py3-none-any-any-any.whl",
        "odd-1.0_2-py3-none-any.whl",
        "odd-1.0-py3-none-any.zip",
    ],
)
def test_odd_file_names(twins: Twins, filename: str) -> None:
    """File names that are no wheel's name, on an index and as a path."""
    archive = _renamed(filename)
    index = twins.server.index().add(archive)
    twins.write({filename: archive.data})
    twins.agree(
        pip("install", *index.args, "odd", fails=None),
        pip("install", *index.args, f"./{filename}", fails=None),
        warm=False,
    )
