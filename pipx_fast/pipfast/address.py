"""Addresses without passwords, to be shown.

A signed address carries a password in its query.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

# e.g. `https://user:password@host/`; a password may have an unescaped `@`
_USER = re.compile(r"(?<=://)[^\s/?#'\"]*@")
# e.g. `https://host/simple/?token=…`
_QUERY = re.compile(r"(://[^\s?'\"]*)\?[^\s#'\",;]+")


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


def redacted(text: str) -> str:
    """Return a text without the users, passwords and queries of the addresses in it."""
    return _QUERY.sub(r"\1?****", _USER.sub("****@", text)) if "://" in text else text
