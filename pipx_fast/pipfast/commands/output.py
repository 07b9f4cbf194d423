"""The program's name, sizes, counts and documents, as our commands print them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import DataclassInstance


def program() -> str:
    """Return what the user typed: ``pipfast``, or ``python -m pipfast``; ``pip`` in an attached environment."""
    path = Path(sys.argv[0] if sys.argv else "")
    module = "pip" if path.parent.name == "pip" else "pipfast"
    return f"{Path(sys.executable).name} -m {module}" if path.name in ("", "-c", "__main__.py") else path.name


def display_size(size: int) -> str:
    """Return a number of bytes as pip's ``format_size`` does, in powers of ten; and in GB, which pip lacks."""
    if size > 1000 * 1000 * 1000:
        return f"{size / 1_000_000_000:.1f} GB"
    if size > 1000 * 1000:
        return f"{size / 1_000_000:.1f} MB"
    if size > 10 * 1000:
        return f"{size // 1000} kB"
    if size > 1000:
        return f"{size / 1000:.1f} kB"
    return f"{size} bytes"


def print_json(value: DataclassInstance | Sequence[DataclassInstance]) -> None:
    """Print one JSON document: an object, or a list of objects, with the fields as keys."""
    plain = asdict(value) if is_dataclass(value) else [asdict(each) for each in value]
    json.dump(plain, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
