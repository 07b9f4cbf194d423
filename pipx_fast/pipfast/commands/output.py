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


def above_bound(own: int, bound: int | None, in_use: int = 0) -> str:
    """Return by how much a store is above its bound, and what changes that; empty if it is not above.

    :param own: bytes that only the store holds.
    :param in_use: of these, what running commands have in ``tmp/``.
    """
    if bound is None or own <= bound:
        return ""
    held = min(in_use, own - bound)
    parts = []
    if own - bound > held:
        parts.append("each command that downloads or installs removes some of what was not used for longest, "
                     f"`{program()} store prune` all of it")
    if held:
        parts.append(f"{display_size(held)} {'of it ' if parts else ''}cannot go while running commands use it")
    return f"above the bound by {display_size(own - bound)}: {'; '.join(parts)}"


def print_json(value: DataclassInstance | Sequence[DataclassInstance]) -> None:
    """Print one JSON document: an object, or a list of objects, with the fields as keys."""
    plain = asdict(value) if is_dataclass(value) else [asdict(each) for each in value]
    json.dump(plain, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
