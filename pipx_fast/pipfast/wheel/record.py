"""Rows of an installed wheel's RECORD."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

Row = tuple[str, str, str]


def installed_rows(
    wheel_rows: Iterable[Row], installed: Mapping[str, str], changed: Collection[str], generated: Iterable[str],
    lib_dir: str,
) -> list[Row]:
    """Return the rows pip would write, sorted: path, ``sha256=…``, size in bytes.

    :param wheel_rows: RECORD as the wheel has it.
    :param installed: path in the archive -> path in RECORD.
    :param changed: paths in RECORD of rewritten files; their rows are computed anew.
    :param generated: full paths of files that installing made.
    """
    left = dict(installed)
    rows: list[Row] = []
    for old, digest, size in wheel_rows:
        new = left.pop(old, old)
        if new in changed:
            digest, size = digest_and_size(os.path.join(lib_dir, new))
        rows.append((new, digest, size))
    for path in generated:
        relative = os.path.relpath(path, lib_dir).replace(os.path.sep, "/")
        rows.append((relative, *digest_and_size(path)))
    return sorted([*rows, *((path, "", "") for path in left.values())])


def record_text(rows: Iterable[Row]) -> bytes:
    """Return RECORD's content: CSV with the line ends the csv module gives it, UTF-8."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8")


def digest_and_size(path: str) -> tuple[str, str]:
    """Return a file's ``sha256=<urlsafe base64 without padding>`` and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return "sha256=" + base64.urlsafe_b64encode(digest.digest()).decode("ascii").rstrip("="), str(size)
