"""Place of the store: where settings say, or inside pip's cache folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipfast.settings import Settings

FOLDER = "pipfast"
"""The store's name in pip's cache folder: pip counts and purges `http`, `http-v2` and `wheels` there, no more."""

_OPTION = "--cache-dir"


def placed(
    settings: Settings, arguments: Sequence[str], environ: Mapping[str, str], configured: str = ""
) -> Settings:
    """Return the settings with the store inside pip's cache folder, if somebody has named that.

    :param configured: the cache folder in pip's configuration files.
    """
    if settings.store is not None:
        return settings
    isolated = "--isolated" in arguments
    named = _from_arguments(arguments) or ("" if isolated else environ.get("PIP_CACHE_DIR", "")) or configured
    if not named:
        return settings
    # Path.expanduser raises for an unknown user.
    return replace(settings, store=Path(os.path.abspath(os.path.expanduser(named)), FOLDER))


def _from_arguments(arguments: Sequence[str]) -> str:
    """Return the value of ``--cache-dir`` or of an abbreviation; the last one counts."""
    found = ""
    for number, word in enumerate(arguments):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if len(name) > 4 and _OPTION.startswith(name):
            found = value if equals else "".join(arguments[number + 1 : number + 2])
    return found
