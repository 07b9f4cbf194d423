"""Members of a wheel that can be kept in the store.

Only usual wheels are kept unpacked. For any other one - a path that leaves the tree, a duplicate, a RECORD that
cannot be read, an unknown version - ``NotStorable`` says why, and pip's own code installs or refuses it, with
pip's message.
"""

from __future__ import annotations

import csv
import posixpath
import re
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from typing import TYPE_CHECKING

from pipfast.wheel.scheme import NotStorable, split_data_path

if TYPE_CHECKING:
    from pathlib import Path

_UNUSUAL_NAME = re.compile(r"[\x00-\x1f\x7f\\:]|(?:^|/)\.{0,2}(?:/|$)")
"""Control characters, a backslash, a colon; or an empty, ``.`` or ``..`` part of a path."""

MAX_UNPACKED = 1 << 36
"""Bytes (64 GiB): an archive that claims to hold more is left to pip; none on any index does."""

_LOCAL_HEADER_SIZE = 30
"""Bytes of the fixed part of a local file header (APPNOTE 4.3.7)."""

_ENCRYPTED_OR_PATCHED = 0x1 | 0x20 | 0x40
"""Flag bits that zipfile refuses, too: encrypted, patch data, strongly encrypted (APPNOTE 4.4.4)."""


@dataclass(frozen=True, slots=True)
class WheelMembers:
    """A wheel's files, and its own metadata about them."""

    files: list[zipfile.ZipInfo]
    info_dir: str
    root_is_purelib: bool
    entry_points: str | None
    rows: list[tuple[str, str, str]]


def read_members(path: Path) -> WheelMembers:
    """Read a wheel's central directory and the metadata that installing needs.

    :raises NotStorable: see the module's docstring.

    Binary distribution format, "File contents"; RECORD: recording installed projects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = _checked_files(archive)
            tops = {name.partition("/")[0] for name in archive.namelist()}
            info_dirs = [top for top in tops if top.endswith(".dist-info")]
            if len(info_dirs) != 1:
                raise NotStorable(f"it has {len(info_dirs)} .dist-info folders")
            info_dir = info_dirs[0]
            wheel = Parser().parsestr(archive.read(f"{info_dir}/WHEEL").decode("utf-8"))
            if wheel.get("Wheel-Version", "").strip() != "1.0":
                raise NotStorable(f"Wheel-Version {wheel.get('Wheel-Version')!r}")
            rows = _record_rows(archive.read(f"{info_dir}/RECORD").decode("utf-8"))
            archive.getinfo(f"{info_dir}/METADATA")
            entry_points = None
            if f"{info_dir}/entry_points.txt" in archive.NameToInfo:
                entry_points = archive.read(f"{info_dir}/entry_points.txt").decode("utf-8")
    except NotStorable:
        raise
    except Exception as error:
        # zipfile raises BadZipFile, NotImplementedError, RuntimeError, zlib.error, struct.error … for a bad
        # archive; KeyError and UnicodeDecodeError come from the metadata above.
        raise NotStorable(repr(error)) from error
    purelib = wheel.get("Root-Is-Purelib", "").lower() == "true"
    return WheelMembers(files, info_dir, purelib, entry_points, rows)


def is_unusual(path: str) -> bool:
    """Tell whether a member's path could lead out of a tree, or has characters that no wheel needs."""
    return _UNUSUAL_NAME.search(path) is not None


def _checked_files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    files = [info for info in archive.infolist() if not info.filename.endswith("/")]
    seen: set[str] = set()
    folders: set[str] = set()
    unpacked = packed = 0
    for info in files:
        name = info.filename
        if is_unusual(name):
            raise NotStorable(f"unusual member name {name!r}")
        split_data_path(name)
        folded = name.casefold()
        if folded in seen:
            raise NotStorable(f"two members are named {name!r}, capitals aside")
        seen.add(folded)
        folders.add(posixpath.dirname(folded))
        if info.flag_bits & _ENCRYPTED_OR_PATCHED:
            raise NotStorable(f"{name!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NotStorable(f"{name!r} is compressed by method {info.compress_type}")
        unpacked += info.file_size
        packed += info.compress_size
    for folder in list(folders):
        while folder:
            if folder in seen:
                raise NotStorable(f"{folder!r} is a file and a folder")
            folder = posixpath.dirname(folder)
    if unpacked > MAX_UNPACKED:
        raise NotStorable(f"it would unpack to {unpacked} bytes")
    # Members that share bytes: a small archive that unpacks to a huge one.
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise NotStorable(f"{info.filename!r} overlaps another member")
        end = info.header_offset + _LOCAL_HEADER_SIZE + len(info.orig_filename) + info.compress_size
    if archive.start_dir < max(end, packed):
        raise NotStorable("its members overlap the central directory")
    return files


def _record_rows(text: str) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    # splitlines() and not a file: pip reads it so, and they differ on unusual line ends.
    for row in csv.reader(text.splitlines()):
        if not 1 <= len(row) <= 3:
            raise NotStorable(f"a row of RECORD has {len(row)} elements")
        path, digest, size = (*row, "", "")[:3]
        rows.append((path, digest, size))
    return rows
