"""Addresses without passwords, to be shown.

A signed address carries a password in its query. A password that nobody has escaped may have any character in it:
so all before the last ``@`` may belong to it, even where a path seems to have begun.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

HIDDEN = "****"

# What follows `://`; a quote ends it in a text, unless it goes on at once.
_REST = re.compile(r"""://((?:[^\s'"]|['"](?=[^\s'",;:.)\]}>]))+)""")
# A password with a space, behind what is no port.
_SPACED = re.compile(r"""://[^\s/@:?#'"\[]+:(?!\d*(?:[\s/?#'",;)]|$))[^@\n]{0,200}@""")
# A text's own marks behind a query are none of it, e.g. `(see https://host/simple/?token=…).`
_QUERY = re.compile(r"\?[^\s'\"]\S*?(?=[,;.)\]}'\"]*(?:\s|$))")

# e.g. `git+https`: there an `@` behind the path begins a revision.
_REPOSITORY = re.compile(r"\b(?:git|hg|svn|bzr)\+[\w-]+$")
_LOGIN = re.compile(r"(?:[^:]*@)?(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d*)?")
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)+(?::\d+)?/")


def shown(url: str) -> str:
    """Return an address without user, password, query and fragment; what cannot be split is not shown at all."""
    try:
        urlsplit(url)
    except ValueError:
        return "an address"
    before, separator, rest = _parts(url)
    end = _end_of_user(before, rest)
    is_odd = end >= 0 and (not separator or re.search(r"[/?#]", rest[:end]) is not None)
    place = re.split(r"[?#]", rest[end + 1 :])[0]
    return f"{before}{separator}{f'{HIDDEN}@' if is_odd else ''}{place}"


def concealed(address: str) -> str:
    """Return a setting that should be an address, with ``****`` for user, password, query and fragment."""
    before, separator, rest = _parts(address)
    end = _end_of_user(before, rest)
    place, mark = rest[end + 1 :], ""
    if (match := re.search(r"[?#]", place)) is not None:
        place, mark = place[: match.start()], f"{match[0]}{HIDDEN}"
    return f"{before}{separator}{f'{HIDDEN}@' if end >= 0 else ''}{place}{mark}"


def file_name(url: str) -> str:
    """Return the last part of an address's path."""
    return shown(url).rpartition("/")[2]


def redacted(text: str) -> str:
    """Return a text without the users, passwords and queries of the addresses in it."""
    return _REST.sub(_hide, _SPACED.sub(f"://{HIDDEN}@", text)) if "://" in text else text


def _hide(found: re.Match[str]) -> str:
    rest = found[1]
    end = _end_of_user(found.string[max(0, found.start() - 20) : found.start()], rest)
    user = f"{HIDDEN}@" if end >= 0 else ""
    return f"://{user}{_QUERY.sub(f'?{HIDDEN}', rest[end + 1 :])}"


def _parts(address: str) -> tuple[str, str, str]:
    before, separator, rest = address.partition("://")
    return (before, separator, rest) if separator else ("", "", address)


def _end_of_user(before: str, rest: str) -> int:
    """Return where the ``@`` is behind all that may be a user and a password; -1: there is none.

    :param before: ends with the scheme.
    :param rest: what follows ``://``.
    """
    last = rest.rfind("@")
    if last < 0 or (before.endswith("file") and rest.startswith("/") and "://" not in rest):
        return -1
    if _REPOSITORY.search(before) is not None and _HOST.match(rest[last + 1 :]) is None:
        host = re.split(r"[/?#]", rest, maxsplit=1)[0]
        _, at, behind = host.rpartition("@")
        # e.g. `git+ssh://git@host:22/a.git@v1`, and `git+https://me:password@host.test/a.git@v1`
        if _LOGIN.fullmatch(host) is not None or (at and _HOST.match(f"{behind}/") is not None):
            return host.rfind("@")
    return last
