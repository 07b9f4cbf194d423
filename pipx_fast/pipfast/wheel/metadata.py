"""Header of a METADATA file, read without the email package.

The format is that of email headers (core metadata specification). A header that the email package might read in
another way - folded lines of wanted fields, control characters, a line that is no field - is left to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")

_LINE = re.compile(r"([!-9;-~]+):[ \t]*(.*)")
"""A line that the email package takes for the beginning of a header field."""

NAMES = ("metadata-version", "name", "version", "requires-python", "requires-dist", "provides-extra")


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of a METADATA file that matter for choosing it, unchanged."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    """Values by lower-case name, for each of ``NAMES``."""

    def first(self, name: str) -> str | None:
        """Return the first value of a field, or None."""
        values = self.fields[name]
        return values[0] if values else None

    @property
    def requires(self) -> list[str]:
        """The values of Requires-Dist."""
        return self.fields["requires-dist"]


MAX_BYTES = 32 << 20
"""Bytes beyond which a METADATA file is not read: the largest ones have some hundred KiB."""


def read_metadata(archive: Any) -> bytes | None:
    """Return the METADATA of a wheel (path or open file).

    None if there is not exactly one or a huge one, or if pip, which looks for a second .dist-info folder and into
    WHEEL, has something to say of the wheel.
    """
    import zipfile

    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        found = [each for each in opened.infolist() if _METADATA.fullmatch(each.filename)]
        folders = {top for top in (name.partition("/")[0] for name in names) if top.endswith(".dist-info")}
        if len(found) != 1 or len(folders) != 1 or found[0].file_size > MAX_BYTES:
            return None
        wheel = f"{folders.pop()}/WHEEL"
        if wheel not in names or opened.getinfo(wheel).file_size > MAX_BYTES:
            return None
        metadata = opened.read(found[0])
        return metadata if _has_plain_version(opened.read(wheel)) else None


def _has_plain_version(wheel: bytes) -> bool:
    from email.parser import Parser

    try:
        fields = Parser().parsestr(wheel.decode("utf-8"), headersonly=True)
    except ValueError:
        return False
    return str(fields.get("Wheel-Version", "")).strip() == "1.0"


def read_header(text: str) -> Header | None:
    """Return the header, or None if it is not plain.

    :param text: the whole file, or its beginning up to the first empty line.
    """
    end = text.find("\n\n")
    head = (text if end < 0 else text[:end]).removesuffix("\n")
    if "\r" in head:
        return None
    fields: dict[str, list[str]] = {name: [] for name in NAMES}
    wanted = False
    for line in head.split("\n"):
        if line[:1] in " \t":
            if wanted or not line:
                return None
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        values = fields.get(found[1].lower())
        wanted = values is not None
        if values is not None:
            if not found[2].isascii() or not found[2].isprintable():
                return None
            values.append(found[2])
    return Header(fields)
