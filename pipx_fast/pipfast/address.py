"""Addresses as they may be shown: signed ones carry a password in their query."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def shown(url: str) -> str:
    """Return an address without user, password, query and fragment; what cannot be split is not shown at all."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return "an address"


def file_name(url: str) -> str:
    """Return the last part of an address's path."""
    return shown(url).rpartition("/")[2]
