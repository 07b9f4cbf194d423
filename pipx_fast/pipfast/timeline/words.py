"""Seconds, bytes and shares in words."""

from __future__ import annotations


def in_seconds(seconds: float) -> str:
    """Return ``8 ms``, ``0.42 s``, ``41.0 s`` or ``3 min 5 s``."""
    if seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 119.95:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def in_bytes(size: float) -> str:
    """Return ``812 B``, ``4.2 kB``, ``83.1 MB`` or ``1.2 GB``."""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
